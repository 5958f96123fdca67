"""The same bytes twice, in two processes whose sets and hashes are ordered otherwise: the answers must not differ."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from calico_p4.files import BadFile

_SEEDS = ("1", "2")
_NOT_COMPARED = ("writes",)
"""How rows are packed into writes follows the order of sets."""


def replay_twice(arguments: Sequence[str]) -> dict[str, Any]:
    """Replay with the command line's own ``arguments`` under two hash seeds; returns ``same`` and the ``differences`` as lines.

    Raises:
        BadFile: a replay came to nothing.
    """
    (first, rows), (second, other_rows) = (_once(arguments, seed) for seed in _SEEDS)
    differences = [f"{name}: {first[name]!r} and {second[name]!r}" for name in first if name not in _NOT_COMPARED and first[name] != second[name]]
    differences += [f"- {row}" for row in sorted(set(rows) - set(other_rows))] + [f"+ {row}" for row in sorted(set(other_rows) - set(rows))]
    return {"same": not differences and rows == other_rows, "differences": differences}


def _once(arguments: Sequence[str], seed: str) -> tuple[dict[str, Any], list[str]]:
    with TemporaryDirectory() as folder:
        dump = Path(folder, "rows")
        command = [sys.executable, "-m", "calico_p4", "replay", *arguments, "--dump", str(dump), "-o", "json"]
        result = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False)
        if not result.stdout or not dump.is_file():
            raise BadFile(result.stderr.strip() or f"a replay ended with status {result.returncode}")
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer, dump.read_text().splitlines()
