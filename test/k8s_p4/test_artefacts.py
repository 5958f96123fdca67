"""The committed artefacts are those of the committed sources, and say what the house promises."""

from __future__ import annotations

import re
import shutil

import pytest

from k8s_p4 import artefacts, compile, compile_v1model, schema
from k8s_p4.p4rt import p4i
from k8s_p4.reasons import Reason

TABLES_OF_THE_HOUSE = ["dscp", "cluster_v4", "cluster_v6", "service_loop_v4", "service_loop_v6", "port", "arp_answer", "nd_answer", "answer_port", "source_host_v4", "source_host_v6", "source_net_v4", "source_net_v6", "local_v4", "local_v6", "route_v4", "route_v6", "next_hop", "tunnel", "tunnel_local_v4", "tunnel_local_v6", "tunnel_peer_v4", "tunnel_peer_v6", "tunnel_source_v4", "tunnel_source_v6", "src_identity_host_v4", "src_identity_host_v6", "dst_identity_host_v4", "dst_identity_host_v6", "src_identity_net_v4", "src_identity_net_v6", "dst_identity_net_v4", "dst_identity_net_v6", "pre_dst_identity_host_v4", "pre_dst_identity_host_v6", "pre_dst_identity_net_v4", "pre_dst_identity_net_v6"]
ENDPOINT_STAGES = ("egress", "ingress")
HOOKS = ("untracked_ingress", "untracked_egress", "pre_dnat", "forward_ingress", "forward_egress")
"""Stages that only host endpoints have."""
TABLES_OF_THE_HOUSE += [f"{stage}.{table}" for stage in (*ENDPOINT_STAGES, *HOOKS) for table in ("binding", "self_class", "peer_class", "rules")]

TABLES_OF_THE_HOUSE += ["connection_limit", "reject", "epoch", "host_rule_v4", "host_rule_v6"]
TABLES_OF_THE_HOUSE += [f"{table}_{family}" for family in ("v4", "v6")
                        for table in ("service", "service_source", "backend", "affinity_backend", "floating", "masquerade", "masquerade_address")]  # fmt: skip
LEARNERS = ["flow_v4", "flow_v6", "closing_v4", "closing_v6", "judged_v4", "judged_v6", "affinity_v4", "affinity_v6", "connection_slot"]


def test_manifest_names_the_present_sources_and_artefacts() -> None:
    manifest = artefacts.manifest()
    assert manifest["sources"] == compile.digests(compile.sources()), "sources changed: run python -m k8s_p4.compile"
    names = set(manifest["artefacts"])
    assert {artefacts.SPEC, artefacts.P4INFO_TEXT, artefacts.P4INFO_WIRE, artefacts.CONTEXT, artefacts.V1MODEL_P4INFO, artefacts.V1MODEL_JSON} == names
    assert manifest["artefacts"] == compile.digests({name: artefacts.read(name) for name in names})


