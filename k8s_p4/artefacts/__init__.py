"""What the compilers made of k8s.p4, committed: for PNA `.spec` assembly, P4Info (text and wire form) and context JSON; for v1model the
JSON that simple_switch_grpc takes and the P4Info (wire form); and one manifest.

`python -m k8s_p4.compile` makes them anew. `manifest.json` holds the SHA-256 of every source and of every artefact, the compiler's
version, and under `metadata` the name that each metadata field of interest has in the `.spec`.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from k8s_p4.p4rt import p4i
from k8s_p4.target.config import pack_device_config

MAIN: Final = "main_pna"
SPEC, P4INFO_TEXT, P4INFO_WIRE, CONTEXT = (f"{MAIN}.{suffix}" for suffix in ("spec", "p4info.txtpb", "p4info.pb", "context.json"))
V1MODEL: Final = "main_v1model"
V1MODEL_P4INFO, V1MODEL_JSON = f"{V1MODEL}.p4info.pb", f"{V1MODEL}.json"
MANIFEST: Final = "manifest.json"


def read(name: str) -> bytes:
    """The bytes of an artefact. Raises FileNotFoundError if the package was built without it."""
    return (resources.files(__name__) / name).read_bytes()


def manifest() -> dict[str, Any]:
    """The manifest: `compiler`, `sources` and `artefacts` (name to SHA-256), `metadata` (field to name in the `.spec`)."""
    content: dict[str, Any] = json.loads(read(MANIFEST))
    return content


def p4info(main: str = MAIN) -> Any:
    """The P4Info (p4.config.v1.P4Info) of one of the mains, parsed from its wire form: the text takes a hundred times as long."""
    return p4i.P4Info.FromString(read(f"{main}.p4info.pb"))


def device_config(main: str = MAIN) -> bytes:
    """The p4_device_config: of the embedded target, or of simple_switch_grpc."""
    if main == V1MODEL:
        return read(V1MODEL_JSON)
    return pack_device_config(read(SPEC), read(CONTEXT))
