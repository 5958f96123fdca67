"""Writes embedded_pb2.py and its stub from embedded.proto: ``python -m k8s_p4.target.generate`` (needs grpcio-tools).

The module holds the serialized descriptor alone, so it serves every supported release of protobuf, which protoc's own output
does not: that asks for a runtime at least as new as itself.
"""

import importlib
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]
PROTO = "k8s_p4/target/embedded.proto"
_BYTES_A_LINE = 60
_NOTE = "Generated from embedded.proto by k8s_p4.target.generate: do not edit."
_STUB_HEADER = f'# {_NOTE}\n# ruff: noqa\n# mypy: disable-error-code="type-arg"\n'


def generate() -> dict[str, str]:
    """Run protoc; return the text of the generated files by path relative to the root."""
    with tempfile.TemporaryDirectory() as folder:
        _protoc(Path(folder))
        descriptors = FileDescriptorSet.FromString((Path(folder) / "set").read_bytes())
        stub = (Path(folder) / PROTO.replace(".proto", "_pb2.pyi")).read_text(encoding="utf-8")
    return {
        PROTO.replace(".proto", "_pb2.py"): _module(descriptors.file[0].SerializeToString(deterministic=True)),
        PROTO.replace(".proto", "_pb2.pyi"): _STUB_HEADER + stub,
    }


def _protoc(folder: Path) -> None:
    protoc = importlib.import_module("grpc_tools.protoc")  # late: only developers have it
    arguments = ["protoc", f"-I{ROOT}", f"--descriptor_set_out={folder}/set", f"--pyi_out={folder}", PROTO]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed: " + " ".join(arguments))


def _module(data: bytes) -> str:
    lines = "\n".join(f'    "{data[at : at + _BYTES_A_LINE].hex()}"' for at in range(0, len(data), _BYTES_A_LINE))
    return f'"""{_NOTE}"""\n\nfrom k8s_p4.p4rt import load_file\n\nglobals().update(vars(load_file(bytes.fromhex(\n{lines}\n))))  # fmt: skip\n'


if __name__ == "__main__":
    for path, text in generate().items():
        (ROOT / path).write_text(text, encoding="utf-8")
