"""The intent store: the state after a stream, what Felix's messages may and may not do, and the net changes."""

import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore import intent
from datastore.intent import Dirty, HostMetadata, IntentError, IntentStore, IPSet, MemberDelta, WireguardEndpoint
from felix_proto import types as t
from felix_proto.decode import Decoder
from felix_proto.recordings import read_recording
from test.support.shared import needs_shared, recording_path, shared_path, shared_recordings

MAPS = (
    "ip_sets", "policies", "profiles", "endpoints", "host_endpoints", "routes", "vteps", "host_metadata", "pools", "services",
    "service_accounts", "namespaces", "wireguard",
)  # fmt: skip
DIRTY_NAMES = {"host_metadata": "hosts"}


def state(store: IntentStore) -> dict[str, Any]:
    """Return all that a store holds, but for the configuration, which snapshots of one state may differ in."""
    maps = {name: dict(getattr(store, name)) for name in MAPS}
    maps["ip_sets"] = {id: IPSet(each.type, each.members) for id, each in store.ip_sets.items()}  # those of the store change
    return maps | {
        "bgp": store.bgp,
        "encapsulation": store.encapsulation,
        "in_sync": store.in_sync,
    }


def replay(path: Path, until: int | None = None) -> IntentStore:
    """Return the store after the first ``until`` frames of a recording."""
    store, decoder = IntentStore(), Decoder()
    for frame in read_recording(path):
        if frame.index == until:
            break
        store.apply(decoder.decode(frame).payload)
    return store


def store_of(*payloads: t.Payload) -> IntentStore:
    """Return a store that has been told something, with nothing dirty."""
    store = IntentStore()
    for payload in payloads:
        store.apply(payload)
    store.take_dirty()
    return store


# --- recordings


def checkpoints(folder: Path) -> Iterable[tuple[Path, int, Path]]:
    """Yield (recording, number of frames, snapshot) for the checkpoints of a folder that have a snapshot."""
    for steps in sorted(folder.glob("*.steps.tsv")):
        name = steps.name.removesuffix(".steps.tsv")
        lines = [line.split("\t") for line in steps.read_text().splitlines()]
        for line in lines:
            if line[-1].startswith("CHECKPOINT"):
                snapshot = folder / f"{name}.checkpoint-{line[-1].split()[1].rstrip(':')}.felixstream"
                if snapshot.exists():
                    yield folder / f"{name}.felixstream", int(line[2]), snapshot


COPIES = list(checkpoints(recording_path("churn.steps.tsv").parent))
SHARED = list(checkpoints(shared_path("recordings")))


def test_checkpoints_are_found() -> None:
    assert [(stream.name, frames) for stream, frames, _ in COPIES] == [("churn.felixstream", 353), ("churn.felixstream", 1100)]


@needs_shared
def test_checkpoints_of_all_releases_are_found() -> None:
    assert len(SHARED) == 6 + 2 + 2


@pytest.mark.parametrize("checkpoint", COPIES + SHARED, ids=lambda each: f"{each[2].parent.name}-{each[2].name}")
def test_churn_up_to_a_checkpoint_equals_the_snapshot(checkpoint: tuple[Path, int, Path]) -> None:
    stream, frames, snapshot = checkpoint
    assert state(replay(stream, frames)) == state(replay(snapshot))


@needs_shared
def test_a_stalled_reader_ends_in_the_same_state() -> None:
    folder = shared_path("recordings")
    assert state(replay(folder / "stalled-reader.felixstream")) == state(replay(folder / "stalled-reader.snapshot.felixstream"))


RECORDINGS = {path.name: path for path in [*shared_recordings(), *recording_path("quickstart.felixstream").parent.glob("*.felixstream")]}


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_no_recorded_message_is_without_effect(name: str) -> None:
    store = replay(RECORDINGS[name])
    assert store.in_sync
    assert store.ignored == {}


