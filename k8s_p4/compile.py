"""Make the artefacts anew from the P4 sources: `python -m k8s_p4.compile`.

Runs p4c-dpdk over `p4/main_pna.p4` and writes into `artefacts/` the `.spec`, the P4Info (text and wire form), the context JSON and
the manifest, and `compile_v1model` the same for BMv2; beside this file the two modules generated from the P4Info: `schema.py` and `row_types.py`. All are
committed, and a test compares the hashes in the manifest with the files. What differs from run to run, or names a machine (build date, command line),
is left out of the context JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format

from k8s_p4 import compile_v1model, generate
from k8s_p4.compile_v1model import CompileError
from k8s_p4.p4rt import p4i

PACKAGE: Final = Path(__file__).parent
SOURCES: Final = PACKAGE / "p4"
ARTEFACTS: Final = PACKAGE / "artefacts"
COMPILER: Final = "p4c-dpdk"
MAIN: Final = "main_pna"
STAGES: Final = ("untracked_ingress", "untracked_egress", "pre_dnat", "forward_ingress", "egress", "ingress", "forward_egress")
METADATA: Final = ("reason", "reject", *(f"{stage}_slot" for stage in STAGES), "in_endpoint", "out_endpoint", "tunnel", "peer")
# The compiler gives every table that learns the same eight timeouts; these are those of session affinity, in seconds (Kubernetes's
# ClientIP affinity lasts 3 hours unless configured, at most a day).
AFFINITY_TIMEOUTS: Final = (10, 60, 300, 900, 1800, 3600, 10800, 86400)
_AFFINITY_LEARNER: Final = re.compile(rb"(?s)(learner \w+_affinity_v[46] \{.*?timeout \{\n)([\d\s]*?)(\n\s*\})")
_SPEC_METADATA: Final = "local_metadata_{}"
# Constants of the architecture's own header that we don't use; keys that the compiler copies to metadata; variables of the
# policy stages that a table's action sets before a hit lets them be read.
_QUIET: Final = ("unused", "mismatch", "uninitialized-use")


def sources() -> dict[str, bytes]:
    """The P4 sources by path below `p4/`, sorted."""
    return {str(path.relative_to(SOURCES)): path.read_bytes() for path in sorted(SOURCES.rglob("*.p4"))}


def digests(files: dict[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, hexadecimal."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def compile_sources(compiler: str = COMPILER) -> dict[str, bytes]:
    """Run the compiler over the sources; return the artefacts by name, without the manifest.

    Raises:
        CompileError: no such compiler on PATH, or it refused the program.
    """
    path = compile_v1model.located(compiler)
    with tempfile.TemporaryDirectory() as folder:
        _run(path, Path(folder))
        made = {name: (Path(folder) / f"{MAIN}.{name}").read_bytes() for name in ("spec", "p4info.txtpb", "context.json")}
    p4info = text_format.Parse(made["p4info.txtpb"].decode(), p4i.P4Info())
    return {
        f"{MAIN}.spec": _with_affinity_timeouts(made["spec"]),
        f"{MAIN}.p4info.txtpb": made["p4info.txtpb"],
        f"{MAIN}.p4info.pb": p4info.SerializeToString(deterministic=True),
        f"{MAIN}.context.json": _without_machine(made["context.json"]),
    }


def _run(compiler: str, folder: Path) -> None:
    out = folder / MAIN
    quiet = [f"--Wdisable={kind}" for kind in _QUIET]
    command = [compiler, *quiet, "--arch", "pna", "-I", ".", "--p4runtime-files", f"{out}.p4info.txtpb", "--context", f"{out}.context.json",
               "-o", f"{out}.spec", f"{MAIN}.p4"]  # fmt: skip
    result = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CompileError(f"{compiler} ended with {result.returncode}:\n{result.stderr}")


def _with_affinity_timeouts(spec: bytes) -> bytes:
    lines = "\n".join(f"\t\t{seconds}" for seconds in AFFINITY_TIMEOUTS).encode()
    changed, count = _AFFINITY_LEARNER.subn(rb"\g<1>" + lines + rb"\n\g<3>", spec)
    if count != len(("v4", "v6")):
        raise CompileError(f"{MAIN}.spec: {count} learners of session affinity instead of 2")
    return changed


def _without_machine(context: bytes) -> bytes:
    content = json.loads(context)
    for field in ("build_date", "compile_command"):
        content.pop(field, None)
    return (json.dumps(content, indent=1) + "\n").encode()


def manifest(artefacts: dict[str, bytes], version: str) -> bytes:
    """The manifest of these artefacts and the present sources; `version` is the compiler's."""
    spec = artefacts[f"{MAIN}.spec"].decode()
    names = {field: _SPEC_METADATA.format(field) for field in METADATA}
    for name in names.values():
        if not re.search(rf"^\tbit<\d+> {name}$", spec, re.MULTILINE):
            raise CompileError(f"{MAIN}.spec: no metadata field {name}")
    content = {"compiler": version, "sources": digests(sources()), "artefacts": digests(artefacts), "metadata": names}
    return (json.dumps(content, indent=1) + "\n").encode()


def compiler_version(context: bytes) -> str:
    """The version that the compiler wrote into its context JSON."""
    return f"{COMPILER} {json.loads(context)['compiler_version']}"


def outputs(compiler: str = COMPILER) -> Iterator[tuple[Path, bytes]]:
    """Every file that a compilation makes, with its content."""
    artefacts = compile_sources(compiler) | compile_v1model.compile_v1model(SOURCES)
    version = compiler_version(artefacts[f"{MAIN}.context.json"])
    for name, content in artefacts.items():
        yield ARTEFACTS / name, content
    yield ARTEFACTS / "manifest.json", manifest(artefacts, version)
    yield from generated(p4i.P4Info.FromString(artefacts[f"{MAIN}.p4info.pb"]))


def generated(p4info: Any) -> Iterator[tuple[Path, bytes]]:
    """The modules made from the P4Info, with their content."""
    yield PACKAGE / "schema.py", generate.schema(p4info).encode()
    yield PACKAGE / "row_types.py", generate.row_types(p4info).encode()


def main() -> int:
    """Compile and write; return the exit status."""
    try:
        for path, content in list(outputs()):
            path.write_bytes(content)
            print(f"{path.relative_to(PACKAGE)}: {len(content)} bytes")
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
