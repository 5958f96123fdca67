"""Decoding: every field of every release arrives, nothing is lost silently, and what can't be decoded is named by frame and byte."""

import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from felix_proto import felixbackend_legacy_pb2 as legacy
from felix_proto import felixbackend_pb2 as pb
from felix_proto import types as t
from felix_proto.decode import DecodeError, Decoder
from felix_proto.descriptors import is_repeated
from felix_proto.framing import Frame
from felix_proto.recordings import read_recording
from test.support.felix_messages import envelope, fill, frame, payload_kinds, random_messages
from test.support.shared import recording_path


def decode(message: Any, decoder: Decoder | None = None) -> Any:
    """Return the payload that a protobuf payload is decoded into."""
    return (decoder or Decoder()).decode(frame(envelope(message))).payload


def leaves(message: Any) -> typing.Iterator[object]:
    """Yield all numbers and texts in a protobuf message that ``fill`` made; booleans are all true and tell nothing."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key, item in value.items():
                yield key
                yield from leaves(item) if hasattr(item, "ListFields") else [item]
            continue
        for item in value if is_repeated(field) else [value]:
            yield from leaves(item) if field.message_type is not None else [item]


def values(item: object) -> typing.Iterator[object]:
    """Yield all numbers and texts in a decoded value."""
    if isinstance(item, tuple):
        for each in item:
            yield from values(each)
    elif item is not None:
        yield item


def booleans(message: Any) -> int:
    """Count the booleans that are set in a protobuf message."""
    return sum(leaf is True for leaf in leaves(message))


@pytest.mark.parametrize("kind", payload_kinds())
def test_every_field_of_every_payload_arrives(kind: str) -> None:
    message = fill(pb.ToDataplane.DESCRIPTOR.fields_by_name[kind].message_type._concrete_class())
    if kind == "route_update":
        message.ClearField("type")  # of the numbering up to 3.29; has tests of its own
    decoder = Decoder()
    payload = decode(message, decoder)
    assert type(payload).__name__ == message.DESCRIPTOR.name
    wanted = {leaf for leaf in leaves(message) if leaf is not True}
    found = list(values(payload))
    assert wanted - {value for value in found if value is not True} == set()
    assert sum(value is True for value in found) == booleans(message)
    assert not decoder.unknown_fields
    hash(payload)


@given(st.sampled_from(payload_kinds()).flatmap(lambda kind: st.tuples(st.just(kind), random_messages(
    pb.ToDataplane.DESCRIPTOR.fields_by_name[kind].message_type))), st.integers(0, (1 << 64) - 1))  # fmt: skip
def test_equal_bytes_give_equal_values_and_only_decode_errors(kind_and_fields: tuple[str, dict[str, Any]], number: int) -> None:
    kind, fields = kind_and_fields
    data = frame(pb.ToDataplane(sequence_number=number, **{kind: fields}))
    try:
        first = Decoder().decode(data)
    except DecodeError as error:
        assert error.frame == 0
        return
    again = Decoder().decode(data)
    assert first == again
    assert hash(first) == hash(again)
    assert first.sequence_number == number


RULE = {
    "action": "deny", "ip_version": 4, "src_net": ["10.0.0.0/8", "10.1.0.0/16"], "dst_ports": [{"first": 1, "last": 65535}],
    "src_ip_set_ids": ["s:a", "s:b"], "not_dst_named_port_ip_set_ids": ["n:c"], "rule_id": "abc",
    "metadata": {"annotations": {"b": "2", "a": "1"}},
}  # fmt: skip


def rule(**fields: Any) -> t.Rule:
    update = pb.ActivePolicyUpdate(id={"name": "p", "kind": "NetworkPolicy"}, policy={"inbound_rules": [fields]})
    return decode(update).policy.inbound_rules[0]  # type: ignore[no-any-return]


def test_a_rule() -> None:
    assert rule(**RULE) == t.Rule(
        action="deny",
        ip_version=4,
        src_net=("10.0.0.0/8", "10.1.0.0/16"),
        dst_ports=(t.PortRange(1, 65535),),
        src_ip_set_ids=("s:a", "s:b"),
        not_dst_named_port_ip_set_ids=("n:c",),
        rule_id="abc",
        metadata=(("a", "1"), ("b", "2")),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"protocol": {"number": 0}}, 0),
        ({"protocol": {"number": 17}}, 17),
        ({"protocol": {"name": "tcp"}}, "tcp"),
        ({"protocol": {"name": ""}}, ""),
        ({"protocol": {}}, ""),  # there, but no protocol: must not become "any"
    ],
)
def test_protocol(fields: dict[str, Any], expected: object) -> None:
    assert rule(**fields).protocol == expected
    assert rule(**{"not_" + name: value for name, value in fields.items()}).not_protocol == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"icmp_type": 0}, (0, None)),
        ({"icmp_type": 8}, (8, None)),
        ({"icmp_type_code": {}}, (0, 0)),
        ({"icmp_type_code": {"type": 3, "code": 4}}, (3, 4)),
    ],
)
def test_icmp(fields: dict[str, Any], expected: object) -> None:
    assert (rule(**fields).icmp, rule(**fields).not_icmp) == (expected, None)
    negated = rule(**{"not_" + name: value for name, value in fields.items()})
    assert (negated.icmp, negated.not_icmp) == (None, expected)


def test_objects_carry_their_ids() -> None:
    policy_id = t.PolicyID("NetworkPolicy", "shop", "default.x")
    wire_id = {"kind": "NetworkPolicy", "namespace": "shop", "name": "default.x"}
    assert decode(pb.ActivePolicyUpdate(id=wire_id, policy={"tier": "default"})).policy == t.Policy(policy_id, tier="default")
    assert decode(pb.ActivePolicyRemove(id=wire_id)) == t.ActivePolicyRemove(policy_id)
    assert decode(pb.ActiveProfileUpdate(id={"name": "kns.a"}, profile={})) == t.ActiveProfileUpdate("kns.a", t.Profile("kns.a"))
    endpoint_id = t.WorkloadEndpointID("k8s", "shop/web", "eth0")
    update = pb.WorkloadEndpointUpdate(id=endpoint_id._asdict(), endpoint={"name": "cali1", "local_bgp_peer": {"bgp_peer_name": ""}})
    assert decode(update).endpoint == t.WorkloadEndpoint(endpoint_id, name="cali1", local_bgp_peer="")
    assert decode(pb.HostEndpointUpdate(id={"endpoint_id": "h"}, endpoint={"name": "*"})).endpoint == t.HostEndpoint("h", name="*")
    assert decode(pb.IPAMPoolUpdate(id="10-8", pool={"cidr": "10/8"})).pool == t.IPAMPool("10-8", cidr="10/8")


@pytest.mark.parametrize("schema", [pb, legacy])
def test_an_update_without_its_parts_is_refused(schema: Any) -> None:
    message = schema.ToDataplane(workload_endpoint_update={"endpoint": {"name": "cali1"}})
    with pytest.raises(DecodeError, match=r"byte 108, frame 7: WorkloadEndpointUpdate without id"):
        Decoder().decode(frame(message, 7, 100))
    with pytest.raises(DecodeError, match="ActivePolicyUpdate without policy"):
        decode(pb.ActivePolicyUpdate(id={"name": "x"}))


# --- generations


def tiers(schema: Any, *names: str) -> list[Any]:
    policies = list(names) if schema is legacy else [{"kind": "NetworkPolicy", "namespace": "ns", "name": name} for name in names]
    return [{"name": "default", "ingress_policies": policies, "egress_policies": policies[:1], "default_action": "Deny"}]


def endpoint_frame(schema: Any, *names: str) -> Frame:
    update = {"id": {"workload_id": "w"}, "endpoint": {"state": "active", "tiers": tiers(schema, *names)}}
    return frame(schema.ToDataplane(workload_endpoint_update=update))


# Names that happen to be well-formed protobuf of some kind are the ones to get wrong: "a" and "q" begin a fixed64, "e" and "u" a fixed32.
NAMES = ["default.x", "ns/knp.default.x", "staged:a", "allow-web", "qqqqqqqqq", "eeeee", "uuuuu", "a" * 9, "ns/default.b"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first", [pb, legacy])
def test_policies_of_tiers_in_either_schema_without_any_hint(name: str, first: Any) -> None:
    decoder = Decoder()
    for schema in (first, legacy if first is pb else pb):  # the second comes as a surprise to a decoder that has settled
        endpoint = typing.cast(t.WorkloadEndpointUpdate, decoder.decode(endpoint_frame(schema, name, "other")).payload).endpoint
        if schema is legacy:
            wanted = tuple(t.PolicyID("", "", n, "default") for n in (name, "other"))
        else:
            wanted = tuple(t.PolicyID("NetworkPolicy", "ns", n) for n in (name, "other"))
        assert endpoint.tiers == (t.TierInfo("default", wanted, wanted[:1], "Deny"),)
        assert not decoder.unknown_fields


@given(st.lists(st.from_regex(r"[a-z0-9/:.-]{1,40}", fullmatch=True), min_size=1, max_size=4))
def test_any_name_of_a_policy_in_either_schema(names: list[str]) -> None:
    for schema in (pb, legacy):
        endpoint = typing.cast(t.WorkloadEndpointUpdate, Decoder().decode(endpoint_frame(schema, *names)).payload).endpoint
        assert [policy.name for policy in endpoint.tiers[0].ingress_policies] == names
        assert {policy.tier for policy in endpoint.tiers[0].ingress_policies} == {"default" if schema is legacy else ""}


def test_host_endpoint_tiers_of_each_kind_up_to_3_31() -> None:
    fields = {name: tiers(legacy, name) for name in ("tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers")}
    decoder = Decoder()
    message = legacy.ToDataplane(host_endpoint_update={"id": {"endpoint_id": "h"}, "endpoint": fields})
    endpoint = typing.cast(t.HostEndpointUpdate, decoder.decode(frame(message)).payload).endpoint
    for name in fields:
        assert getattr(endpoint, name)[0].ingress_policies == (t.PolicyID("", "", name, "default"),)
    assert decoder.generation == "3.31"


@pytest.mark.parametrize("name", ["tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers"])
def test_each_list_of_tiers_tells_the_generation(name: str) -> None:
    decoder = Decoder()
    decoder.decode(frame(legacy.ToDataplane(host_endpoint_update={"id": {}, "endpoint": {name: [{"name": "default"}]}})))
    assert decoder.generation == "3.34"
    decoder.decode(frame(legacy.ToDataplane(host_endpoint_update={"id": {}, "endpoint": {name: tiers(legacy, "x")}})))
    assert decoder.generation == "3.31"


@pytest.mark.parametrize(
    ("policy", "staged"),
    [
        (t.PolicyID("StagedNetworkPolicy", "ns", "a"), True),
        (t.PolicyID("StagedKubernetesNetworkPolicy", "ns", "a"), True),
        (t.PolicyID("NetworkPolicy", "ns", "staged:a"), False),
        (t.PolicyID("", "", "staged:security.x", "security"), True),
        (t.PolicyID("", "", "shop/staged:knp.default.x", "default"), True),
        (t.PolicyID("", "", "shop/knp.default.staged:x", "default"), False),
        (t.PolicyID("", "", "default.x", "default"), False),
    ],
)
def test_staged(policy: t.PolicyID, staged: bool) -> None:
    assert policy.staged is staged


def test_the_tier_of_a_policy_up_to_3_31() -> None:
    assert decode(pb.ActivePolicyUpdate(id={"tier": "security", "name": "x"}, policy={})).policy.tier == "security"


@pytest.mark.parametrize(("number", "mask"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32)])
def test_route_types_up_to_3_29_are_mapped_to_the_mask(number: int, mask: int) -> None:
    assert decode(pb.RouteUpdate(dst="10.0.0.0/8", type=number)).types == mask  # type: ignore[arg-type]
    assert decode(pb.RouteUpdate(dst="10.0.0.0/8", types=5)).types == 5  # type: ignore[arg-type]


def test_a_route_type_no_release_knows_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"RouteUpdate.type is 7"):
        decode(pb.RouteUpdate(dst="10.0.0.0/8", type=7))  # type: ignore[arg-type]


def test_workload_type_of_3_30_and_skip_redir_since() -> None:
    start = pb.WorkloadEndpointUpdate(id={"workload_id": "w"}, endpoint={"state": "active"}).SerializeToString()
    endpoint = b"\x0a\x06active" + b"\x70\x01"  # field 14, varint 1
    data = start[: start.index(b"\x2a")] + b"\x2a" + bytes([len(endpoint)]) + endpoint
    decoder = Decoder()
    decoded = decode(pb.WorkloadEndpointUpdate.FromString(data), decoder).endpoint
    assert (decoded.type, decoded.skip_redir) == (1, None)
    assert not decoder.unknown_fields
    update = pb.WorkloadEndpointUpdate(id={"workload_id": "w"}, endpoint={"skip_redir": {"Ingress": True}})
    assert decode(update).endpoint.skip_redir == t.WorkloadBpfSkipRedir(Ingress=True)


CONFIG = {"quickstart": "v3.34.0-0.dev"}


@pytest.mark.parametrize(
    ("messages", "generation"),
    [
        ([], "3.34"),
        ([pb.ActivePolicyUpdate(id={"tier": "a", "name": "b"}, policy={})], "3.31"),
        ([pb.ActivePolicyUpdate(id={"kind": "NetworkPolicy", "name": "b"}, policy={})], "3.34"),
        ([pb.HostMetadataV6Update(hostname="a")], "3.32"),
        ([pb.HostMetadataV4V6Remove(hostname="a")], "3.32"),
        ([pb.HostMetadataUpdate(hostname="a", ipv4_addr="10.0.0.1")], "3.32"),
        ([pb.HostMetadataUpdate(hostname="a", ipv4_addr="10.0.0.1/24")], "3.34"),
        ([pb.RouteUpdate(dst="a", type=3)], "3.29"),  # type: ignore[arg-type]
        ([pb.RouteUpdate(dst="a", types=4), pb.ActivePolicyUpdate(id={"tier": "a", "name": "b"}, policy={})], "3.31"),  # type: ignore[arg-type]
        ([pb.ConfigUpdate(config={"CalicoVersion": "v3.30.2"})], "3.30"),
        ([pb.ConfigUpdate(config={"CalicoVersion": "v3.35.0"})], "3.34"),
        ([pb.ConfigUpdate(config={"CalicoVersion": "v3.28.0"}), pb.RouteUpdate(dst="a", types=4)], "3.30"),  # type: ignore[arg-type]
        ([pb.ConfigUpdate(config={"CalicoVersion": "v3.28.0"}), pb.ActivePolicyUpdate(id={"kind": "a", "name": "b"}, policy={})], "3.32"),
        # Two streams in one: the later counts.
        ([pb.HostMetadataV6Update(hostname="a"), pb.HostMetadataUpdate(hostname="a", asnumber="1")], "3.34"),
        ([pb.HostMetadataUpdate(hostname="a", asnumber="1"), pb.HostMetadataV6Update(hostname="a")], "3.32"),
        ([pb.ConfigUpdate(config={"CalicoVersion": "master"})], "3.34"),
        # The cluster claims another version than the shapes of the messages show, as in the middle of an upgrade.
        ([pb.ConfigUpdate(config={"CalicoVersion": "v3.34.0"}), pb.HostMetadataV6Update(hostname="a")], "3.32"),
        ([pb.ConfigUpdate(config={"CalicoVersion": "v3.31.7"}), pb.HostMetadataUpdate(hostname="a", ipv6_addr="a::/64")], "3.33"),
    ],
)
def test_generation(messages: list[Any], generation: str) -> None:
    decoder = Decoder()
    for message in messages:
        decode(message, decoder)
    assert decoder.generation == generation


@pytest.mark.parametrize(("name", "generation"), [("quickstart-v3.31", "3.31"), ("quickstart-v3.32", "3.32"), ("quickstart", "3.34")])
def test_generation_of_recordings_without_the_version_in_their_configuration(name: str, generation: str) -> None:
    decoder = Decoder()
    for number, each in enumerate(read_recording(recording_path(f"{name}.felixstream"))):
        if number:  # the first is the configuration
            decoder.decode(each)
    assert decoder.generation == generation


# --- what the schema does not have


def test_an_unknown_payload_keeps_its_bytes_and_is_counted() -> None:
    decoder = Decoder()
    data = b"\x78\x05" + b"\xca\x02\x03abc"  # sequence number 5, field 41 with 3 bytes
    message = decoder.decode(Frame(3, 0, data))
    assert message == t.Message(3, 5, t.Unknown(41, data))
    assert decoder.decode(Frame(4, 0, b"")).payload == t.Unknown(0, b"")
    assert decoder.unknown_messages == {41: 1, 0: 1}
    assert not decoder.unknown_fields


def test_unknown_fields_are_returned_and_counted_wherever_they_are() -> None:
    extra = b"\xa2\x3f\x02hi"  # field 1012 with 2 bytes
    protocol = b"\x12\x03tcp" + extra
    rule_bytes = b"\x0a\x05allow" + b"\x1a" + bytes([len(protocol)]) + protocol + b"\xa0\x3f\x07"  # and field 1012 with the number 7
    policy = b"\x0a" + bytes([len(rule_bytes)]) + rule_bytes
    update = b"\x0a\x04\x12\x02id" + b"\x12" + bytes([len(policy)]) + policy
    data = b"\x3a" + bytes([len(update)]) + update + b"\xa3\x3f\x08\x01\xa4\x3f"  # and a group in the envelope
    decoder = Decoder()
    message = decoder.decode(Frame(0, 0, data))
    assert typing.cast(t.ActivePolicyUpdate, message.payload).policy.inbound_rules == (t.Rule("allow", protocol="tcp"),)
    assert message.unknown_fields == (
        t.UnknownField("Protocol", 1012, 2, b"hi"),
        t.UnknownField("Rule", 1012, 0, 7),
        t.UnknownField("ToDataplane", 1012, 3, ((1, 0, 1),)),
    )
    assert decoder.unknown_fields == {("Protocol", 1012): 1, ("Rule", 1012): 1, ("ToDataplane", 1012): 1}
    assert decoder.decode(Frame(1, 0, data)).unknown_fields == message.unknown_fields
    hash(message)


@pytest.mark.parametrize("schema", [pb, legacy])
def test_unknown_fields_in_tiers_are_counted_each_time(schema: Any) -> None:
    known = endpoint_frame(schema, "x").payload
    tier = known[known.index(b"\x0a\x07default") :]
    extended = tier + b"\xa0\x3f\x07"
    data = known
    for old, new in ((len(known) - 2, 3), (known[known.index(b"\x2a") + 1], 3), (len(tier), 3)):
        data = data.replace(bytes([old]), bytes([old + new]), 1)
    data = data.replace(tier, extended)
    decoder = Decoder()
    for _ in range(2):
        assert decoder.decode(Frame(0, 0, data)).unknown_fields == (t.UnknownField("TierInfo", 1012, 0, 7),)
    assert decoder.unknown_fields == {("TierInfo", 1012): 2}


# --- what can't be decoded


RECORDED = [
    frame
    for name in ("quickstart", "quickstart-v3.31", "hostendpoints")
    for frame in read_recording(recording_path(f"{name}.felixstream"))
]


@given(st.sampled_from(RECORDED), st.data())
def test_mutated_payloads_are_decoded_or_raise_decode_error_inside_the_frame(recorded: Frame, data: st.DataObject) -> None:
    payload = bytearray(recorded.payload)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(payload)))
        match data.draw(st.sampled_from(["change", "insert", "cut"])):
            case "change" if position < len(payload):
                payload[position] = data.draw(st.integers(0, 255))
            case "insert":
                payload[position:position] = data.draw(st.binary(max_size=4))
            case _:
                del payload[position : position + data.draw(st.integers(1, 4))]
    decoder = Decoder()
    try:
        decoder.decode(Frame(recorded.index, recorded.offset, bytes(payload)))
    except DecodeError as error:
        assert error.frame == recorded.index
        assert recorded.offset + 8 <= error.offset <= recorded.offset + 8 + len(payload)
    assert decoder.decode(recorded).frame_index == recorded.index  # whatever happened before


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_raise_decode_error(data: bytes) -> None:
    try:
        Decoder().decode(Frame(0, 0, data))
    except DecodeError as error:
        assert 8 <= error.offset <= 8 + len(data)


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        (b"\x12\x04\x0a\x02\xff\xfe", 4, "ToDataplane.ipset_update.id: not UTF-8"),
        (b"\x12\x05\x0a\x03ab\xff", 6, "ToDataplane.ipset_update.id: not UTF-8"),
        (b"\x12\x05\x0a\x02ab", 2, "ToDataplane.ipset_update: 5 bytes announced, 4 left"),
        (b"\x12\x03\x0a\x02a", 4, "ToDataplane.ipset_update.id: 2 bytes announced, 1 left"),
        (b"\x78\xff", 1, "ToDataplane.sequence_number: cut short inside a number"),
        (b"\x78" + b"\xff" * 11, 1, "ToDataplane.sequence_number: a number of more than 10 bytes"),
        (b"\x78\x01\x02\x00", 2, "ToDataplane.0: field number 0"),
        (b"\x7e\x00", 1, "ToDataplane.sequence_number: wire type 6"),
        (b"\xa3\x3f\x08", 3, "ToDataplane.1012: cut short inside a number"),
        (b"\xa3\x3f\xac\x3f", 4, "ToDataplane.1012: a group ends that did not begin"),
        (b"\x12\x08\x0a\x01a\x12\x03\xe2\x82\x28", 7, "ToDataplane.ipset_update.members: not UTF-8"),
    ],
)
def test_what_can_not_be_decoded_is_named_by_byte_and_field(data: bytes, offset: int, reason: str) -> None:
    with pytest.raises(DecodeError) as raised:
        Decoder().decode(Frame(2, 1000, data))
    assert str(raised.value) == f"byte {1008 + offset}, frame 2: {reason}"
    assert (raised.value.offset, raised.value.frame, raised.value.reason) == (1008 + offset, 2, reason)


def test_a_policy_without_a_name_is_refused() -> None:
    with pytest.raises(DecodeError, match="TierInfo 'default' names a policy without a name"):
        Decoder().decode(frame(pb.ToDataplane(workload_endpoint_update={"id": {"workload_id": "w"}, "endpoint": {
            "tiers": [{"name": "default", "ingress_policies": [{"kind": "NetworkPolicy"}]}]}})))  # fmt: skip


def test_what_was_found_in_a_refused_frame_is_not_told_of_the_next() -> None:
    decoder = Decoder()
    with pytest.raises(DecodeError, match="WorkloadEndpointRemove without id"):
        decoder.decode(Frame(0, 0, b"\x62\x00"))
    with pytest.raises(DecodeError, match="ActivePolicyUpdate without policy"):
        decoder.decode(Frame(0, 0, b"\x3a\x09" + b"\x0a\x07\x12\x02id" + b"\xa0\x3f\x07"))  # an id with an unknown field
    assert decoder.decode(frame(envelope(pb.InSync()))).unknown_fields == ()
    assert not decoder.unknown_fields


def test_endpoints_share_equal_tiers() -> None:
    decoder = Decoder()
    one, other = (typing.cast(t.WorkloadEndpointUpdate, decoder.decode(endpoint_frame(pb, "x")).payload) for _ in range(2))
    assert one.endpoint.tiers[0] is other.endpoint.tiers[0]
