"""Where a command gets its answers: a recording, a bundle, or the running driver; and how it ends when it gets none.

Exit status of every command that asks: 0 there is an answer; 1 the answer is no (no such object, a difference, a failed check);
2 an argument or a file can't be used; 3 the driver or the target can't be reached, or refuses.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import click

NO, UNUSABLE, UNREACHABLE = 1, 2, 3
_OBJECTS = "calico_p4.k8s"
ADMIN_VARIABLE = "CALICO_P4_ADMIN"
DEFAULT_ADMIN = "unix:/run/calico-p4/admin.sock"


class Source(Protocol):
    """Something that answers questions (`calico_p4.inspect.questions`)."""

    def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer, as data."""

    def close(self) -> None:
        """Let go."""


class _Bundle:
    """A bundle: what ``get`` answers is in it; for other questions its state is built."""

    def __init__(self, path: str) -> None:
        self._path, self._scene = path, _Scene(self._build)

    def _build(self) -> Any:
        from calico_p4.inspect.bundle import open_bundle

        return open_bundle(self._path)

    def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer."""
        if question == "get" and not any(value for name, value in arguments.items() if name != "kind"):
            return read_answer(self._path, arguments["kind"])
        return self._scene.ask(question, arguments)

    def close(self) -> None:
        """End its switch."""
        self._scene.close()


def read_answer(path: str, kind: str) -> Any:
    """Return what ``get`` answered when the bundle was made; reads nothing else of it, for this is to be quick."""
    import json
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(f"answers/{kind}.json"))
    except KeyError:
        fail(f"{path}: no bundle: it has no answers/{kind}.json", UNUSABLE)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        fail(f"{path}: {getattr(error, 'strerror', None) or error}", UNUSABLE)


class _Scene:
    """A recording, replayed when the first question comes."""

    def __init__(self, open_scene: Callable[[], Any]) -> None:
        self._open = open_scene
        self._scene: Any = None

    def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer."""
        from calico_p4.inspect.questions import answer

        if self._scene is None:
            self._scene = self._open()
        return answer(self._scene, question, arguments)

    def close(self) -> None:
        """End its switch."""
        if self._scene is not None:
            self._scene.close()


def source_options(function: Any) -> Any:
    """Add what says where answers come from: SOURCE, --at, --ports and --k8s, which waits in the context for `asking`."""
    objects = click.option("--k8s", metavar="FILE", expose_value=False, callback=_keep_objects, help="Kubernetes objects, as for replay --k8s.")
    function = objects(function)
    function = click.option("--ports", metavar="FILE", help="Ports of the replay, as for replay --ports.")(function)
    at = click.option("--at", "--until", type=click.IntRange(min=0), metavar="N", help="A recording's state after its first N frames.")
    return click.argument("source", required=False)(at(function))


def _keep_objects(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    context.meta[_OBJECTS] = value


@contextmanager
def asking(source: str | None, at: int | None = None, ports: str | None = None, packets: str | None = None) -> Iterator[Source]:
    """Open a source: a recording, "-", a bundle, unix:PATH of a driver's admin socket, or None for that of the driver on this machine."""
    path = source or ""
    recorded = bool(path) and not path.startswith("unix:") and not is_bundle(path)
    context = click.get_current_context(silent=True)
    k8s = context.meta.get(_OBJECTS) if context is not None else None
    if not recorded and any(given is not None for given in (at, ports, packets, k8s)):
        raise click.UsageError("--at, --ports, --k8s and --packets are for recordings; a bundle is one moment, a driver is asked about now")
    with failing():
        opened = _recording(path, at, ports, packets, k8s) if recorded else _Bundle(path) if path and not path.startswith("unix:") else driver_at(source)
        try:
            yield opened
        finally:
            opened.close()


def is_bundle(path: str) -> bool:
    """Tell a bundle, which is a zip archive, from a recording; what can't be read is a recording, and complained of as one."""
    if path == "-":
        return False
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _recording(path: str, at: int | None, ports: str | None, packets: str | None, k8s: str | None) -> Source:
    def replay() -> Any:
        from calico_p4.inspect.scene import replayed
        from calico_p4.kubernetes_file import load_events
        from calico_p4.ports import load_ports

        with reading(path):
            scene = replayed(path, at, load_ports(ports) if ports else (), load_events(k8s) if k8s else None)
        if packets is not None:
            from calico_p4.inspect.scene import send_all
            from calico_p4.packets import load_packets

            send_all(scene, load_packets(packets))
        return scene

    return _Scene(replay)


def driver_at(address: str | None) -> Any:
    """Connect to a running driver's admin socket, or end the program."""
    from calico_p4.admin.client import AdminClient
    from calico_p4.p4runtime.errors import TargetLost

    try:
        return AdminClient(address or os.environ.get(ADMIN_VARIABLE) or DEFAULT_ADMIN)
    except TargetLost as error:
        fail(f"{error}{'' if address else '; give a recording, a bundle or unix:PATH as SOURCE'}", UNREACHABLE)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Name the file in the errors of reading it."""
    from felix_proto.decode import DecodeError
    from felix_proto.framing import FrameError

    try:
        yield
    except (FrameError, DecodeError) as error:
        fail(f"{path}: {error}", UNUSABLE)
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror or error}", UNUSABLE)


@contextmanager
def failing() -> Iterator[None]:
    """End the program with a message and the exit status for whatever can go wrong in asking."""
    try:
        yield
    except click.ClickException:
        raise
    except Exception as error:
        status = _status_of(error)
        if status is None:
            raise
        fail(str(error), status)


def _status_of(error: Exception) -> int | None:
    from calico_p4.files import BadFile
    from calico_p4.inspect.matching import Disagreement
    from calico_p4.inspect.suggest import Unknown
    from calico_p4.p4runtime.errors import TargetError

    if isinstance(error, BadFile):
        return UNUSABLE
    if isinstance(error, TargetError):
        return UNREACHABLE
    return NO if isinstance(error, Disagreement | Unknown) else None


def fail(text: str, status: int) -> NoReturn:
    """Print a message and end."""
    click.echo(f"calico-p4: {text}", err=True)
    sys.exit(status)


def show_data(answer: Any, output: str) -> bool:
    """Print an answer as JSON or YAML, if that is asked for; tells whether it was."""
    if output == "json":
        import json

        click.echo(json.dumps(answer, indent=1))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(answer, sort_keys=False), nl=False)
    return output in ("json", "yaml")
