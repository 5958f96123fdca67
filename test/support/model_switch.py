"""A switch in the simplest form: the tables of the design note ``house.md`` as dictionaries, looked up the slow and obvious way.

It judges rows before any target does, and tells a mistake of the translator from one of the pipeline. Writes have teeth: deleting
what is not there is an error, so is a key of the wrong shape.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, NamedTuple

from test.support.packet import IPV4_IN_IP, Packet, has_ports, is_icmp

Change = tuple[str, Any, Any]
STAGE_SIDES = {
    "untracked_ingress": ("pre_dst", "src"), "untracked_egress": ("src", "pre_dst"), "pre_dnat": ("pre_dst", "src"),
    "forward_ingress": ("dst", "src"), "egress": ("src", "dst"), "ingress": ("dst", "src"), "forward_egress": ("src", "dst"),
}  # fmt: skip
"""By stage, in the order met: the identities of the endpoint's own side and of the other. Nothing is translated here."""


class Outcome(NamedTuple):
    """What a policy stage gave: the action, the slot of the row (0: none) and the list asked (0: none, a host rule decided)."""

    action: str
    slot: int
    list: int


class SwitchError(AssertionError):
    """A write that a target would refuse."""


class ModelSwitch:
    """Rows by table and key."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, Any]] = {}
        self._lists: dict[tuple[str, int], dict[Any, Any]] = {}
        self._lengths: dict[str, dict[int, int]] = {}

    def write(self, changes: Iterable[Change]) -> None:
        """Carry out changes (table, key, value; value None deletes) in the order given."""
        for table, key, value in changes:
            self.write_one(table, key, value)

    def write_one(self, table: str, key: Any, value: Any) -> None:
        """Carry out one change. Raises SwitchError where there is nothing to delete."""
        rows = self.tables.setdefault(table, {})
        if value is None and key not in rows:
            raise SwitchError(f"deletes a row that is not there: {table} {key}")
        self._index(table, key, value, key in rows)
        if value is None:
            del rows[key]
        else:
            rows[key] = value

    def _index(self, table: str, key: Any, value: Any, known: bool) -> None:
        if table.endswith(".rules"):
            rows = self._lists.setdefault((table, key[0][0]), {})
            rows.pop(key, None)
            if value is not None:
                rows[key] = value
        elif "identity_net" in table and (value is None or not known):
            lengths = self._lengths.setdefault(table, {})
            lengths[key[0][1]] = lengths.get(key[0][1], 0) + (1 if value is not None else -1)

    def identity(self, side: str, address: str) -> int:
        """Look an address up on one side: the host row, else the longest prefix, else 0."""
        parsed = ip_address(address)
        table, number, bits = f"{side}_identity_{{}}_v{parsed.version}", int(parsed), parsed.max_prefixlen
        host = self.tables.get(table.format("host"), {}).get((number,))
        return int(host[1]) if host is not None else self._longest(table.format("net"), number, bits)

    def _longest(self, table: str, number: int, bits: int) -> int:
        rows = self.tables.get(table, {})
        for length in sorted((n for n, count in self._lengths.get(table, {}).items() if count), reverse=True):
            found = rows.get(((number >> (bits - length) << (bits - length), length),))
            if found is not None:
                return int(found[1])
        return 0

    def policy(self, stage: str, endpoint: int, packet: Packet) -> Outcome:
        """Ask one policy stage about a packet. No row anywhere on the way is a deny without a slot."""
        binding = self.tables.get(f"{stage}.binding", {}).get((endpoint,))
        if binding is None:
            return Outcome("deny", 0, 0)
        if binding[0] == "bind_host" and (rule := self.host_rule(stage, packet)) is not None:
            return Outcome(rule[0], rule[1], 0)
        own, peer = STAGE_SIDES[stage]
        own_identity = self.identity(own, packet.src if own == "src" else packet.dst)
        peer_identity = self.identity(peer, packet.src if peer == "src" else packet.dst)
        _, chain, variant, chosen = binding
        _, variant, chosen = self.tables.get(f"{stage}.self_class", {}).get((chain, own_identity), (None, variant, chosen))
        _, chosen = self.tables.get(f"{stage}.peer_class", {}).get((variant, peer_identity), (None, chosen))
        return self._decide(f"{stage}.rules", chosen, packet)

    def host_rule(self, stage: str, packet: Packet) -> tuple[str, int] | None:
        """Look for a failsafe port or a known tunnel: of replies before flows only, of tunnels in the node's own policy only."""
        inbound, far, port = (1, packet.src, packet.dport) if stage.endswith("ingress") or stage == "pre_dnat" else (2, packet.dst, packet.dport)
        asked = [(inbound, port)]
        if stage.startswith("untracked"):
            asked.append((3 - inbound, packet.sport))
        elif stage in ("ingress", "egress"):
            asked.insert(0, (3, port))
        found = (self._host_rule(kind, port or 0, far, packet) for kind, port in asked)
        return next((rule for rule in found if rule is not None), None)

    def _host_rule(self, kind: int, port: int, far: str, packet: Packet) -> tuple[str, int] | None:
        address = ip_address(far)
        if packet.fragment or not has_ports(packet):
            if (kind, packet.proto) != (3, IPV4_IN_IP):
                return None
            port = 0
        rows, number, bits = self.tables.get(f"host_rule_v{address.version}", {}), int(address), address.max_prefixlen
        keys = ((kind, packet.proto, port, (number >> (bits - n) << (bits - n), n)) for n in range(bits, -1, -1))
        return next((rows[key] for key in keys if key in rows), None)

    def _decide(self, table: str, chosen: int, packet: Packet) -> Outcome:
        fields = (chosen, *layer4(packet))
        rows = self._lists.get((table, chosen & 0x3FFFF), {})
        matching = [key for key in rows if all(f & m == v for f, (v, m) in zip(fields, key[:-1], strict=True))]
        best = max(matching, key=lambda key: key[-1], default=None)
        return Outcome("deny", 0, chosen) if best is None else Outcome(rows[best][0], rows[best][1] | chosen & ~0x3FFFF, chosen)


def layer4(packet: Packet) -> tuple[int, int, int, int, int, int, int]:
    """Return the fields of the rules tables: ip_version, protocol, l4_kind, ports, ICMP type and code; 0 for what is not there."""
    kind = 3 if packet.fragment else 1 if has_ports(packet) else 2 if is_icmp(packet) else 0
    fields = (packet.sport, packet.dport, packet.icmp_type, packet.icmp_code)
    return (packet.version, packet.proto, kind, *(value or 0 for value in fields))  # type: ignore[return-value]
