"""The embedded target behind a socket (being built)."""

from k8s_p4.target.options import Options


class Server:
    """A running server."""

    address: str

    def stop(self) -> None:
        """End it."""

    def wait(self) -> None:
        """Until it ends."""


def serve(address: str, options: Options | None = None) -> Server:
    """Serve on `unix:PATH` or `HOST:PORT`."""
    raise NotImplementedError
