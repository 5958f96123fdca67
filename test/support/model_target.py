"""The whole pipeline over a ``ModelSwitch``, in the order of the design note ``house.md``, in the place of a connected target.

``ModelTarget`` stands where the driver expects ``calico_p4.switch.Switch``. It runs no P4: what the real pipeline gets wrong does not
show here, and what shows here the rows got wrong. Every Write is shuffled, and ``on_write`` is called between any two.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from random import Random
from typing import Any

from datastore.tracker import Op
from k8s_p4.reasons import Reason
from k8s_p4.target import Injected
from test.support.frames import parse
from test.support.model_switch import STAGE_SIDES, Change, ModelSwitch, SwitchError
from test.support.packet import ICMPV6, IPV4_IN_IP, UDP, Packet

_HOST_ICMPV6 = (130, 131, 132, 133, 135, 136)
VXLAN_ALLOWED, IPIP_ALLOWED = 1, 2
_WORKLOAD, _HOST, _UPLINK = 1, 2, 3
"""Metadata `from` and `to`, as k8s_p4/p4/core/metadata.p4 has them."""


class Dropped(Exception):
    """The packet ends here, for a reason."""


class ModelTarget:
    """A switch for the driver: takes writes, gives rows back, has ports by name and takes frames."""

    client = None
    """It counts nothing."""

    def __init__(self, seed: int = 0) -> None:
        self.switch = ModelSwitch()
        self.fresh = True
        self.foreign: dict[str, Any] = {}
        self.bench = self.flows = ModelBench(self.switch)
        self.on_write: Callable[[], None] = lambda: None
        self.log: list[list[Change]] | None = None
        self._rng = Random(seed)

    def prepare(self, replace_pipeline: bool = False) -> None:
        """Nothing: the pipeline is there."""

    def write(self, ops: Sequence[Op], *_: Any) -> list[str | None]:
        """Carry out one Write, its updates in any order; two of one key are an error, as is an op that does not fit what is there."""
        shuffled = list(ops)
        self._rng.shuffle(shuffled)
        if len({(op.table, op.key) for op in ops}) != len(ops):
            raise SwitchError("two updates of one key in one Write")
        for op in shuffled:
            if (op.kind == "insert") == (op.key in self.switch.tables.get(op.table, {})):
                raise SwitchError(f"{op.kind} of a row that is {'' if op.kind == 'insert' else 'not '}there: {op}")
            self.switch.write_one(op.table, op.key, op.value)
            if self.log is not None:
                self.log[-1].append((op.table, op.key, op.value))
        self.on_write()
        return [None] * len(ops)

    def read(self, table: str) -> dict[Any, Any]:
        """Return the rows of one table."""
        return dict(self.switch.tables.get(table, {}))

    def close(self) -> None:
        """Nothing to close."""


class ModelBench:
    """What the driver's bench asks of the embedded target: ports by name, and frames."""

    def __init__(self, switch: ModelSwitch) -> None:
        self._switch = switch
        self._ports: dict[str, int] = {}

    def ensure_port(self, name: str, bind: bool = False) -> int:
        """Return the number of a port, made if there is none."""
        return self._ports.setdefault(name, len(self._ports) + 1)

    def ports(self) -> dict[str, int]:
        """Return all ports."""
        return dict(self._ports)

    def clear_learned(self, *tables: str) -> int:
        """Nothing is learned here."""
        return 0

    def learned_counts(self) -> dict[str, int]:
        """Nothing is learned here."""
        return {}

    def inject(self, port: int, data: bytes, at_seconds: float | None = None, trace: bool = False) -> Injected:
        """Send a frame into a port."""
        run = _Run(self._switch, parse(data))
        try:
            out = run.port(port)
        except Dropped:
            return Injected((), True, "DROPPED", run.metadata())
        return Injected(((out, data),), False, "SENT", run.metadata())


