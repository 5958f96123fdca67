"""The p4_device_config of the embedded target: one ZIP archive of what p4c-dpdk wrote."""

from __future__ import annotations

import io
import zipfile
from typing import NamedTuple

from k8s_p4.target.errors import LoadError

SPEC, CONTEXT, ENTRIES = "pipeline.spec", "context.json", "entries.txtpb"
# A fixed date: the same inputs give the same bytes, so a cookie made of them is stable.
_DATE = (1980, 1, 1, 0, 0, 0)
_SIZE_BOUND = 64 << 20


class DeviceConfig(NamedTuple):
    """The texts of the assembly, of p4c's context JSON, and of p4c's const entries (a p4.v1.WriteRequest; "" if none)."""

    spec: str
    context: str
    entries: str


def pack_device_config(spec: str | bytes, context: str | bytes, entries: str | bytes = "") -> bytes:
    """Pack p4c's outputs (-o, --context, --p4runtime-entries-files in text form) into a p4_device_config."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in ((SPEC, spec), (CONTEXT, context), (ENTRIES, entries)):
            if text:
                archive.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack_device_config(data: bytes) -> DeviceConfig:
    """Unpack a p4_device_config.

    Raises:
        LoadError: not a ZIP archive, a member missing, unknown, too large (64 MiB) or not UTF-8.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unknown = set(archive.namelist()) - {SPEC, CONTEXT, ENTRIES}
            if unknown:
                raise LoadError(f"p4_device_config: unknown member {min(unknown)!r}")
            return DeviceConfig(_member(archive, SPEC), _member(archive, CONTEXT), _member(archive, ENTRIES, required=False))
    except zipfile.BadZipFile as error:
        raise LoadError(f"p4_device_config: not a ZIP archive of {SPEC}, {CONTEXT} and {ENTRIES}: {error}") from None


def _member(archive: zipfile.ZipFile, name: str, required: bool = True) -> str:
    if name not in archive.namelist():
        if required:
            raise LoadError(f"p4_device_config: no member {name!r}")
        return ""
    if archive.getinfo(name).file_size > _SIZE_BOUND:
        raise LoadError(f"p4_device_config: {name} is larger than {_SIZE_BOUND} bytes")
    try:
        return archive.read(name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(f"p4_device_config: {name}: not UTF-8 at byte {error.start}") from None