def test_quickstart() -> None:
    store = replay(recording_path("quickstart.felixstream"))
    sizes = {name: len(getattr(store, name)) for name in MAPS}
    assert sizes == {
        "ip_sets": 28, "policies": 22, "profiles": 9, "endpoints": 8, "host_endpoints": 0, "routes": 35, "vteps": 3, "host_metadata": 3,
        "pools": 2, "services": 5, "service_accounts": 8, "namespaces": 6, "wireguard": 0,
    }  # fmt: skip
    assert store.host_metadata["node-b"][:3] == ("node-b", "192.0.2.12/24", "2001:db8:a::12/64")
    assert store.config["FelixHostname"] == "node-a"
    assert store.encapsulation == t.Encapsulation(vxlan_enabled=True, vxlan_enabled_v6=True)
    assert sum(len(each.members) for each in store.ip_sets.values()) == 150


def test_host_metadata_is_the_same_in_each_release() -> None:
    hosts = [replay(recording_path(f"quickstart{version}.felixstream")).host_metadata for version in ("", "-v3.32", "-v3.31")]
    assert hosts[0] == hosts[1] == hosts[2]
    assert len(hosts[0]) == 3


@pytest.mark.parametrize("name", ["churn.felixstream", "hostendpoints.felixstream", "quickstart-v3.31.felixstream"])
@pytest.mark.parametrize("every", [1, 7, 10_000])
def test_changes_taken_rebuild_the_state_of_a_recording(name: str, every: int) -> None:
    store, decoder, mirror = IntentStore(), Decoder(), dict[str, dict[Any, Any]]()
    for frame in read_recording(recording_path(name)):
        store.apply(decoder.decode(frame).payload)
        if frame.index % every == every - 1:
            update_mirror(mirror, store, store.take_dirty())
    update_mirror(mirror, store, store.take_dirty())
    assert mirror == {name: dict(getattr(store, name)) for name in MAPS}
    assert not store.take_dirty()


def update_mirror(mirror: dict[str, dict[Any, Any]], store: IntentStore, dirty: Dirty) -> None:
    """Bring a mirror up to date from what is dirty, which must really differ from it."""
    for name in MAPS:
        copy, now = mirror.setdefault(name, {}), getattr(store, name)
        for key in getattr(dirty, DIRTY_NAMES.get(name, name)):
            assert copy.get(key) != now.get(key)
            if key not in now:
                del copy[key]
            elif name == "ip_sets":
                delta = dirty.ip_sets[key]
                old = copy[key].members if key in copy else set()
                copy[key] = IPSet(now[key].type, (old - delta.removed) | delta.added)
            else:
                copy[key] = now[key]


def test_about_a_third_of_the_endpoint_updates_of_churn_mark_nothing() -> None:
    """68 of 228 are byte-identical repeats."""
    store, decoder, marked, updates = IntentStore(), Decoder(), 0, 0
    for frame in read_recording(recording_path("churn.felixstream")):
        payload = decoder.decode(frame).payload
        store.apply(payload)
        dirty = store.take_dirty()
        if isinstance(payload, t.WorkloadEndpointUpdate):
            updates += 1
            marked += bool(dirty)
    assert updates == 228
    assert updates - marked >= 68


# --- kinds


def test_every_kind_of_payload_has_exactly_one_home() -> None:
    kinds = set(typing.get_args(t.Payload))
    homes = [set(intent._RECORD), set(intent._REMOVE), set(intent.NOT_OURS)]
    assert set.union(*homes) == kinds
    assert sum(map(len, homes)) == len(kinds)
    assert all(intent.NOT_OURS.values())


def test_what_is_no_payload_is_refused() -> None:
    with pytest.raises(TypeError, match="Rule is no payload"):
        IntentStore().apply(t.Rule())  # type: ignore[arg-type]


