"""TLS to the target: credentials made of PEM files, and noticing when these were renewed."""

from pathlib import Path
from typing import NamedTuple

import grpc

from calico_p4.p4runtime.errors import TargetLost


class Tls(NamedTuple):
    """Paths of PEM files: who signs the target's certificate; our own certificate and key, "" without mutual TLS; the name to expect."""

    ca: str
    cert: str = ""
    key: str = ""
    name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises TargetLost: one can't be read (it may be just being renewed)."""
        ca, cert, key = (_read(path) if path else None for path in (self.ca, self.cert, self.key))
        return grpc.ssl_channel_credentials(ca, key, cert)

    def options(self) -> tuple[tuple[str, str], ...]:
        """Channel options that go with it."""
        return (("grpc.ssl_target_name_override", self.name),) if self.name else ()

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file is renewed: place, size and time of each; a file that is gone has none."""
        return tuple(_stamp(path) for path in (self.ca, self.cert, self.key) if path)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TargetLost(f"{path}: {error.strerror}") from error


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_size, status.st_mtime_ns
