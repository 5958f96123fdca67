"""Rows of translation written by hand, over the rows of ``test.support.pipeline``; and checksums judged from the bytes alone."""

from __future__ import annotations

from collections.abc import Sequence

from test.support.pipeline import Bench, family, number, prefix

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
OTHERS = {"inside": 1, "outside": 3}
FIRST_PORT, PORT_MASK = 20000, 0x1FFF
FROM_WORKLOAD, FROM_HOST, FROM_OUTSIDE, CHECK_SOURCE, AFFINITY = 1, 2, 4, 8, 16
TO_WORKLOAD, TO_HOST, TO_UPLINK = 1, 2, 3


def address_params(address: str) -> tuple[int, ...]:
    """An address as actions take it: IPv6 also in halves."""
    value = number(address)
    return (value,) if family(address) == "v4" else (value, value >> 64, value & (1 << 64) - 1)


def service(bench: Bench, vip: str, port: int, backends: Sequence[tuple[str, int]], group: int = 1, flags: int = 0,
            protocol: str = "tcp", outside: int | None = None) -> None:  # fmt: skip
    """A port of a service with a bucket for each backend, a power of two of them; one backend or two have four."""
    of = family(vip)
    assert len(backends) & (len(backends) - 1) == 0
    dealt = [backends[bucket % len(backends)] for bucket in range(max(len(backends), 4))] if backends else []
    mask = max(len(dealt) - 1, 0)
    inside = group if backends else 0
    out = inside if outside is None else outside
    bench.row(f"service_{of}", (number(vip), PROTOCOLS[protocol], port), ("to_service", inside, mask, out, mask, flags))
    for row in range(len(dealt) // 4):
        backend_row(bench, of, group, row, dealt[4 * row : 4 * row + 4])


def backend_row(bench: Bench, of: str, group: int, row: int, backends: Sequence[tuple[str, int]]) -> None:
    """A row of backends: those of four buckets of a group."""
    bench.row(f"backend_{of}", (group, row), (f"to_backends_{of}", *(each for address, port in backends for each in (*address_params(address), port))))


def floating(bench: Bench, address: str, internal: str, source: str = "") -> None:
    """A floating address of an endpoint; `source`: under which it speaks to itself, that one unless said otherwise."""
    of = family(address)
    bench.row(f"floating_{of}", (number(address),), (f"to_internal_{of}", *address_params(internal), *address_params(source or address)))


def pool(bench: Bench, cidr: str, flags: int) -> None:
    """A pool: 1 its addresses are masqueraded, 2 they are inside."""
    bench.row(f"masquerade_{family(cidr)}", (prefix(cidr),), ("pool", flags))


def masquerade_as(bench: Bench, address: str, to: int = TO_UPLINK, candidates: int = 2, first: int = FIRST_PORT, mask: int = PORT_MASK) -> None:
    """Under which address what goes there leaves."""
    of = family(address)
    for candidate in range(candidates):
        bench.row(f"masquerade_address_{of}", (to, candidate), (f"masquerade_as_{of}", *address_params(address), first, mask))


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def wrong_checksums(frame: bytes) -> list[str]:
    """Names of the checksums of an Ethernet frame that do not add up: ip, l4, and those of what an ICMP error quotes whole."""
    return _wrong(frame[14:], "")


def _wrong(packet: bytes, where: str) -> list[str]:
    if packet[0] >> 4 == 4:
        length, protocol, pseudo = (packet[0] & 15) * 4, packet[9], packet[12:20]
        wrong = [] if _sum(packet[:length]) == 0xFFFF else [where + "ip"]
        end = int.from_bytes(packet[2:4], "big")
    else:
        length, protocol, pseudo = 40, packet[6], packet[8:40]
        wrong, end = [], 40 + int.from_bytes(packet[4:6], "big")
    return wrong + _wrong_above(packet[length:end], protocol, pseudo, where, end - length)


def _wrong_above(l4: bytes, protocol: int, pseudo: bytes, where: str, claimed: int) -> list[str]:
    whole = len(l4) == claimed
    heads = pseudo + claimed.to_bytes(4, "big") + protocol.to_bytes(4, "big")
    icmp = protocol in (1, 58)
    if protocol == 17 and l4[6:8] == b"\0\0" and len(pseudo) == 8:
        return []
    if not whole or protocol not in (1, 6, 17, 58):
        return []
    wrong = [] if _sum((b"" if protocol == 1 else heads) + l4) == 0xFFFF else [where + "l4"]
    if icmp and (l4[0] in (3, 11) if protocol == 1 else l4[0] in (1, 2, 3)):
        wrong += _wrong(l4[8:], "quoted ")
    return wrong
