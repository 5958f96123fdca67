"""A small world for trying things out: two endpoints with all that concerns them, a driver and a switch of their own.

What would happen if is not calculated here, it is done: the change is applied as Felix would send it, translated, pushed, and the
packet is sent again. Nobody else's target is touched.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from calico_p4.bench import HOST_SECTIONS, Bench
from calico_p4.driver import Driver
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.trace import Answer, Probe
from calico_p4.packets import Packet
from calico_p4.switch import embedded
from datastore.allocator import Allocator
from felix_proto import types as felix
from translator.rules import set_ids


class Lab:
    """A world of some messages, at rest."""

    def __init__(self, payloads: Iterable[felix.Payload], extra_ports: Any = ()) -> None:
        """Make it. Raises TargetError."""
        self._switch = embedded()
        self._switch.prepare()
        self._driver = Driver(self._switch, Allocator(), extra_ports)
        for payload in payloads:
            self._driver.apply(payload)
        self._driver.rest()
        assert self._switch.bench is not None
        self._bench = Bench(self._driver, self._switch.bench)

    def send(self, sent: Probe) -> Answer:
        """Send a packet; returns the answer of the replay contract."""
        return self._bench.send(Packet(0, "lab", None, 0.0, {"raw": sent.frame.hex(), "from": sent.entry}))

    def apply(self, payloads: Iterable[felix.Payload]) -> None:
        """Let the world change."""
        for payload in payloads:
            self._driver.apply(payload)
        self._driver.sync()
        self._bench.settle()

    def close(self) -> None:
        """End the switch."""
        self._switch.close()


def world_of(scene: Scene, endpoints: Iterable[felix.WorkloadEndpoint], addresses: Iterable[str]) -> Iterator[felix.Payload]:
    """Yield the messages that make a world in which these endpoints live as they do here, and packets between the addresses go as here.

    The node's host endpoints are all there.
    """
    store, endpoints = scene.store, list(endpoints)
    governed: list[felix.WorkloadEndpoint | felix.HostEndpoint] = [*endpoints, *store.host_endpoints.values()]
    policies: dict[felix.PolicyID, felix.Policy] = {key: store.policies[key] for each in governed for key in policies_of(each) if key in store.policies}
    profiles = {name: store.profiles[name] for each in governed for name in each.profile_ids if name in store.profiles}
    yield felix.ConfigUpdate(tuple(sorted(store.config.items())))
    yield from surroundings(scene, addresses)
    owners: list[felix.Policy | felix.Profile] = [*policies.values(), *profiles.values()]
    for name in {name for owner in owners for name in sets_of(owner)} & store.ip_sets.keys():
        yield felix.IPSetUpdate(name, tuple(sorted(store.ip_sets[name].members)), store.ip_sets[name].type)
    yield from (felix.ActivePolicyUpdate(key, policy) for key, policy in policies.items())
    yield from (felix.ActiveProfileUpdate(name, profile) for name, profile in profiles.items())
    yield from (felix.WorkloadEndpointUpdate(endpoint.id, endpoint) for endpoint in endpoints)
    yield from (felix.HostEndpointUpdate(key, host) for key, host in store.host_endpoints.items())
    yield felix.InSync()


def surroundings(scene: Scene, addresses: Iterable[str]) -> Iterator[felix.Payload]:
    """Yield nodes, tunnels, pools and those of the routes that lead to one of the addresses."""
    store, wanted = scene.store, [ip_address(address) for address in addresses]
    for name, node in store.host_metadata.items():
        yield felix.HostMetadataUpdate(name, node.ipv4_addr, node.ipv6_addr, node.asnumber, node.labels)
    yield from store.vteps.values()
    for name, keys in store.wireguard.items():
        yield felix.WireguardEndpointUpdate(name, keys.public_key, keys.interface_ipv4_addr)
        yield felix.WireguardEndpointV6Update(name, keys.public_key_v6, keys.interface_ipv6_addr)
    yield from (felix.IPAMPoolUpdate(name, pool) for name, pool in store.pools.items())
    yield store.encapsulation
    yield from (route for route in store.routes.values() if any(_leads_to(route.dst, address) for address in wanted))


def _leads_to(prefix: str, address: Any) -> bool:
    try:
        return address in ip_network(prefix, strict=False)
    except ValueError:
        return False


def policies_of(endpoint: felix.WorkloadEndpoint | felix.HostEndpoint) -> set[felix.PolicyID]:
    """Return the policies of all tiers, stages and both directions, staged ones included."""
    sections = ("tiers",) if isinstance(endpoint, felix.WorkloadEndpoint) else ("tiers", *HOST_SECTIONS.values())
    return {policy for section in sections for tier in getattr(endpoint, section) for policy in (*tier.ingress_policies, *tier.egress_policies)}


def sets_of(owner: felix.Policy | felix.Profile) -> set[str]:
    """Return the ids of the IP sets that a policy or profile names."""
    return {name for rule in (*owner.inbound_rules, *owner.outbound_rules) for name in set_ids(rule)}
