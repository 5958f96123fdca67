"""Make the engine and compiled programs: `.spec` to C by DPDK's own generator, C to a library by the machine's compiler.

What is made is kept (`$XDG_CACHE_HOME/calico-p4/dpdk`, else `~/.cache/...`) under a name made of what went into it.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

SOURCE = "CALICO_P4_DPDK_SOURCE"
"""Names the directory with the files needed of DPDK's lib/pipeline and lib/table; default: `source` in the directory of what was made."""
_FILES = ("rte_swx_pipeline.c", "rte_swx_ctl.c", "rte_swx_pipeline_spec.c", "rte_swx_pipeline_internal.h", "rte_swx_pipeline_spec.h",
          "rte_swx_table_learner.c", "rte_swx_keycmp.c", "rte_swx_keycmp.h")  # fmt: skip
_INCLUDED = "rte_swx_table_learner.c"  # by engine.c
_VERSION = "22.11"
_LIBRARIES = ("port", "table", "acl", "meter", "hash", "mempool", "mempool_ring", "mbuf", "ring", "ethdev", "eal")
# Some 100 runs of instructions between look-ups are what DPDK has room for by itself; a program of ours has more.
_DEFINES = ("-DALLOW_EXPERIMENTAL_API", "-DRTE_SWX_PIPELINE_INSTRUCTION_TABLE_SIZE_MAX=4096")
# What differs from DPDK's own build, by names: lists of the same name as those of librte_pipeline, which DPDK's drivers load with them; an
# operand's offset in its struct, which has eight bits there, and nothing checks that it fits: metadata beyond byte 255 is other metadata;
# meters have a clock of their own (engine.c);
# and the output port, which DPDK 22.11 looks up in an array without a check of its length (ports in memory have no array, engine.c).
_CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "rte_swx_pipeline_internal.h": (
        (r"&(\w+)->out\[(\w+)\]", r"engine_out(\1, \2)"),
        (r"\buint8_t(\s+\w*offset;)", r"uint16_t\1"),
        (r"\ttime = rte_get_tsc_cycles\(\)", "\ttime = engine_meter_clock()"),
    ),
    "rte_swx_pipeline.c": ((r"\(uint8_t\)(?=\w+->offset)", ""), (r'"(?=RTE_SWX_PIPELINE")', '"OUR_')),
    "rte_swx_ctl.c": ((r'"(?=RTE_SWX_CTL_PIPELINE")', '"OUR_'),),
}
_PROLOGUE = """\
#define _GNU_SOURCE
#include <stdint.h>
#include <rte_cycles.h>
struct port_out_runtime;
struct rte_swx_pipeline;
uint64_t engine_clock(void);
uint64_t engine_meter_clock(void);
struct port_out_runtime *engine_out(struct rte_swx_pipeline *p, uint64_t port_id);
#define rte_get_tsc_cycles engine_clock
uint64_t engine_hz(void);
#define rte_get_tsc_hz engine_hz
"""


class DpdkMissing(RuntimeError):
    """DPDK, its headers or a compiler are not there, or of another release; the message says what to install."""


def cache() -> Path:
    """Where what was made is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calico-p4" / "dpdk"


def source() -> Path:
    """The directory of DPDK's files.

    Raises:
        DpdkMissing: a file is not there.
    """
    where = Path(os.environ.get(SOURCE) or cache() / "source")
    for name in _FILES:
        if not (where / name).is_file():
            raise DpdkMissing(f"no libdpdk: {name} of DPDK {_VERSION}'s source package is not in {where} ({SOURCE} names another directory)")
    return where


@functools.cache
def _flags() -> tuple[str, ...]:
    if shutil.which("gcc") is None or shutil.which("pkg-config") is None:
        raise DpdkMissing("no libdpdk: gcc and pkg-config are needed")
    version = _package("--modversion")
    if not version.startswith(_VERSION):
        raise DpdkMissing(f"no libdpdk: the package libdpdk-dev {_VERSION} is needed, found {version.strip() or 'none'}")
    return tuple(_package("--cflags").split())


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
    text = resources.files(__package__).joinpath("engine.c").read_text(encoding="utf-8")
    texts = [_PROLOGUE + text, *(_PROLOGUE + _changed()[name] for name in _FILES if name.endswith(".c") and name != _INCLUDED)]
    return _compile("engine", texts, ("-Wl,--no-as-needed", *(f"-lrte_{name}" for name in _LIBRARIES)))


@functools.lru_cache(maxsize=16)
def program(spec: str, library: ctypes.CDLL) -> Path:
    """The compiled program of an assembly; `library` is the loaded engine.

    Raises:
        ValueError: DPDK refuses the assembly; names the line.
    """
    return _compile("program", [_PROLOGUE + generate(spec, library)], ())


def generate(spec: str, library: ctypes.CDLL) -> str:
    """The C that DPDK makes of an assembly; raises ValueError with the line it refuses."""
    line, message = ctypes.c_uint32(), ctypes.c_char_p()
    with tempfile.TemporaryDirectory() as scratch:
        assembly, code = Path(scratch, "pipeline.spec"), Path(scratch, "pipeline.c")
        assembly.write_text(spec, encoding="utf-8")
        status = library.engine_codegen(bytes(assembly), bytes(code), ctypes.byref(line), ctypes.byref(message))
        if status:
            raise ValueError(f"pipeline.spec line {line.value}: DPDK: {(message.value or b'').decode()} (error {status})")
        return code.read_text(encoding="utf-8")


@functools.cache
def _changed() -> dict[str, str]:
    """DPDK's files by name, with the changes."""
    texts = {name: (source() / name).read_text(encoding="utf-8") for name in _FILES}
    for name, changes in _CHANGES.items():
        for pattern, new in changes:
            texts[name], times = re.subn(pattern, new, texts[name])
            if not times:
                raise DpdkMissing(f"no libdpdk: {name} is not that of DPDK {_VERSION}: nothing matches {pattern!r}")
    return texts


def _compile(stem: str, texts: list[str], libraries: tuple[str, ...]) -> Path:
    headers = {name: text for name, text in _changed().items() if name.endswith(".h") or name == _INCLUDED}
    digest = hashlib.sha256("\0".join((*texts, *headers.values(), *_DEFINES, *_flags(), *libraries)).encode()).hexdigest()
    made = cache() / f"{stem}-{digest[:16]}.so"
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        files = [Path(scratch, f"{number}.c") for number in range(len(texts))]
        for file, text in ((*zip(files, texts, strict=True), *((Path(scratch, name), text) for name, text in headers.items()))):
            file.write_text(text, encoding="utf-8")
        out = Path(scratch, "out.so")
        command = ["gcc", "-O2", "-w", "-fPIC", "-shared", *_DEFINES, *_flags(), *map(str, files), "-o", str(out), *libraries]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise DpdkMissing(f"no libdpdk: the compiler failed: {result.stderr.strip()[:2000]}")
        out.replace(made)  # at once, so that nobody loads half a file
    return made