def test_manifest_notices_a_changed_source(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {name: content + b"\n" for name, content in compile.sources().items()}
    monkeypatch.setattr(compile, "sources", lambda: changed)
    with pytest.raises(AssertionError, match="sources changed"):
        test_manifest_names_the_present_sources_and_artefacts()


def test_generated_modules_are_those_of_the_artefacts() -> None:
    for path, content in compile.generated(artefacts.p4info()):
        assert path.read_bytes() == content, f"{path.name}: run python -m k8s_p4.compile"


COMPILERS = (compile.COMPILER, compile_v1model.COMPILER)


@pytest.mark.skipif(None in map(shutil.which, COMPILERS), reason="p4c-dpdk and p4c-bm2-ss are not both on PATH")
def test_compile_makes_the_artefacts() -> None:
    for path, content in compile.outputs():
        assert path.read_bytes() == content, f"{path.name}: run python -m k8s_p4.compile"


def test_compile_without_compiler_says_so() -> None:
    with pytest.raises(compile.CompileError, match="no-such-p4c is not on PATH"):
        compile.compile_sources("no-such-p4c")
    with pytest.raises(compile.CompileError, match="no-such-p4c is not on PATH"):
        compile_v1model.compile_v1model(compile.SOURCES, "no-such-p4c")


def test_artefacts_name_no_machine() -> None:
    for name in (artefacts.SPEC, artefacts.P4INFO_TEXT, artefacts.CONTEXT, artefacts.MANIFEST):
        assert not re.search(rb"/(opt|home|tmp|usr|root|work)/", artefacts.read(name)), name


def test_p4info_has_the_tables_of_the_house() -> None:
    p4info = artefacts.p4info()
    assert sorted(table.preamble.alias for table in p4info.tables) == sorted([*TABLES_OF_THE_HOUSE, *LEARNERS, "init"])
    assert set(schema.COUNTERS) == {"drops", "flows", "rejects", *(f"{stage}.{counter}" for stage in (*ENDPOINT_STAGES, *HOOKS) for counter in ("hits", "passes"))}
    assert all(table.preamble.name.endswith(f".{table.preamble.alias}") for table in p4info.tables)


def test_what_learns_is_marked_and_takes_no_rows() -> None:
    marked = {table.preamble.alias for table in artefacts.p4info().tables if "@learns" in table.preamble.annotations}
    learning = set(re.findall(r"^learner pipeline_(?:flow|closing|judged|nat|connections_connection_slot)_(\w+) {$", artefacts.read(artefacts.SPEC).decode(), re.MULTILINE))
    assert marked == learning == set(LEARNERS)
    assert not marked & schema.TABLES.keys()


def test_every_default_is_constant_and_no_entry_may_have_it() -> None:
    actions = {action.preamble.id: action.preamble.alias for action in artefacts.p4info().actions}
    harmless = {"ask_nets", "ask_routes", "no_tunnel_here", "behind_nobody", "no_identity", "keep", "nd_unknown", "clear", "learn_v4", "learn_v6", "close_v4", "close_v6", "judge_v4", "judge_v6", "for_good",
                "not_floating", "no_service", "gone", "no_pool", "remember_v4", "remember_v6", "take_slot", "unlimited", "unmarked", "outside_cluster", "no_service_there", "no_host_rule", "no_reject"}  # fmt: skip
    closing = {"unknown_port", "arp_unknown", "no_way_back", "spoofed", "no_route", "unbound", "no_rule", "neighbour_unknown", "stranger", "not_made",
               "source_out_of_range", "no_backend", "no_candidate"}  # fmt: skip
    seen = set()
    for table in artefacts.p4info().tables:
        assert table.const_default_action_id
        refs = {ref.id: ref.scope for ref in table.action_refs}
        if table.match_fields:
            assert refs[table.const_default_action_id] == p4i.ActionRef.DEFAULT_ONLY
        seen.add(actions[table.const_default_action_id].rpartition(".")[2])
    assert seen == harmless | closing


def test_ids_are_given_by_the_program() -> None:
    """An id that p4c derives from a name changes with it: ours have the stage in the second byte and 0 in the third."""
    p4info = artefacts.p4info()
    for kind, objects in ((0x01, p4info.actions), (0x02, p4info.tables), (0x12, p4info.counters)):
        ids = [item.preamble.id for item in objects]
        assert len(set(ids)) == len(ids)
        assert all(number >> 24 == kind and not number >> 8 & 0xFF for number in ids)


def test_sizes_are_guarantees() -> None:
    for name, (_id, size) in schema.COUNTERS.items():
        slots = 16384 if name.endswith(".passes") else 65536 if name.startswith(HOOKS) else 262144
        assert size == {"drops": 64, "flows": 8, "rejects": 16}.get(name, slots)
    for name, table in schema.TABLES.items():
        if "identity_host" in name:
            assert table.size >= (65_536 if name.startswith("pre_dst") else 300_000)
        if name.endswith((".rules", ".peer_class")):
            assert table.size >= (65_536 if name.startswith(HOOKS) else 262_144)


def test_reasons_are_those_of_the_program() -> None:
    text = compile.sources()["core/reasons.p4"].decode()
    constants = {name: int(number) for name, number in re.findall(r"const bit<8> REASON_(\w+) = (\d+);", text)}
    assert constants == {reason.name: reason.value for reason in Reason}
    assert schema.COUNTERS["drops"][1] > max(constants.values())


def test_metadata_of_interest_is_in_the_spec() -> None:
    names = artefacts.manifest()["metadata"]
    slots = {f"{stage}_slot" for stage in (*ENDPOINT_STAGES, *HOOKS)}
    assert set(names) == {"reason", "reject", "in_endpoint", "out_endpoint", "tunnel", "peer", *slots}
    spec = artefacts.read(artefacts.SPEC).decode()
    assert all(f" {name}\n" in spec for name in names.values())


def test_core_names_no_architecture() -> None:
    core = b"".join(content for name, content in compile.sources().items() if name.startswith("core/"))
    for word in (rb"(?i)\bpna\b", rb"v1model", rb"standard_metadata", rb"send_to_port", rb"drop_packet", rb"istd"):
        assert not re.search(word, core), word