POLICY = t.PolicyID("NetworkPolicy", "shop", "default.x")
WEB = t.WorkloadEndpointID("k8s", "shop/web", "eth0")
ACCOUNT = t.ServiceAccountID("shop", "web")
# (update, another one for the same key, remove, name of the map, key)
LIFES: list[tuple[Any, Any, Any, str, Any]] = [
    (t.ActivePolicyUpdate(POLICY, t.Policy(POLICY)), t.ActivePolicyUpdate(POLICY, t.Policy(POLICY, tier="a")), t.ActivePolicyRemove(POLICY), "policies", POLICY),
    (t.ActiveProfileUpdate("p", t.Profile("p")), t.ActiveProfileUpdate("p", t.Profile("p", (t.Rule("deny"),))), t.ActiveProfileRemove("p"), "profiles", "p"),
    (t.WorkloadEndpointUpdate(WEB, t.WorkloadEndpoint(WEB)), t.WorkloadEndpointUpdate(WEB, t.WorkloadEndpoint(WEB, "active")), t.WorkloadEndpointRemove(WEB), "endpoints", WEB),
    (t.HostEndpointUpdate("h", t.HostEndpoint("h")), t.HostEndpointUpdate("h", t.HostEndpoint("h", "*")), t.HostEndpointRemove("h"), "host_endpoints", "h"),
    (t.RouteUpdate("10.0.0.0/8"), t.RouteUpdate("10.0.0.0/8", 4), t.RouteRemove("10.0.0.0/8"), "routes", "10.0.0.0/8"),
    (t.VXLANTunnelEndpointUpdate("n"), t.VXLANTunnelEndpointUpdate("n", "02::"), t.VXLANTunnelEndpointRemove("n"), "vteps", "n"),
    (t.HostMetadataUpdate("n", "10.0.0.1"), t.HostMetadataUpdate("n", "10.0.0.2"), t.HostMetadataRemove("n"), "host_metadata", "n"),
    (t.HostMetadataV6Update("n", "a::1"), t.HostMetadataV6Update("n", "a::2"), t.HostMetadataV6Remove("n"), "host_metadata", "n"),
    (t.HostMetadataV4V6Update("n", "10.0.0.1/8"), t.HostMetadataV4V6Update("n", asnumber="1"), t.HostMetadataV4V6Remove("n"), "host_metadata", "n"),
    (t.IPAMPoolUpdate("10-8", t.IPAMPool("10-8")), t.IPAMPoolUpdate("10-8", t.IPAMPool("10-8", "10/8")), t.IPAMPoolRemove("10-8"), "pools", "10-8"),
    (t.ServiceUpdate("s", "ns"), t.ServiceUpdate("s", "ns", "NodePort"), t.ServiceRemove("s", "ns"), "services", t.ServiceID("ns", "s")),
    (t.ServiceAccountUpdate(ACCOUNT), t.ServiceAccountUpdate(ACCOUNT, (("a", "b"),)), t.ServiceAccountRemove(ACCOUNT), "service_accounts", ACCOUNT),
    (t.NamespaceUpdate("ns"), t.NamespaceUpdate("ns", (("a", "b"),)), t.NamespaceRemove("ns"), "namespaces", "ns"),
    (t.WireguardEndpointUpdate("n"), t.WireguardEndpointUpdate("n", "key"), t.WireguardEndpointRemove("n"), "wireguard", "n"),
    (t.WireguardEndpointV6Update("n"), t.WireguardEndpointV6Update("n", "key"), t.WireguardEndpointV6Remove("n"), "wireguard", "n"),
]  # fmt: skip


@pytest.mark.parametrize("life", LIFES, ids=lambda life: type(life[0]).__name__)
def test_life_of_an_object(life: tuple[Any, Any, Any, str, Any]) -> None:
    update, other, remove, name, key = life
    store = IntentStore()
    objects, dirty_name = getattr(store, name), DIRTY_NAMES.get(name, name)

    def dirty_after(*payloads: Any) -> list[Any]:
        for payload in payloads:
            store.apply(payload)
        dirty = store.take_dirty()
        others = [getattr(dirty, each) for each in Dirty.__slots__ if each not in (dirty_name, "recreated")]
        assert not any(others)
        return list(getattr(dirty, dirty_name))

    assert dirty_after(update) == [key]
    first = objects[key]
    assert dirty_after(update) == []
    assert dirty_after(other) == [key]
    assert objects[key] != first
    assert dirty_after(update, other) == []
    assert dirty_after(remove) == [key]
    assert key not in objects
    assert store.ignored == {}
    assert dirty_after(remove) == []
    assert store.ignored == {type(remove).__name__: 1}
    assert dirty_after(update, remove) == []
    assert dirty_after(update) == [key]
    assert objects[key] == first
    assert dirty_after(remove, update) == []