class _Run:
    """One packet on its way through the pipeline."""

    def __init__(self, switch: ModelSwitch, packet: Packet) -> None:
        self._switch, self._packet = switch, packet
        self._reason = Reason.NONE
        self._slots = {f"{stage}_slot": 0 for stage in STAGE_SIDES}
        self._from = self._to = 0
        self._in = self._out = 0
        self._sender = self._receiver = self._flags = self._accept = 0
        self._excused = False

    def metadata(self) -> dict[str, int]:
        ends = {"from": self._from, "to": self._to, "in_endpoint": self._in, "out_endpoint": self._out, "dst_endpoint": self._receiver}
        return {"reason": int(self._reason), **ends, **self._slots}

    def _drop(self, reason: int) -> Dropped:
        self._reason = Reason(reason)
        return Dropped()

    def _row(self, table: str, *key: Any) -> Any:
        return self._switch.tables.get(table, {}).get(key)

    def port(self, number: int) -> int:
        """From the port it came by to the one it leaves by, which is returned."""
        self._enter(self._row("port", number))
        if self._from == _HOST:
            port = self._route()
            if self._to == _UPLINK:
                self._hook("untracked_egress", self._out)
        else:
            if self._from == _UPLINK:
                self._hook("untracked_ingress", self._in)
            ends = self._tunnel_ends()
            self._hook("pre_dnat", self._in)
            if ends:
                raise self._drop(Reason.PARSE)
            port = self._route()
        self._policies()
        if self._reason is Reason.NONE:
            self._reason = Reason.NO_POLICY
        if _HOST not in (self._from, self._to) and self._packet.ttl <= 1:
            raise self._drop(Reason.TTL)
        return port

    def _enter(self, row: Any) -> None:
        match row:
            case ("workload", endpoint, flags, host_endpoint, _):
                self._from, self._sender, self._flags, self._in = _WORKLOAD, endpoint, flags, host_endpoint
                self._guard(endpoint)
            case ("workload_closed", _, reason):
                raise self._drop(reason)
            case ("host",):
                self._from = _HOST
            case ("uplink", host_endpoint):
                self._from, self._in = _UPLINK, host_endpoint
            case _:
                raise self._drop(Reason.UNKNOWN_PORT)

    def _guard(self, endpoint: int) -> None:
        address = ip_address(self._packet.src)
        if address.version == 6 and address.is_link_local and self._packet.proto == ICMPV6:
            return
        known = self._row(f"source_host_v{address.version}", endpoint, int(address)) is not None
        if not known and self._longest(f"source_net_v{address.version}", self._packet.src, endpoint) is None:
            raise self._drop(Reason.SPOOFED)

    def _longest(self, table: str, address: str, *first: int) -> Any:
        parsed = ip_address(address)
        number, bits = int(parsed), parsed.max_prefixlen
        rows = self._switch.tables.get(table, {})
        keys = ((*first, (number >> (bits - n) << (bits - n), n)) for n in range(bits, -1, -1))
        return next((rows[key] for key in keys if key in rows), None)

    def _tunnel_ends(self) -> bool:
        """Whether the packet is a tunnel's that ends here, for peers only; inside it, in these tests, is no packet."""
        packet = self._packet
        kind = 2 if packet.proto == IPV4_IN_IP and packet.version == 4 else 1 if (packet.proto, packet.dport) == (UDP, 4789) else 0
        address = int(ip_address(packet.dst))
        if self._from != _UPLINK or self._row(f"tunnel_local_v{packet.version}", kind, address) is None:
            return False
        if packet.fragment or packet.options or self._row(f"tunnel_peer_v{packet.version}", kind, int(ip_address(packet.src))) is None:
            raise self._drop(Reason.ENCAPSULATED)
        return True

    def _route(self) -> int:
        """Routing and next hop."""
        version = self._packet.version
        row = self._row(f"local_v{version}", int(ip_address(self._packet.dst)))
        match row if row is not None else self._longest(f"route_v{version}", self._packet.dst):
            case ("to_workload", endpoint, next_hop, _):
                self._to, self._receiver = _WORKLOAD, endpoint
            case ("to_workload_closed", _, reason, _):
                raise self._drop(reason)
            case ("to_host", next_hop, accept):
                self._to, self._accept = _HOST, accept
            case ("to_uplink", next_hop):
                self._to = _UPLINK
            case ("blackhole",):
                raise self._drop(Reason.BLACKHOLE)
            case _:
                raise self._drop(Reason.NO_ROUTE)
        row = self._row("next_hop", next_hop)
        if row is None:
            raise self._drop(Reason.NEIGHBOUR_UNKNOWN)
        self._out = row[4]
        return int(row[1])

    def _policies(self) -> None:
        """Forward ingress, egress, ingress, forward egress: whose policy is asked, and what is decided without."""
        forwarded = _HOST not in (self._from, self._to)
        if forwarded and not self._excused:
            self._hook("forward_ingress", self._in)
        if self._from == _WORKLOAD:
            self._from_workload()
        elif self._from == _HOST and self._to == _UPLINK and not self._excused:
            self._hook("egress", self._out)
        if self._to == _WORKLOAD and self._from == _HOST:
            self._reason = Reason.HOST_TO_WORKLOAD
        elif self._to == _WORKLOAD:
            self._policy("ingress", self._receiver)
        elif self._to == _HOST and self._from == _UPLINK and not self._excused:
            self._hook("ingress", self._in)
        if forwarded:
            self._hook("forward_egress", self._out)

    def _from_workload(self) -> None:
        packet = self._packet
        vxlan = packet.proto == UDP and packet.dport == 4789 and not self._flags & VXLAN_ALLOWED
        if vxlan or (packet.proto == IPV4_IN_IP and not self._flags & IPIP_ALLOWED):
            raise self._drop(Reason.ENCAPSULATED)
        to_host = self._to == _HOST
        if to_host and packet.version == 6 and packet.proto == ICMPV6 and packet.icmp_type in _HOST_ICMPV6:
            return
        self._policy("egress", self._sender)
        if to_host and not self._accept:
            raise self._drop(Reason.ENDPOINT_ACTION)
        if to_host:
            self._reason = Reason.ENDPOINT_ACTION_ALLOW

    def _hook(self, stage: str, host_endpoint: int) -> None:
        """A stage of the host endpoint at an interface, if there is one and nothing has excused the packet from it."""
        if host_endpoint and not (self._excused and stage == "pre_dnat"):
            self._policy(stage, host_endpoint)

    def _policy(self, stage: str, endpoint: int) -> None:
        if self._row(f"{stage}.binding", endpoint) is None:
            raise self._drop(Reason.UNBOUND)
        outcome = self._switch.policy(stage, endpoint, self._packet)
        self._slots[f"{stage}_slot"] = outcome.slot
        if outcome.action == "deny":
            raise self._drop(Reason.POLICY)
        if outcome.action == "failsafe":
            self._reason = Reason.FAILSAFE
        elif outcome.action == "allow":
            self._reason = Reason.UNTRACKED if stage.startswith("untracked") else Reason.POLICY_ALLOW
            self._excused |= stage.startswith(("untracked", "pre_dnat"))
