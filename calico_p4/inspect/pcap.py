"""Frames out of a capture, or out of hex: pcap (either byte order, micro- or nanoseconds) and pcapng, as IETF's opsawg drafts have them."""

from collections.abc import Iterator
from pathlib import Path
from struct import unpack_from

from calico_p4.files import BadFile

ETHERNET, RAW_IP, LINUX_COOKED = 1, 101, 113
_PCAP = {0xA1B2C3D4, 0xA1B23C4D}
_NG_SECTION, _NG_INTERFACE, _NG_SIMPLE, _NG_ENHANCED = 0x0A0D0D0A, 1, 3, 6
_NG_ORDER = 0x1A2B3C4D
_ADDRESSES = bytes.fromhex("ee" * 6 + "020000000001")


def frame_of(text: str) -> bytes:
    """Return the frame that ``text`` gives: hex digits of a whole Ethernet frame, or FILE or FILE:N, the Nth packet of a capture from 0.

    Raises:
        BadFile: no hex and no file, or a file that is no capture or has no such packet; with the byte offset.
    """
    digits = text.replace(":", "").replace(" ", "")
    if len(digits) >= 28 and not set(digits.lower()) - set("0123456789abcdef"):
        return bytes.fromhex(digits if len(digits) % 2 == 0 else digits[:-1])
    path, _, number = text.rpartition(":") if text.rpartition(":")[2].isdigit() else (text, "", "0")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadFile(f"--packet {path}: {error.strerror}, and it is no hex of an Ethernet frame") from error
    frames = list(_frames(path, data))
    if int(number) >= len(frames):
        raise BadFile(f"--packet {path}: no packet {number}; it has {len(frames)}")
    return frames[int(number)]


def _frames(path: str, data: bytes) -> Iterator[bytes]:
    if len(data) < 24:
        raise BadFile(f"--packet {path}: byte 0: {len(data)} bytes are no capture")
    for order in "<>":
        magic = unpack_from(f"{order}I", data)[0]
        if magic in _PCAP:
            return _pcap(path, data, order)
        if magic == _NG_SECTION and unpack_from(f"{order}I", data, 8)[0] == _NG_ORDER:
            return _pcapng(path, data, order)
    raise BadFile(f"--packet {path}: byte 0: neither pcap nor pcapng")


def _pcap(path: str, data: bytes, order: str) -> Iterator[bytes]:
    link = unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    at = 24
    while at < len(data):
        length = _length(path, data, at, at + 8, order, 16)
        yield _ethernet(path, link, data[at + 16 : at + 16 + length])
        at += 16 + length


def _pcapng(path: str, data: bytes, order: str) -> Iterator[bytes]:
    at, links = 0, list[int]()
    while at < len(data):
        length = _length(path, data, at, at + 4, order, 0)
        if length < 12:
            raise BadFile(f"--packet {path}: byte {at}: a block of {length} bytes")
        kind = unpack_from(f"{order}I", data, at)[0]
        if kind == _NG_INTERFACE:
            links.append(unpack_from(f"{order}H", data, at + 8)[0])
        elif kind == _NG_ENHANCED:
            interface, _, _, captured = unpack_from(f"{order}IIII", data, at + 8)
            yield _ethernet(path, links[interface] if interface < len(links) else -1, data[at + 28 : at + 28 + captured])
        elif kind == _NG_SIMPLE:
            captured = min(unpack_from(f"{order}I", data, at + 8)[0], length - 16)
            yield _ethernet(path, links[0] if links else -1, data[at + 12 : at + 12 + captured])
        at += length


def _length(path: str, data: bytes, start: int, at: int, order: str, header: int) -> int:
    """Return the length given at ``at``, which must be there with all that it counts."""
    if at + 4 <= len(data):
        length: int = unpack_from(f"{order}I", data, at)[0]
        if start + header + length <= len(data):
            return length
    raise BadFile(f"--packet {path}: byte {start}: cut short")


def _ethernet(path: str, link: int, packet: bytes) -> bytes:
    if link == ETHERNET:
        return packet
    if link == RAW_IP and packet:
        return _ADDRESSES + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet
    if link == LINUX_COOKED and len(packet) >= 16:
        return _ADDRESSES + packet[14:16] + packet[16:]
    raise BadFile(f"--packet {path}: packets of link type {link} are not Ethernet, raw IP or Linux cooked ones")
