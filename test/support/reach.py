"""A node in small: store, allocator, ports and the translator's parts but policy, and the rows they have given out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from calico_p4.ports import PortInventory
from datastore.allocator import Allocator
from datastore.fib import FibRoute
from datastore.intent import IntentStore
from felix_proto.types import ConfigUpdate, WorkloadEndpoint, WorkloadEndpointID, WorkloadEndpointRemove, WorkloadEndpointUpdate
from k8s_p4.rows import TABLES
from translator.degraded import Degraded
from translator.reach import Reach

NODE = "node-a"


def endpoint_id(name: str) -> WorkloadEndpointID:
    """The id of a pod's endpoint: "shop/web"."""
    return WorkloadEndpointID("k8s", name, "eth0")


def endpoint(name: str, interface: str = "", nets: Iterable[str] = (), state: str = "active", **fields: Any) -> WorkloadEndpointUpdate:
    """A workload endpoint; nets of either family."""
    nets = list(nets)
    v4 = tuple(net for net in nets if ":" not in net)
    v6 = tuple(net for net in nets if ":" in net)
    known = endpoint_id(name)
    interface = interface or "cali" + name.rpartition("/")[2]
    return WorkloadEndpointUpdate(known, WorkloadEndpoint(known, state=state, name=interface, ipv4_nets=v4, ipv6_nets=v6, **fields))


def gone(name: str) -> WorkloadEndpointRemove:
    """The end of an endpoint."""
    return WorkloadEndpointRemove(endpoint_id(name))


def config(**values: str) -> ConfigUpdate:
    """The configuration as a whole."""
    return ConfigUpdate(tuple(sorted({"FelixHostname": NODE, **values}.items())))


class Node:
    """Apply payloads, see rows."""

    def __init__(self, *payloads: Any, closed: Callable[..., str | None] = lambda *_: None, ports: Iterable[Any] = (),
                 allocator: Allocator | None = None) -> None:  # fmt: skip
        self.store = IntentStore()
        self.allocator = allocator or Allocator(None)
        self.ports = PortInventory(self.allocator, tuple(ports))
        self.reach = Reach(self.allocator, closed)
        self.rows: dict[str, dict[Any, Any]] = {}
        self.last: list[Any] = []
        self.apply(config(), *payloads)

    def apply(self, *payloads: Any) -> list[Any]:
        """Apply payloads, routes of the kernel, prefixes that have none any more; translate once; the changes, each of which must be one and
        must fit its table."""
        for payload in payloads:
            if isinstance(payload, FibRoute):
                self.store.fib.put(payload.dst, payload)
            elif isinstance(payload, str):
                self.store.fib.remove(payload)
            else:
                self.store.apply(payload)
        dirty = self.store.take_dirty()
        self.ports.refresh(self.store, dirty)
        self.last = self.reach.update(self.store, dirty, self.ports)
        assert len({(table, key) for table, key, _ in self.last}) == len(self.last), "a key twice"
        for table, key, value in self.last:
            self._carry_out(self.rows.setdefault(table, {}), table, key, value)
        return self.last

    def rest(self) -> None:
        """The quiet moment after a push."""
        self.ports.forget_removed()
        self.reach.rest()

    def table(self, name: str) -> dict[Any, Any]:
        """The rows of a table, numbers of endpoints, ports and next hops replaced by what they stand for, incarnations left out."""
        return {self._named_key(name, key): self._named_value(value) for key, value in self.rows.get(name, {}).items()}

    def named(self) -> dict[str, dict[Any, Any]]:
        """All tables that have rows."""
        return {name: self.table(name) for name, rows in self.rows.items() if rows}

    def degraded(self) -> set[Degraded]:
        """What does not work."""
        listed = list(self.reach.degraded())
        assert len(set(listed)) == len(listed), "listed twice"
        return set(listed)

    def _carry_out(self, rows: dict[Any, Any], table: str, key: Any, value: Any) -> None:
        if value is None:
            del rows[key]  # what is not there can't be deleted
            return
        assert rows.get(key) != value, "a change that changes nothing"
        TABLES[table].encode(key, value)
        rows[key] = value

    def _meaning(self, kind: str, number: int) -> str:
        meaning = self.allocator.meaning(kind, number)
        assert meaning is not None and not meaning.startswith("gone:"), f"{kind} {number} is nobody's"
        return meaning

    def _named_key(self, table: str, key: Any) -> Any:
        if table in ("port", "answer_port"):
            return self._meaning("port", key[0])
        if table == "dscp":
            return self._meaning("endpoint", key[0])
        if table in ("next_hop", "tunnel"):
            return self._meaning(table, key[0])
        width = 128 if table.endswith("v6") or table == "nd_answer" else 32
        address = cidr_text(key[-1], width)
        if table.startswith(("tunnel_local", "tunnel_peer")):
            return key[0], address
        return (self._meaning("endpoint", key[0]), address) if table.startswith("source_") else address

    def _named_value(self, value: Any) -> Any:
        action, *params = value
        if action in ("workload", "to_workload", "to_workload_closed"):
            assert params.pop(), "no incarnation"
        kinds = {"workload": ["endpoint"], "workload_closed": ["endpoint"], "to_workload": ["endpoint", "next_hop"], "send": ["port"],
                 "to_workload_closed": ["endpoint"], "to_host": ["next_hop"], "to_uplink": ["next_hop"], "send_back": ["port"],
                 "to_tunnel": ["tunnel"], "vxlan_v4": ["next_hop"], "vxlan_v6": ["next_hop"], "ipip": ["next_hop"], "terminate": ["port"],
                 "from_peer": ["node"], "behind": ["node"]}  # fmt: skip
        names = [self._meaning(kind, number) for kind, number in zip(kinds.get(action, []), params, strict=False)]
        return (action, *names, *params[len(names) :])


def cidr_text(part: Any, width: int) -> str:
    """Text of an address or a (value, length)."""
    value, length = part if isinstance(part, tuple) else (part, width)
    packed = value.to_bytes(width // 8, "big")
    return str(ip_address(packed)) if not isinstance(part, tuple) else str(ip_network((packed, length)))
