"""Addresses and prefixes as single integers, the keys of everything that maps addresses.

A *place* packs (family, prefix length, value) into one int: hashing and comparing one int is what makes a state of
200,000 members affordable. The layout is `length << 129 | is_v6 << 128 | value`; hosts (/32, /128) have length field 0,
so that an IPv4 host is its plain 32-bit value.
"""

from __future__ import annotations

from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from .errors import Untranslatable

V6_BIT = 1 << 128
_LENGTH_SHIFT = 129
_VALUE = V6_BIT - 1


def host4(value: int) -> int:
    """The place of an IPv4 address."""
    return value


def host6(value: int) -> int:
    """The place of an IPv6 address."""
    return value | V6_BIT


def place(is_v6: bool, value: int, length: int) -> int:
    """The place of a prefix; host bits must be zero. /0 is stored as length 255, since 0 means a host."""
    if length == (128 if is_v6 else 32):
        return value | V6_BIT if is_v6 else value
    return (length or 255) << _LENGTH_SHIFT | (V6_BIT if is_v6 else 0) | value


def is_host(where: int) -> bool:
    """Whether the place is a single address."""
    return where < 1 << _LENGTH_SHIFT


def is_v6(where: int) -> bool:
    """Whether the place is IPv6."""
    return bool(where & V6_BIT)


def value_of(where: int) -> int:
    """Address or network address."""
    return where & _VALUE


def length_of(where: int) -> int:
    """Prefix length, 32 or 128 for hosts."""
    length = where >> _LENGTH_SHIFT
    if not length:
        return 128 if where & V6_BIT else 32
    return 0 if length == 255 else length


def overlap(a: int, b: int) -> bool:
    """Whether one place contains the other."""
    if is_v6(a) != is_v6(b):
        return False
    shift = (128 if is_v6(a) else 32) - min(length_of(a), length_of(b))
    return value_of(a) >> shift == value_of(b) >> shift


def text(where: int) -> str:
    """CIDR text, for dumps and messages."""
    packed = value_of(where).to_bytes(16 if is_v6(where) else 4, "big")
    return f"{inet_ntop(AF_INET6 if is_v6(where) else AF_INET, packed)}/{length_of(where)}"


def parse_address(address: str) -> int:
    """The place of a bare address. Raises Untranslatable."""
    try:
        if ":" in address:
            return int.from_bytes(inet_pton(AF_INET6, address), "big") | V6_BIT
        return int.from_bytes(inet_pton(AF_INET, address), "big")
    except (OSError, ValueError):
        raise Untranslatable(f"not an address: {address!r}") from None


def parse_cidr(cidr: str) -> int:
    """The place of a CIDR, host bits masked (conformance quirk 4); a bare address is a host. Raises Untranslatable."""
    address, slash, suffix = cidr.partition("/")
    host = parse_address(address)
    if not slash:
        return host
    width = 128 if host & V6_BIT else 32
    if not (suffix.isascii() and suffix.isdigit() and int(suffix) <= width):
        raise Untranslatable(f"not a CIDR: {cidr!r}")
    length = int(suffix)
    shift = width - length
    return place(width == 128, (host & _VALUE) >> shift << shift, length)


def parse_mac(mac: str) -> int:
    """A MAC address, written with colons or dashes, as a number. Raises Untranslatable."""
    parts = mac.replace("-", ":").split(":")
    try:
        if len(parts) == 6 and all(len(part) in (1, 2) for part in parts):
            return int("".join(part.zfill(2) for part in parts), 16)
    except ValueError:
        pass
    raise Untranslatable(f"{mac!r} is no MAC address")


def parse_members(members: Iterable[str]) -> set[int]:
    """Places of NET or IP members. The common case, an IPv4 host, takes the short path. Raises Untranslatable."""
    out = set()
    for member in members:
        if member.endswith("/32"):
            try:
                out.add(int.from_bytes(inet_pton(AF_INET, member[:-3]), "big"))
                continue
            except (OSError, ValueError):
                pass
        out.add(parse_cidr(member))
    return out
