"""Kubernetes objects: read with their defaults, refused with the field, stored with net changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.kubernetes import Endpoint, EndpointPort, EndpointSlice, KubernetesStore, Node, Service, ServicePort, replace_kind
from datastore.kubernetes_objects import ObjectError, read_key, read_object

SLICE: dict[str, Any] = {
    "kind": "EndpointSlice",
    "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080}],
    "endpoints": [{"addresses": ["10.0.0.1"]}],
}


def service(**spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def endpoints(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**SLICE, "endpoints": list(items), **more}


def test_defaults_of_a_service():
    found = read_object(service(clusterIP="10.96.0.1", ports=[{"port": 80}]))
    assert found == Service("shop", "web", cluster_ips=("10.96.0.1",), ports=(ServicePort("", "TCP", 80, 0),))


def test_all_of_a_service():
    item = service(
        type="LoadBalancer", clusterIP="10.96.0.1", clusterIPs=["10.96.0.1", "fd00::1"], externalIPs=["203.0.113.1"], externalTrafficPolicy="Local",
        internalTrafficPolicy="Local", sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}},
        loadBalancerSourceRanges=[" 10.0.0.0/8 "], healthCheckNodePort=31000, ports=[{"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053}],
    )  # fmt: skip
    item["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    item["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"ip": "203.0.113.8", "ipMode": "Proxy"}, {"hostname": "x"}]}}
    assert read_object(item) == Service(
        "shop", "web", "2026-01-01T00:00:00Z", True, "LoadBalancer", ("10.96.0.1", "fd00::1"), ("203.0.113.1",), ("203.0.113.9",),
        (ServicePort("dns", "UDP", 53, 30053),), True, True, 60, ("10.0.0.0/8",), 31000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "health_port", "external_local"),
    [
        ({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}, 31000, True),
        ({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}, 0, False),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, 0, True),
        ({"externalTrafficPolicy": "Local"}, 0, False),
        ({"externalTrafficPolicy": "Local", "externalIPs": ["203.0.113.1"]}, 0, True),
    ],
)
def test_when_the_external_policy_counts(spec: dict[str, Any], health_port: int, external_local: bool):
    found = read_object(service(clusterIP="10.96.0.1", healthCheckNodePort=31000, **spec))
    assert isinstance(found, Service) and (found.health_port, found.external_local) == (health_port, external_local)


def test_what_is_left_to_others():
    foreign = service(clusterIP="10.96.0.1")
    foreign["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": ""}
    for item in (foreign, service(clusterIP="None", clusterIPs=["None"]), service(), service(type="ExternalName", externalName="x")):
        found = read_object(item)
        assert isinstance(found, Service) and not found.ours
    for labels in ({}, {**SLICE["metadata"]["labels"], "service.kubernetes.io/headless": ""}):
        assert read_object({**SLICE, "metadata": {**SLICE["metadata"], "labels": labels}}) is None
    assert read_object({**SLICE, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]}) is None


def test_a_slice():
    conditions = {"ready": False, "serving": None, "terminating": True}
    hints = {"forZones": [{"name": "b"}, {"name": "a"}], "forNodes": [{"name": "n"}]}
    item = endpoints(
        {"addresses": ["10.0.0.1", "10.0.0.9"], "conditions": conditions, "nodeName": "n", "hints": hints}, {"addresses": ["10.0.0.2"]},
        ports=[{"name": "http", "port": 8080}, {"name": "any"}, {"name": "zero", "port": 0}],
    )  # fmt: skip
    assert read_object(item) == EndpointSlice(
        "shop", "web-1", "web", False, (EndpointPort("http", "TCP", 8080),),
        (Endpoint("10.0.0.1", "n", False, True, True, ("a", "b"), ("n",)), Endpoint("10.0.0.2")),
    )  # fmt: skip


def test_a_node():
    addresses = [{"type": "Hostname", "address": "n"}, {"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "InternalIP", "address": "10.0.0.1"}]
    item = {"kind": "Node", "metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z"}}, "status": {"addresses": addresses}}
    assert read_object(item) == Node("n", "z", ("10.0.0.1", "203.0.113.1"))
    assert read_object({"kind": "Node", "metadata": {"name": "n"}}) == Node("n")


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"kind": "Pod", "metadata": {"name": "x"}}, "kind: 'Pod' is none of Service, EndpointSlice, Node"),
        ({"kind": "Node", "metadata": {}}, "metadata.name: missing"),
        ({"kind": "Service", "metadata": {"name": "x"}, "spec": []}, "spec: an object is expected, not a list"),
        (service(clusterIPs={}), "spec.clusterIPs: a list is expected, not an object"),
        (service(clusterIPs=["10.0.0.1", "fe80::1%eth0"]), "spec.clusterIPs[1]: 'fe80::1%eth0' has a zone"),
        (service(ports=[{"port": True}]), "spec.ports[0].port: an integer is expected, not True"),
        (service(ports=[{}]), "spec.ports[0].port: missing"),
        (service(ports=[{"port": 1, "protocol": "tcp"}]), "spec.ports[0].protocol: 'tcp' is none of TCP, UDP, SCTP"),
        (service(loadBalancerSourceRanges=["10.0.0.0/33"]), "spec.loadBalancerSourceRanges[0]: '10.0.0.0/33'"),
        (service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 0}}), "clientIP.timeoutSeconds: 0 is not within 1"),
        (endpoints({"addresses": []}), "endpoints[0].addresses: at least one address is expected"),
        (endpoints({"addresses": ["::1"]}), "endpoints[0].addresses[0]: ::1 is no IPv4 address"),
        (endpoints({"addresses": ["10.0.0.1"], "conditions": {"ready": "yes"}}), "endpoints[0].conditions.ready: a boolean is expected, not 'yes'"),
        (endpoints(addressType="ipv4"), "addressType: 'ipv4' is none of IPv4, IPv6, FQDN"),
    ],
)
def test_what_can_not_be_read(item: dict[str, Any], error: str):
    with pytest.raises(ObjectError) as raised:
        read_object(item)
    assert error in str(raised.value)


def test_net_changes():
    store = KubernetesStore()
    web, other = read_object(service(clusterIP="10.96.0.1")), read_object(SLICE)
    assert isinstance(web, Service) and isinstance(other, EndpointSlice)
    store.put(web)
    store.put(other)
    assert store.take_dirty() == ({("shop", "web")}, set(), False) and list(store.slices_of(("shop", "web"))) == [other]
    store.put(web)
    store.remove(read_key(service()))
    store.put(web)
    assert not store.take_dirty()
    store.put(other._replace(service="web2"))
    assert store.take_dirty().services == {("shop", "web"), ("shop", "web2")}
    assert list(store.slices_of(("shop", "web"))) == []
    assert store.remove(read_key(SLICE)) and not store.remove(read_key(SLICE))
    assert store.take_dirty().services == {("shop", "web2")} and not list(store.slices_of(("shop", "web2")))


def test_a_source_that_comes_up_is_a_change():
    store = KubernetesStore()
    assert not store.take_dirty() and store.known
    store.configured = True
    assert store.take_dirty().source and not store.known
    store.in_sync = True
    assert store.take_dirty().source and not store.take_dirty() and store.known


def test_a_list_replaces_a_kind_and_nothing_else():
    store = KubernetesStore()
    values = [read_object(service(clusterIP="10.96.0.1")), read_object(SLICE), Node("a"), Node("b")]
    for value in values:
        assert value is not None
        store.put(value)
    store.take_dirty()
    replace_kind(store, "Node", [Node("b"), Node("c")], {("Node", "", "d"): "spec: bad"})
    assert store.take_dirty() == (set(), {"a", "c"}, False) and set(store.nodes) == {"b", "c"} and set(store.problems) == {("Node", "", "d")}
    assert len(store.services) == len(store.slices) == 1
    store.refuse(("Node", "", "b"), "bad")
    assert set(store.nodes) == {"c"}
    replace_kind(store, "Node", [], {})
    assert not store.nodes and not store.problems


_SLICES = st.builds(EndpointSlice, st.just("n"), st.sampled_from("abc"), st.sampled_from(["s", "t"]), endpoints=st.sampled_from([(), (Endpoint("10.0.0.1"),)]))


@given(st.lists(st.one_of(_SLICES, st.sampled_from("abc"), st.none()), max_size=30))
def test_slices_by_service_whatever_happens(steps: list[EndpointSlice | str | None]):
    """A step is a slice to put, a name to remove, or None: take what is dirty."""
    store, seen = KubernetesStore(), dict[tuple[str, str], set[EndpointSlice]]()
    for step in [*steps, None]:
        if isinstance(step, EndpointSlice):
            store.put(step)
        elif step is not None:
            store.remove(("EndpointSlice", "n", step))
        else:
            for key in store.take_dirty().services:
                seen[key] = set(store.slices_of(key))
            expected = {("n", name): {each for each in store.slices.values() if each.service == name} for name in ("s", "t")}
            assert {key: value for key, value in seen.items() if value} == {key: value for key, value in expected.items() if value}
