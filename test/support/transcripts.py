"""Transcripts in documents: blocks marked ``console``, in which a line "$ calico-p4 ..." is followed by what it prints.

A line "[...]" stands for any number of lines. ``python -m test.support.transcripts docs/questions.md`` runs the commands and writes what
they print now; a transcript that had a "[...]" at its end keeps as many lines as it had.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from test.support.shared import ROOT

CUT = "[...]"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Transcript(NamedTuple):
    """A command without the program's name, and the lines that the document shows."""

    command: str
    shown: list[str]


def transcripts(path: Path) -> list[Transcript]:
    """Return the transcripts of a document."""
    return [transcript for block in _BLOCK.findall(path.read_text()) for transcript in _split(block)]


def _split(block: str) -> Iterator[Transcript]:
    for part in re.split(r"^\$ calico-p4 ", block, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        yield Transcript(command, shown)


def printed(command: str) -> tuple[int, list[str]]:
    """Run a command; returns its exit status and the lines it prints, errors after the rest."""
    import shlex

    arguments = [sys.executable, "-m", "calico_p4", *shlex.split(command)]
    result = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    return result.returncode, (result.stdout + result.stderr).splitlines()


def agrees(shown: list[str], lines: list[str]) -> bool:
    """Whether lines are as shown; "[...]" stands for any number of them."""
    if CUT not in shown:
        return shown == lines
    place = shown.index(CUT)
    before, after = shown[:place], shown[place + 1 :]
    if lines[:place] != before:
        return False
    return any(agrees(after, lines[start:]) for start in range(place, len(lines) + 1)) if after else True


def rewritten(text: str) -> str:
    """Return a document with its transcripts made anew."""
    return _BLOCK.sub(lambda match: "```console\n" + "".join(map(_again, _split(match.group(1)))) + "```", text)


def _again(old: Transcript) -> str:
    lines = printed(old.command)[1]
    if CUT in old.shown:
        lines = [*lines[: old.shown.index(CUT)], CUT]
    return "\n".join([f"$ calico-p4 {old.command}", *lines]) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(rewritten(Path(name).read_text()))
