"""Make the engine and compiled programs: `.spec` to C by DPDK's own generator, C to a library by the machine's compiler.

What is made is kept (`$XDG_CACHE_HOME/calico-p4/dpdk`, else `~/.cache/...`) under a name made of what went into it.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

HEADERS = "CALICO_P4_DPDK_HEADERS"
"""Names the directory with the two internal headers; default: `headers` in the directory of what was made."""
_NEEDED = ("rte_swx_pipeline_internal.h", "rte_swx_pipeline_spec.h")
_VERSION = "22.11"
_LIBRARIES = ("rte_pipeline", "rte_port", "rte_table", "rte_acl", "rte_meter", "rte_hash", "rte_mempool", "rte_mempool_ring", "rte_mbuf", "rte_ring", "rte_eal")
# DPDK 22.11 looks the output port up in an array without a check of its length; ports in memory have no array (engine.c).
_PORT, _OUR_PORT = "&p->out[port_id]", "engine_out(p, port_id)"
_PROLOGUE = f"""\
#define _GNU_SOURCE
#include <stdint.h>
#include <rte_cycles.h>
struct port_out_runtime;
struct rte_swx_pipeline;
uint64_t engine_clock(void);
struct port_out_runtime *{_OUR_PORT.replace("p,", "struct rte_swx_pipeline *p,").replace("port_id", "uint64_t port_id")};
#define rte_get_tsc_cycles engine_clock
"""


class DpdkMissing(RuntimeError):
    """DPDK, its headers or a compiler are not there, or of another release; the message says what to install."""


def cache() -> Path:
    """Where what was made is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calico-p4" / "dpdk"


def headers() -> Path:
    """The directory of the internal headers.

    Raises:
        DpdkMissing: a header is not there.
    """
    where = Path(os.environ.get(HEADERS) or cache() / "headers")
    for name in _NEEDED:
        if not (where / name).is_file():
            raise DpdkMissing(f"no libdpdk: {name} of DPDK {_VERSION}'s source package is not in {where} ({HEADERS} names another directory)")
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
        headers()
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
    source = resources.files(__package__).joinpath("engine.c").read_text(encoding="utf-8")
    return _compile("engine", _PROLOGUE + source, ("-Wl,--no-as-needed", *(f"-l{name}" for name in _LIBRARIES)))


@functools.lru_cache(maxsize=16)
def program(spec: str, library: ctypes.CDLL) -> Path:
    """The compiled program of an assembly; `library` is the loaded engine.

    Raises:
        ValueError: DPDK refuses the assembly; names the line.
    """
    return _compile("program", _PROLOGUE + generate(spec, library), ())


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
def _patched_header() -> str:
    text = (headers() / _NEEDED[0]).read_text(encoding="utf-8")
    if _PORT not in text:
        raise DpdkMissing(f"no libdpdk: {_NEEDED[0]} is not that of DPDK {_VERSION}")
    return text.replace(_PORT, _OUR_PORT)


def _compile(stem: str, source: str, libraries: tuple[str, ...]) -> Path:
    digest = hashlib.sha256("\0".join((source, _patched_header(), *_flags(), *libraries)).encode()).hexdigest()
    made = cache() / f"{stem}-{digest[:16]}.so"
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        code, out = Path(scratch, "code.c"), Path(scratch, "code.so")
        code.write_text(source, encoding="utf-8")
        Path(scratch, _NEEDED[0]).write_text(_patched_header(), encoding="utf-8")
        shutil.copy(headers() / _NEEDED[1], scratch)
        command = ["gcc", "-O2", "-w", "-fPIC", "-shared", "-DALLOW_EXPERIMENTAL_API", *_flags(), str(code), "-o", str(out), *libraries]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise DpdkMissing(f"no libdpdk: the compiler failed: {result.stderr.strip()[:2000]}")
        out.replace(made)  # at once, so that nobody loads half a file
    return made