def test_an_endpoint_that_was_removed_in_between_is_told() -> None:
    key = t.WorkloadEndpointID("k8s", "shop/web", "eth0")
    update, other = (t.WorkloadEndpointUpdate(key, t.WorkloadEndpoint(key, name=name)) for name in ("cali1", "cali2"))
    remove = t.WorkloadEndpointRemove(key)
    store = IntentStore()

    def recreated_after(*payloads: t.Payload) -> set[t.WorkloadEndpointID]:
        for payload in payloads:
            store.apply(payload)
        return store.take_dirty().recreated

    assert recreated_after(update) == recreated_after(other) == recreated_after(remove) == recreated_after(update) == set()
    assert recreated_after(remove, update) == {key}
    assert recreated_after() == set()
    assert recreated_after(remove, other) == {key}
    assert recreated_after(remove, update, remove) == set()


def test_nothing_else_is_a_kind_with_a_life() -> None:
    covered = {type(part) for life in LIFES for part in life[:3]}
    assert set(typing.get_args(t.Payload)) - covered == {
        t.InSync, t.ConfigUpdate, t.Encapsulation, t.GlobalBGPConfigUpdate, t.IPSetUpdate, t.IPSetDeltaUpdate, t.IPSetRemove, t.Unknown,
    }  # fmt: skip


# --- IP sets


def test_a_repeated_ip_set_replaces_its_members() -> None:
    store = store_of(t.IPSetUpdate("s:a", ("a", "b"), 2))
    store.apply(t.IPSetUpdate("s:a", ("b", "c"), 2))
    assert store.ip_sets == {"s:a": IPSet(2, ["b", "c"])}
    assert store.take_dirty().ip_sets == {"s:a": MemberDelta({"c"}, {"a"})}


def test_an_identical_ip_set_marks_nothing() -> None:
    store = store_of(t.IPSetUpdate("s:a", ("a", "b"), 2))
    store.apply(t.IPSetUpdate("s:a", ("b", "a"), 2))
    assert not store.take_dirty()


def test_a_delta() -> None:
    store = store_of(t.IPSetUpdate("s:a", ("a", "b"), 2))
    store.apply(t.IPSetDeltaUpdate("s:a", ("c",), ("a",)))
    assert store.ip_sets["s:a"].members == {"b", "c"}
    assert store.take_dirty().ip_sets == {"s:a": MemberDelta({"c"}, {"a"})}
    assert store.ignored == {}


def test_a_delta_that_is_partly_done_already_is_counted() -> None:
    store = store_of(t.IPSetUpdate("s:a", ("a", "b"), 2))
    store.apply(t.IPSetDeltaUpdate("s:a", ("a", "c"), ("x", "b", "y")))
    assert store.take_dirty().ip_sets == {"s:a": MemberDelta({"c"}, {"b"})}
    assert store.ignored == {"IPSetDeltaUpdate": 3}


def test_what_a_delta_both_adds_and_removes_is_out() -> None:
    store = store_of(t.IPSetUpdate("s:a", ("a",), 2))
    store.apply(t.IPSetDeltaUpdate("s:a", ("a", "b"), ("a", "b")))
    assert store.ip_sets["s:a"].members == set()


def test_a_delta_of_an_unknown_set_is_an_error_and_changes_nothing() -> None:
    store = store_of(t.IPSetUpdate("s:a", ("a",), 2))
    with pytest.raises(IntentError, match="IPSetDeltaUpdate s:b: no such IP set") as raised:
        store.apply(t.IPSetDeltaUpdate("s:b", ("a",), ()))
    assert (raised.value.kind, raised.value.id) == ("IPSetDeltaUpdate", "s:b")
    assert store.ip_sets == {"s:a": IPSet(2, ["a"])}
    assert not store.take_dirty()


def test_removal_of_an_unknown_set_is_counted() -> None:
    store = store_of()
    store.apply(t.IPSetRemove("s:a"))
    assert store.ignored == {"IPSetRemove": 1}
    assert not store.take_dirty()


# --- what there is one of


def test_an_empty_bgp_configuration_equals_none() -> None:
    store = store_of()
    store.apply(t.GlobalBGPConfigUpdate(("10.96.0.0/16",)))
    assert store.take_dirty().bgp
    store.apply(t.GlobalBGPConfigUpdate())
    assert store.take_dirty().bgp
    assert state(store) == state(IntentStore())


