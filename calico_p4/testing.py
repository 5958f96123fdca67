"""Felix streams in other people's test suites: a pytest plug-in, loaded by itself where calico-p4 is installed.

    def test_frontend_reaches_api(felix_stream):
        stream = felix_stream("cluster.felixstream")
        assert stream.send("shop/frontend-1", "payments/api-1", dport=8443).allowed

Paths are relative to the test file. Rows can be compared with a golden file, which ``pytest --felix-update-golden`` writes anew.
Outside of pytest `Stream` is used by itself, in a ``with``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from calico_p4.tools.stream import Stream, Verdict

__all__ = ["Stream", "Verdict", "felix_golden", "felix_stream"]
UPDATE = "--felix-update-golden"
Open = Callable[..., "Stream"]


def __getattr__(name: str) -> Any:
    """Import what is behind only when it is used: the plug-in is loaded in every run of pytest."""
    if name in ("Stream", "Verdict"):
        from calico_p4.tools import stream

        return getattr(stream, name)
    raise AttributeError(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes golden files anew."""
    parser.getgroup("calico-p4").addoption(UPDATE, action="store_true", help="Write the golden rows of Felix streams anew.")


@pytest.fixture
def felix_stream(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return a function that replays a recording: path, and the arguments of `Stream`; paths are relative to the test file."""
    with ExitStack() as stack:

        def replayed(recording: str | Path, after: int | None = None, ports: Sequence[Mapping[str, Any]] = (),
                     k8s: str | Path | None = None, config: Mapping[str, str] | None = None) -> "Stream":  # fmt: skip
            from calico_p4.tools.stream import Stream

            folder = request.path.parent
            return stack.enter_context(Stream(folder / recording, after, ports, folder / k8s if k8s is not None else None, config))

        yield replayed


@pytest.fixture
def felix_golden(request: pytest.FixtureRequest) -> Callable[["Stream", str | Path], None]:
    """Return a function that compares a stream's rows with a golden file, or writes it if so asked."""

    def check(stream: "Stream", path: str | Path) -> None:
        golden = request.path.parent / path
        rows = stream.rows()
        if request.config.getoption(UPDATE):
            golden.write_text("".join(f"{row}\n" for row in rows))
            return
        if not golden.is_file():
            pytest.fail(f"{golden}: no golden file; {UPDATE} writes it", pytrace=False)
        expected = golden.read_text().splitlines()
        lines = [f"- {row}" for row in expected if row not in set(rows)] + [f"+ {row}" for row in rows if row not in set(expected)]
        if lines:
            pytest.fail("\n".join((f"{golden}: {len(lines)} rows differ ({UPDATE} takes them over)", *lines[:50])), pytrace=False)

    return check
