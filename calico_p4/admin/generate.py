"""Writes admin_pb2.py from admin.proto: ``python -m calico_p4.admin.generate`` (needs grpcio-tools).

The module holds the serialized descriptor alone, so it serves every supported release of protobuf.
"""

import importlib
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]
PROTO = "calico_p4/admin/admin.proto"
MODULE = "calico_p4/admin/admin_pb2.py"
_BYTES_A_LINE = 60


def generate() -> str:
    """Run protoc; return the text of the module."""
    protoc = importlib.import_module("grpc_tools.protoc")  # late: only developers have it
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        if protoc.main(["protoc", f"-I{ROOT}", f"--descriptor_set_out={out}", PROTO]) != 0:
            raise RuntimeError(f"protoc failed on {PROTO}")
        data = FileDescriptorSet.FromString(out.read_bytes()).file[0].SerializeToString(deterministic=True)
    lines = "\n".join(f'    "{data[at : at + _BYTES_A_LINE].hex()}"' for at in range(0, len(data), _BYTES_A_LINE))
    note = "Generated from admin.proto by calico_p4.admin.generate: do not edit."
    return f'"""{note}"""\n\nfrom k8s_p4.p4rt import load_file\n\nglobals().update(vars(load_file(bytes.fromhex(\n{lines}\n))))  # fmt: skip\n'


if __name__ == "__main__":
    (ROOT / MODULE).write_text(generate(), encoding="utf-8")