def test_configuration_encapsulation_and_in_sync() -> None:
    store = IntentStore()
    store.apply(t.ConfigUpdate((("a", "1"), ("b", "2"))))
    store.apply(t.Encapsulation(vxlan_enabled=True))
    store.apply(t.InSync())
    assert (store.config, store.encapsulation.vxlan_enabled, store.in_sync) == ({"a": "1", "b": "2"}, True, True)
    assert store.take_dirty() == Dirty(config=True, encapsulation=True)
    store.apply(t.ConfigUpdate((("a", "1"), ("b", "2"))))
    store.apply(t.Encapsulation(vxlan_enabled=True))
    store.apply(t.InSync())
    assert store.take_dirty() == Dirty()
    store.apply(t.ConfigUpdate((("b", "2"),)))
    assert store.config == {"b": "2"}
    assert store.take_dirty() == Dirty(config=True)


def test_an_unknown_message_is_counted_and_changes_nothing() -> None:
    store = store_of()
    store.apply(t.Unknown(41, b""))
    assert store.ignored == {"Unknown": 1}
    assert not store.take_dirty()


# --- what comes in parts


def test_host_metadata_up_to_3_32_is_joined_from_its_parts() -> None:
    store = store_of(t.HostMetadataUpdate("n", "10.0.0.1"))
    assert store.host_metadata["n"] == HostMetadata("n", "10.0.0.1")
    store.apply(t.HostMetadataV6Update("n", "a::1"))
    assert store.host_metadata["n"] == HostMetadata("n", "10.0.0.1", "a::1")
    store.apply(t.HostMetadataV4V6Update("n", "10.0.0.1/24", "a::1/64", "64512", (("zone", "a"),)))
    assert store.host_metadata["n"] == HostMetadata("n", "10.0.0.1/24", "a::1/64", "64512", (("zone", "a"),))
    store.apply(t.HostMetadataUpdate("n", "10.0.0.1"))
    assert store.host_metadata["n"].ipv6_addr == "a::1/64"
    store.apply(t.HostMetadataV4V6Remove("n"))
    store.apply(t.HostMetadataV6Remove("n"))
    assert store.host_metadata["n"] == HostMetadata("n", "10.0.0.1")
    store.apply(t.HostMetadataRemove("n"))
    assert store.host_metadata == {}
    assert store.host_metadata._parts == {}  # nothing is kept of nodes that are gone


def test_host_metadata_since_3_34_is_replaced_as_a_whole() -> None:
    store = store_of(t.HostMetadataUpdate("n", "10.0.0.1/24", "a::1/64", "1", (("a", "b"),)))
    store.apply(t.HostMetadataUpdate("n", "10.0.0.1/24"))
    assert store.host_metadata["n"] == HostMetadata("n", "10.0.0.1/24")
    assert store.take_dirty().hosts == {"n"}


def test_wireguard_is_joined_from_both_families() -> None:
    store = store_of(t.WireguardEndpointUpdate("n", "k4", "10.0.0.1"), t.WireguardEndpointV6Update("n", "k6", "a::1"))
    assert store.wireguard["n"] == WireguardEndpoint("n", "k4", "10.0.0.1", "k6", "a::1")
    store.apply(t.WireguardEndpointRemove("n"))
    assert store.wireguard["n"] == WireguardEndpoint("n", public_key_v6="k6", interface_ipv6_addr="a::1")
    assert store.take_dirty().wireguard == {"n"}


# --- random sequences


UPDATES = [part for life in LIFES for part in life[:3]]
SETS = [
    t.IPSetUpdate("s:a", ("a", "b"), 2), t.IPSetUpdate("s:a", ("c",), 2), t.IPSetRemove("s:a"), t.IPSetDeltaUpdate("s:a", ("a", "d"), ("c",)),
    t.IPSetDeltaUpdate("s:a", (), ("a", "b")),
]  # fmt: skip


@given(st.lists(st.sampled_from([None, *UPDATES, *SETS]), max_size=40))
def test_changes_taken_rebuild_the_state_after_any_sequence(payloads: list[Any]) -> None:
    store, mirror = IntentStore(), dict[str, dict[Any, Any]]()
    for payload in [*payloads, None]:
        if payload is None:
            update_mirror(mirror, store, store.take_dirty())
            assert mirror == {name: dict(getattr(store, name)) for name in MAPS}
        else:
            before = state(store)
            try:
                store.apply(payload)
            except IntentError:
                assert state(store) == before
