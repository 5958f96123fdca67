"""Golden files: the rows at checkpoints, and what became of the packets, compared by what they mean."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from calico_p4.ci.measure import Measured
from calico_p4.dump import dump_lines
from calico_p4.inspect.objects import History
from calico_p4.inspect.origins import Origins
from calico_p4.inspect.scene import Scene

SAME, DIFFERS, MISSING, WRITTEN, LOOKED = "same", "differs", "missing", "written", "not compared"


class Checkpoint(NamedTuple):
    """A moment that was looked at. ``differences`` are lines that begin with "-" (in the golden file only) or "+" (only here)."""

    name: str
    frames: int
    rows: int
    state: str
    path: str | None
    differences: list[str]


class Goldens:
    """The golden files of one recording, in a folder; without a folder rows are counted only."""

    def __init__(self, recording: str, folder: str | None, update: bool) -> None:
        self._folder, self._update = (Path(folder) if folder else None), update
        self._stem = Path(recording).name.removesuffix(".gz").removesuffix(".felixstream")
        self.checkpoints: list[Checkpoint] = []

    def look(self, run: Measured) -> None:
        """Compare the rows of this moment. Raises OSError."""
        frames = run.frames_applied
        name = "in-sync" if frames == run.in_sync_frame else f"frame-{frames}"
        if not any(checkpoint.frames == frames for checkpoint in self.checkpoints):
            self._note(name, frames, dump_lines(run.driver), run)

    def end(self, run: Measured) -> None:
        """Compare the rows at the end, and what became of the packets. Raises OSError."""
        self._note("end", run.frames_applied, dump_lines(run.driver), run)
        if verdicts := run.verdicts():
            self._note("verdicts", run.frames_applied, list(map(verdict_line, verdicts)), None)

    def _note(self, name: str, frames: int, lines: Sequence[str], run: Measured | None) -> None:
        path = self._folder / f"{self._stem}.{name}.{'rows' if run else 'txt'}" if self._folder else None
        state, differences = self._compare(path, lines)
        if run is not None and differences:
            differences = list(_with_origins(differences, run))
        self.checkpoints.append(Checkpoint(name, frames, len(lines), state, str(path) if path else None, differences))

    def _compare(self, path: Path | None, lines: Sequence[str]) -> tuple[str, list[str]]:
        if path is None:
            return LOOKED, []
        expected = path.read_text().splitlines() if path.is_file() else None
        if expected == list(lines):
            return SAME, []
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines))
            return WRITTEN, []
        if expected is None:
            return MISSING, []
        there, here = set(expected), set(lines)
        return DIFFERS, [f"- {line}" for line in sorted(there - here)] + [f"+ {line}" for line in sorted(here - there)]


def verdict_line(answer: Mapping[str, Any]) -> str:
    """Return what became of a packet, in a line that names who decided."""
    from calico_p4.cli.trace import who

    decided = "".join(f"; {rule['stage']} {rule['action']} by {who(dict(rule))}" for rule in answer["policy"])
    return f"{answer['id']}: {answer['verdict']} ({answer['reason']}){' out by ' + answer['out'] if answer['out'] else ''}{decided}"


def _with_origins(differences: Iterable[str], run: Measured) -> Iterable[str]:
    """Put the object that asked for it behind every row that is here."""
    driver: Any = run.driver
    wanted = {line[2:] for line in differences if line[0] == "+"}
    origins = Origins(Scene(driver, None, History(), "", run.frames_applied, None))
    rows = [(table, key, value) for table in driver.tracker.desired.tables() for key, value in driver.tracker.desired.rows(table).items()]
    lines = driver.translator.canonical_lines(rows)
    owners = {line: origins.of(*row).text for line, row in zip(lines, rows, strict=True) if line in wanted}
    return (f"{line}   # {owners[line[2:]]}" if line[2:] in owners else line for line in differences)
