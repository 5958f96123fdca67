"""Compile the engine against the DPDK that is installed.

What is made is kept (`$XDG_CACHE_HOME/calico-p4/dpdk`, else `~/.cache/...`) under a name made of what went into it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

SOURCE = "CALICO_P4_DPDK_SOURCE"
"""Names the directory with the internal header of DPDK's lib/pipeline; default: `source` in the directory of what was made."""
HEADER = "rte_swx_pipeline_internal.h"
_VERSION = "22.11"
_LIBRARIES = ("pipeline", "table", "meter", "eal")


class DpdkMissing(RuntimeError):
    """DPDK, its headers or a compiler are not there, or of another release; the message says what to install."""


def cache() -> Path:
    """Where what was made is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calico-p4" / "dpdk"


def source() -> Path:
    """The directory of the internal header.

    Raises:
        DpdkMissing: it is not there.
    """
    where = Path(os.environ.get(SOURCE) or cache() / "source")
    if not (where / HEADER).is_file():
        raise DpdkMissing(f"no libdpdk: {HEADER} of DPDK {_VERSION}'s source package is not in {where} ({SOURCE} names another directory)")
    return where


@functools.cache
def _flags() -> tuple[str, ...]:
    if shutil.which("gcc") is None or shutil.which("pkg-config") is None:
        raise DpdkMissing("no libdpdk: gcc and pkg-config are needed")
    version = _package("--modversion")
    if not version.startswith(_VERSION):
        raise DpdkMissing(f"no libdpdk: the package libdpdk-dev {_VERSION} is needed, found {version.strip() or 'none'}")
    return ("-DALLOW_EXPERIMENTAL_API", *_package("--cflags").split())


def _package(what: str) -> str:
    return subprocess.run(["pkg-config", what, "libdpdk"], capture_output=True, text=True, check=False).stdout


def missing() -> str:
    """What DPDK lacks here, "" if nothing; a quick look that compiles and starts nothing."""
    try:
        source()
        _flags()
    except DpdkMissing as error:
        return str(error)
    return ""


@functools.cache
def engine() -> Path:
    """The compiled engine.

    Raises:
        DpdkMissing: something it is made of is not there.
    """
    code = resources.files(__package__).joinpath("engine.c").read_bytes()
    header = (source() / HEADER).read_bytes()
    libraries = ("-Wl,--no-as-needed", *(f"-lrte_{name}" for name in _LIBRARIES))
    digest = hashlib.sha256(b"\0".join((code, header, *(each.encode() for each in (*_flags(), *libraries))))).hexdigest()
    made = cache() / f"engine-{digest[:16]}.so"
    if not made.exists():
        _compile(code, made, libraries)
    return made


def _compile(code: bytes, made: Path, libraries: tuple[str, ...]) -> None:
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        file, out = Path(scratch, "engine.c"), Path(scratch, "out.so")
        file.write_bytes(code)
        command = ["gcc", "-O2", "-w", "-fPIC", "-shared", *_flags(), f"-I{source()}", str(file), "-o", str(out), *libraries]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise DpdkMissing(f"no libdpdk: the compiler failed: {result.stderr.strip()[:2000]}")
        out.replace(made)  # at once, so that nobody loads half a file
