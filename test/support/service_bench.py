"""A node with pods, and packets to services through the driver and the embedded target."""

from collections.abc import Iterable
from typing import Any

from calico_p4.bench import Bench
from calico_p4.driver import Driver
from calico_p4.packets import Packet
from datastore.allocator import Allocator
from datastore.kubernetes_objects import read_key, read_object
from felix_proto import types as felix
from test.support.service_reference import Source
from test.support.service_scenarios import LETTERS, LETTERS_V6, NODE, NODE_ADDRESSES
from test.support.target import new_switch

Json = dict[str, Any]
PROFILE = "kns.shop"
PODS = "abcdp"
"""The pods of this node; the other letters are elsewhere."""


def endpoint(letter: str) -> felix.WorkloadEndpoint:
    """Return the workload endpoint of a pod."""
    key = felix.WorkloadEndpointID("k8s", f"shop/{letter}", "eth0")
    nets = {"ipv4_nets": (f"{LETTERS[letter]}/32",), "ipv6_nets": (f"{LETTERS_V6[letter]}/128",)}
    return felix.WorkloadEndpoint(key, "active", f"cali{letter}", profile_ids=(PROFILE,), **nets)


def node_messages() -> list[felix.Payload]:
    """Return what Felix says of the node: pods that may talk to everybody."""
    allow = (felix.Rule("allow"),)
    return [
        felix.ConfigUpdate((("FelixHostname", NODE), ("DefaultEndpointToHostAction", "Accept"))),
        felix.HostMetadataUpdate(NODE, f"{NODE_ADDRESSES[0]}/24", f"{NODE_ADDRESSES[1]}/64"),
        felix.ActiveProfileUpdate(PROFILE, felix.Profile(PROFILE, allow, allow)),
        *(felix.WorkloadEndpointUpdate(endpoint(letter).id, endpoint(letter)) for letter in PODS),
        felix.InSync(),
    ]


class ServiceBench:
    """The node, its driver, and a switch."""

    def __init__(self, messages: Iterable[felix.Payload] = ()) -> None:
        self.switch = new_switch()
        self.switch.prepare()
        self.driver = Driver(self.switch, Allocator())
        self.store = self.driver.store.kubernetes
        self.store.configured = self.store.in_sync = True
        for message in list(messages) or node_messages():
            self.driver.apply(message)
        assert self.switch.bench is not None
        self.bench = Bench(self.driver, self.switch.bench)
        self._there: dict[Any, Json] = {}
        self.settle()

    def objects(self, objects: Iterable[Json]) -> None:
        """Make the objects of Kubernetes exactly these, and come to rest."""
        wanted = {read_key(item): item for item in objects}
        for key in self._there.keys() - wanted.keys():
            self.store.remove(key)
        for item in wanted.values():
            value = read_object(item)
            self.store.remove(read_key(item)) if value is None else self.store.put(value)
        self._there = wanted
        self.settle()

    def settle(self) -> None:
        """Translate, push, come to rest."""
        self.driver.rest()
        self.bench.settle()
        assert self.driver.converged, self.driver.degraded()

    def send(self, source: Source, dst: str, protocol: str, dport: int, sport: int = 40000, **more: Any) -> Json:
        """Send a packet; the answer is the replay contract's."""
        where = {"host": "host", "outside": "uplink"}.get(source.kind, "auto")
        fields = {"proto": protocol.lower(), "src": source.address, "dst": dst, "sport": sport, "dport": dport, "from": where, **more}
        return self.bench.send(Packet(0, 0, None, more.get("at"), fields))

    def raw(self, fields: Json) -> Json:
        """Send a packet of the replay contract."""
        return self.bench.send(Packet(0, fields["id"], None, fields.get("at"), fields))

    def close(self) -> None:
        """End the switch."""
        self.switch.close()
