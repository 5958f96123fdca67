"""The artefacts for v1model: p4c-bm2-ss over `p4/main_v1model.p4`, part of `python -m k8s_p4.compile`.

The compiler runs three times: to preprocess; over the program as it is, for the P4Info, which it writes before it refuses a table applied
several times; and over the program unfolded (`calls.py`), for the JSON that simple_switch_grpc takes, which is then folded.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format

from k8s_p4.calls import FoldError, fold, unfold
from k8s_p4.p4rt import p4i

COMPILER: Final = "p4c-bm2-ss"
MAIN: Final = "main_v1model"
_QUIET: Final = ("unused", "uninitialized-use", "invalid-header")
_REFUSAL: Final = "back to itself"


class CompileError(Exception):
    """The compiler is absent or refused the program; the text is what it said."""


def located(compiler: str) -> str:
    """The path of a compiler. Raises CompileError: it is not on PATH."""
    path = shutil.which(compiler)
    if path is None:
        raise CompileError(f"{compiler} is not on PATH: the artefacts stay as they are")
    return path


def compile_v1model(sources: Path, compiler: str = COMPILER) -> dict[str, bytes]:
    """The artefacts by name: the P4Info in wire form, and the JSON.

    Raises:
        CompileError: no such compiler on PATH, or it refused the program.
    """
    path = located(compiler)
    with tempfile.TemporaryDirectory() as folder:
        p4info = _p4info(path, sources, Path(folder) / "p4info.txtpb")
        program = Path(folder) / f"{MAIN}.p4"
        program.write_text(unfold(_run(path, sources, "-E", f"{MAIN}.p4")), encoding="utf-8")
        made = Path(folder) / f"{MAIN}.json"
        _run(path, sources, "--nocpp", "-o", str(made), str(program))
        try:
            folded = fold(made.read_bytes())
        except FoldError as error:
            raise CompileError(str(error)) from error
    return {f"{MAIN}.p4info.pb": p4info.SerializeToString(deterministic=True), f"{MAIN}.json": folded}


def _p4info(compiler: str, sources: Path, made: Path) -> Any:
    _run(compiler, sources, "--p4runtime-files", str(made), "-o", f"{made}.json", f"{MAIN}.p4", refusal=_REFUSAL)
    return text_format.Parse(made.read_text(encoding="utf-8"), p4i.P4Info())


def _run(compiler: str, sources: Path, *arguments: str, refusal: str = "") -> str:
    """What the compiler wrote to its standard output. ``refusal``: what it may complain of."""
    command = [compiler, "-I", ".", *(f"--Wdisable={kind}" for kind in _QUIET), *arguments]
    result = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    preprocessed = "-E" in arguments and result.stdout and not result.stderr  # it ends with 1 all the same
    if result.returncode and not preprocessed and not (refusal and refusal in result.stderr):
        raise CompileError(f"{Path(compiler).name} ended with {result.returncode}:\n{result.stderr}")
    return result.stdout
