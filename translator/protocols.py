"""Protocol names as Felix writes them (contract 3.5)."""

from __future__ import annotations

from .errors import Untranslatable

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132, "udplite": 136}


def protocol_number(protocol: int | str, field: str) -> int:
    """The IP protocol number of a name (any case) or number, 0..255. Raises Untranslatable naming ``field``."""
    if isinstance(protocol, int):
        if not 0 <= protocol <= 255:
            raise Untranslatable(f"{field}: protocol number {protocol} is not in 0..255")
        return protocol
    try:
        return NUMBERS[protocol.lower()]
    except KeyError:
        raise Untranslatable(f"{field}: unknown protocol {protocol!r}") from None
