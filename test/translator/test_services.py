"""Services resolved: the table of scenarios, the reference written from Kubernetes' documentation, and rows that follow changes."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_p4.ports import PortInventory
from datastore.allocator import Allocator
from datastore.intent import IntentStore
from datastore.kubernetes import Endpoint, EndpointPort, EndpointSlice, Service, ServicePort
from datastore.kubernetes_objects import read_key, read_object
from felix_proto import types as felix
from test.support.service_reference import Answer, Cluster, Source
from test.support.service_scenarios import (
    LETTERS,
    NODE,
    NODE_ADDRESSES,
    NODE_PORT,
    PLACES,
    PLACES_V6,
    WHO,
    WHO_V6,
    Probe,
    Scenario,
    read,
    scenarios,
)
from translator.addresses import parse_address
from translator.buckets import buckets
from translator.service_choice import Backend
from translator.service_entries import CHECK_SOURCE, DROP, MASQUERADE_HOST, MASQUERADE_OUTSIDE, MASQUERADE_WORKLOAD
from translator.services import PROTOCOLS, ServicePart

SCENARIOS = scenarios()
Rows = dict[tuple[str, tuple[Any, ...]], tuple[Any, ...]]
Json = dict[str, Any]
MASQUERADE = {"pod": MASQUERADE_WORKLOAD, "host": MASQUERADE_HOST, "outside": MASQUERADE_OUTSIDE}


class Side:
    """The product's side: a store, the translator's part, and the rows it gave out so far."""

    def __init__(self) -> None:
        self.names, self.rows = Allocator(), Rows()
        self.intent, self.ports = IntentStore(), PortInventory(self.names)
        self.store = self.intent.kubernetes
        self.store.configured = self.store.in_sync = True
        self.part = ServicePart(self.names)
        self.intent.apply(felix.ConfigUpdate((("FelixHostname", NODE),)))
        self.intent.apply(felix.HostMetadataUpdate(NODE, *(f"{address}/24" for address in NODE_ADDRESSES)))

    def put(self, objects: Iterable[Json]) -> None:
        for item in objects:
            value = read_object(item)
            self.store.remove(read_key(item)) if value is None else self.store.put(value)

    def remove(self, item: Json) -> None:
        self.store.remove(read_key(item))

    def update(self) -> int:
        """Translate; returns how many rows changed."""
        dirty = self.intent.take_dirty()
        self.ports.refresh(self.intent, dirty)
        changes = self.part.update(self.intent, dirty, self.ports)
        for table, key, value in changes:
            if value is None:
                del self.rows[table, key]
            else:
                assert self.rows.get((table, key)) != value, "a row that is as it was"
                self.rows[table, key] = value
        return len(changes)

    def ask(self, probe: Probe) -> Answer:
        """Read the answer off the rows, as the pipeline would."""
        return ask(self.rows, probe)


def ask(rows: Rows, probe: Probe) -> Answer:
    family, value = ("v6" if ":" in probe.address else "v4"), parse_address(probe.address) & ((1 << 128) - 1)
    row = rows.get((f"service_{family}", (value, PROTOCOLS[probe.protocol], probe.port)))
    if row is None:
        return Answer("none")
    _, inside, inside_mask, outside, outside_mask, flags = row
    group, mask = (outside, outside_mask) if probe.source.kind == "outside" else (inside, inside_mask)
    if group and flags & CHECK_SOURCE and not _in_range(rows, family, group, probe.source.address):
        return Answer("source_range")
    if not group:
        return Answer("drop" if flags & DROP else "reject")
    backends = frozenset(_bucket(rows[f"backend_{family}", (group, bucket >> 2)], bucket & 3, family) for bucket in range(mask + 1))
    return Answer("backends", backends, bool(flags & MASQUERADE[probe.source.kind]))


def _bucket(row: tuple[Any, ...], place: int, family: str) -> tuple[str, int]:
    """One of the four in a row: address (of IPv6 also in halves) and port."""
    of_one = row[1:][place * (len(row) // 4) : (place + 1) * (len(row) // 4)]
    return _text(of_one[0], family), of_one[-1]


def _in_range(rows: Rows, family: str, group: int, address: str) -> bool:
    width, value = (128 if family == "v6" else 32), parse_address(address) & ((1 << 128) - 1)
    return any(
        (f"service_source_{family}", (group, (value >> shift << shift, width - shift))) in rows for shift in range(width + 1)
    )


def named(side: Side) -> Rows:
    """The rows with groups by name: numbers are a matter of history."""
    names = {0: "", **{number: name for name, number in side.names.items("group")}}
    found = Rows()
    for (table, key), value in side.rows.items():
        if table.startswith("service_v"):
            value = (value[0], names[value[1]], value[2], names[value[3]], *value[4:])
        else:
            key = (names[key[0]], *key[1:])
        found[table, key] = value
    return found


def _text(value: int, family: str) -> str:
    from ipaddress import IPv4Address, IPv6Address

    return str(IPv6Address(value) if family == "v6" else IPv4Address(value))


def same(answer: Answer) -> Answer:
    """The answer with addresses in one spelling."""
    from ipaddress import ip_address

    return Answer(answer.what, frozenset((str(ip_address(a)), p) for a, p in answer.backends), answer.masquerade)


@pytest.mark.parametrize("family", ["v4", "v6"])
@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_a_row_holds_four_buckets_in_order(family: str, count: int):
    addresses = [f"10.65.3.{number}" if family == "v4" else f"fd00:65::3:{number}" for number in range(1, count + 1)]
    side = Side()
    side.store.put(Service("shop", "web", cluster_ips=("172.16.0.1" if family == "v4" else "fd00::1",), ports=(ServicePort("", "TCP", 80),)))
    side.store.put(EndpointSlice("shop", "web-x", "web", family == "v6", (EndpointPort("", "TCP", 8080),), tuple(map(Endpoint, addresses))))
    side.update()
    ((_, _, mask, *_),) = (value for (table, _), value in side.rows.items() if table == f"service_{family}")
    rows = {key: value for (table, key), value in side.rows.items() if table == f"backend_{family}"}
    ((group, _), *_) = rows
    assert rows.keys() == {(group, row) for row in range((mask + 1) // 4)}
    backends = [Backend(parse_address(address), 8080) for address in addresses]
    expected = [(_text(backend.address & (1 << 128) - 1, family), 8080) for backend in buckets(backends)]
    assert [_bucket(rows[group, bucket >> 2], bucket & 3, family) for bucket in range(mask + 1)] == expected
    assert {value[0] for value in rows.values()} == {f"to_backends_{family}"}


def test_more_backends_than_buckets_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("translator.services.MOST", 3)
    side = Side()
    side.store.put(Service("shop", "web", cluster_ips=("172.16.0.1",), ports=(ServicePort("", "TCP", 80),)))
    for count, told in ((3, []), (4, [("Service shop/web", "port 80/TCP: of 4 backends 3 are reached, as many as there are buckets")])):
        members = tuple(Endpoint(f"10.65.3.{number}") for number in range(1, count + 1))
        side.store.put(EndpointSlice("shop", "web-x", "web", False, (EndpointPort("", "TCP", 8080),), members))
        side.update()
        assert [(each.object, each.reason) for each in side.part.degraded()] == told


def test_there_are_enough_scenarios_and_no_name_stands_twice():
    assert len(SCENARIOS) >= 150
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert all(scenario.probes for scenario in SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario):
    side, reference = Side(), Cluster(scenario.objects, NODE, NODE_ADDRESSES)
    side.put(scenario.objects)
    side.update()
    for probe in scenario.probes:
        asked = reference.ask(probe.source, probe.address, probe.protocol, probe.port)
        assert same(asked) == same(probe.answer), f"the reference about {probe.text}"
        assert same(side.ask(probe)) == same(probe.answer), probe.text


_WORDS = ["np", "lb", "lb=lb,lb6", "lbonly", "proxied", "ext", "ext=node", "ext6", "etp", "itp", "ranges=198.51.100.0/24", "ranges=10.65.0.0/16,192.0.2.0/24",
          "aff", "aff=60", "udp", "ports=http:80:8080,dns:53:5353/udp", "v6", "dual", "headless", "alias", "foreign", "born=1", "born=2", "ip=cluster2",
          "nodeport=30500", "notready"]  # fmt: skip
_LETTERS = st.sampled_from([*"abefijmnABE"])
_ENDPOINT = st.builds("".join, st.tuples(_LETTERS, st.sampled_from(["", "", "", "!", "~", "x", "?", "+", "-"]), st.sampled_from(["", "", "/z1", "/z2", "/z1/z2"]),
                                         st.sampled_from(["", "", "^node-a", "^node-b"])))  # fmt: skip
_UNIQUE = st.lists(_ENDPOINT, max_size=6, unique_by=lambda word: word[0].lower())
"""What two slices say differently of one endpoint is nowhere settled."""
_SLICES = st.tuples(_UNIQUE, st.integers(0, 6)).map(lambda drawn: " || ".join(map(" ".join, (drawn[0][: drawn[1]], drawn[0][drawn[1] :]))))
_ONE = st.tuples(st.lists(st.sampled_from(_WORDS), max_size=6).map(" ".join), _SLICES)
_STATE = st.tuples(st.lists(_ONE, min_size=1, max_size=3), st.sampled_from(["", "@z1", "@z2"])).map(
    lambda drawn: "| ".join(["drawn", ";".join(one[0] for one in drawn[0]), ";".join(one[1] for one in drawn[0]) + f" {drawn[1]}", ""])
)


def _every_probe() -> list[Probe]:
    sources = [(WHO, PLACES, LETTERS["p"]), (WHO_V6, PLACES_V6, "fd00:65::10:65:0:77")]
    nobody = Answer("none")
    return [
        Probe(f"{source} {address} {protocol} {port}", source, address, protocol, port, nobody)
        for who, places, pod in sources
        for source in (*who.values(), Source("pod", pod))
        for address in places.values()
        for port, protocol in ((80, "TCP"), (80, "UDP"), (53, "UDP"), (30500, "TCP"), (NODE_PORT, "TCP"), (NODE_PORT, "UDP"), (NODE_PORT + 1, "UDP"))
    ]


PROBES = _every_probe()


@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(_STATE, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_drawn_services_follow_the_reference_whatever_came_before(lines: list[str], random: Any):
    side, there = Side(), dict[Any, Json]()
    for line in lines:
        wanted = {read_key(item): item for item in read(line).objects}
        events = [("put", item) for item in wanted.values()] + [("remove", there[key]) for key in there.keys() - wanted.keys()]
        random.shuffle(events)
        for verb, item in events:
            side.put([item]) if verb == "put" else side.remove(item)
            if random.random() < 0.3:
                side.update()
        there = wanted
        side.update()
        assert side.update() == 0
        fresh = Side()
        fresh.put(sorted(wanted.values(), key=lambda item: random.random()))
        fresh.update()
        assert named(side) == named(fresh)
        reference = Cluster(list(wanted.values()), NODE, NODE_ADDRESSES)
        for probe in PROBES:
            assert same(side.ask(probe)) == same(reference.ask(probe.source, probe.address, probe.protocol, probe.port)), probe.text
