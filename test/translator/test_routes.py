"""Rows of routing against a resolution written from the contract: after each recording, for destinations at random and at every edge."""

from __future__ import annotations

import os
import random
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from calico_p4.offline import Offline
from test.calico_p4.test_recordings import path_of
from test.support.route_model import RouteModel
from test.support.shared import shared_recordings

WANTED = ("encap-none-routes", "noencap-default", "ipip", "vxlan-always", "floating-qos", "wireguard", "churn", "churn-v3.31", "churn-v3.32", "quickstart")
NAMES = sorted({path.name.partition(".felixstream")[0] for path in shared_recordings()} & set(WANTED))
DESTINATIONS = int(os.environ.get("CALICO_P4_DESTINATIONS", "10000"))


class Rows:
    """The rows of routing looked up as the pipeline does."""

    def __init__(self, offline: Offline) -> None:
        self.rows, self.ports, self.allocator = offline.rows, offline.ports, offline.translator
        self.by_length: dict[int, list[int]] = {}
        for version, table in ((4, "route_v4"), (6, "route_v6")):
            self.by_length[version] = sorted({key[0][1] for key in self.rows.get(table, {})}, reverse=True)

    def resolve(self, text: str) -> tuple[Any, ...]:
        address = ip_address(text)
        local = self.rows.get(f"local_v{address.version}", {}).get((int(address),))
        if local is not None:
            return ("host",) if local[0] == "to_host" else ("workload", self._endpoint(local[1]))
        for length in self.by_length[address.version]:
            shift = address.max_prefixlen - length
            route = self.rows[f"route_v{address.version}"].get(((int(address) >> shift << shift, length),))
            if route is not None:
                return self._follow(route)
        return ("drop",)

    def _endpoint(self, number: int) -> str:
        name = self.allocator.endpoint(number)
        assert name is not None
        return name

    def _follow(self, route: tuple[Any, ...]) -> tuple[Any, ...]:
        if route[0] == "to_uplink":
            return "plain", *self._port(route[1])
        tunnel = self.rows.get("tunnel", {}).get((route[1],)) if route[0] == "to_tunnel" else None
        if tunnel is None:
            return ("drop",)
        kind, hop, host_endpoint, src, dst, _sum, *inner = tunnel
        assert self._port(hop) and not host_endpoint
        packed = 16 if kind == "vxlan_v6" else 4
        ends = tuple(str(ip_address(end.to_bytes(packed, "big"))) for end in (src, dst))
        if kind == "ipip":
            return "ipip", *ends
        return "vxlan", *ends, inner[0], *(mac.to_bytes(6, "big").hex(":") for mac in inner[1:])

    def _port(self, hop: int) -> tuple[str]:
        port = self.ports.by_number(self.rows["next_hop"][hop,][1])
        assert port is not None
        return (port.name,)


def destinations(model: RouteModel, offline: Offline, seed: int) -> list[str]:
    """The first, last and neighbouring addresses of everything the stream names, then addresses at random inside and outside of it."""
    drawn = random.Random(seed)
    nets = [ip_network(net) for net in ("0.0.0.0/0", "::/0")] + list(model.routes) + [net for _, net in model.subnets]
    nets += [ip_network(cidr) for endpoint in offline.store.endpoints.values() for cidr in endpoint.ipv4_nets + endpoint.ipv6_nets]
    found = [at for net in nets for edge in (net[0], net[-1]) for at in _around(edge)] + [str(own) for own in model.own]
    found += [str(net[drawn.randrange(net.num_addresses)]) for net in drawn.choices(nets, k=max(0, DESTINATIONS - len(found)))]
    return found[:DESTINATIONS]


def _around(address: Any) -> list[str]:
    last = (1 << address.max_prefixlen) - 1
    return [str(type(address)(value)) for value in (int(address) - 1, int(address), int(address) + 1) if 0 <= value <= last]


@pytest.mark.parametrize("name", NAMES)
def test_next_hops_are_those_of_the_contract(name: str) -> None:
    offline = Offline(path_of(name))
    rows = Rows(offline)
    own = sorted((port for port in offline.ports.all() if port.kind != "workload"), key=lambda port: port.kind != "uplink")
    model = RouteModel(offline.store, [(port.name, port.kind, port.addresses) for port in own])
    seen = set()
    for destination in destinations(model, offline, seed=7):
        wanted, found = model.resolve(destination), rows.resolve(destination)
        seen.add(wanted[0])
        assert found == (wanted[:2] if wanted[0] == "plain" else wanted), destination
    kinds = {"vxlan-always": "vxlan", "ipip": "ipip", "wireguard": "drop"}
    assert {"host", "plain", kinds.get(name, "host")} <= seen
