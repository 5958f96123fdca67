"""The program for v1model is the one for PNA, but for what is allowed: by P4Info, and by the tables of the JSON."""

from __future__ import annotations

import json
import re

import pytest

from k8s_p4 import artefacts, parity
from k8s_p4.p4rt import p4i


@pytest.fixture(name="other")
def _other() -> p4i.P4Info:
    return artefacts.p4info(artefacts.V1MODEL)


def not_allowed(other: p4i.P4Info) -> list[str]:
    return [found.what for found in parity.differences(artefacts.p4info(), other) if not found.reason]


def test_nothing_differs_but_what_is_allowed(other: p4i.P4Info) -> None:
    assert not_allowed(other) == []


def test_everything_that_is_allowed_occurs(other: p4i.P4Info) -> None:
    found = [difference.what for difference in parity.differences(artefacts.p4info(), other)]
    assert all(any(re.fullmatch(pattern, what) for what in found) for pattern in parity.ALLOWED)


def test_a_difference_is_found(other: p4i.P4Info) -> None:
    table = other.tables[3]
    table.size += 1
    other.actions[0].params[0].bitwidth += 1
    del other.counters[0]
    missing = artefacts.p4info().counters[0].preamble.name
    told = sorted(not_allowed(other))
    assert [line.partition(":")[0] for line in told] == [f"action {other.actions[0].preamble.name}", f"counter {missing}", f"table {table.preamble.name}"]
    assert f"table {table.preamble.name}: size {table.size - 1}; {table.size}" in told


def test_the_json_has_the_tables_and_actions_of_the_p4info(other: p4i.P4Info) -> None:
    program = json.loads(artefacts.read(artefacts.V1MODEL_JSON))
    tables = {table["name"]: table for pipeline in program["pipelines"] for table in pipeline["tables"]}
    actions = {action.preamble.id: action for action in other.actions}
    for table in other.tables:
        there = tables[table.preamble.name]
        assert [part["name"] for part in there["key"]] == [field.name for field in table.match_fields]
        assert there["max_size"] == table.size
        assert there["actions"] == [actions[ref.id].preamble.name for ref in table.action_refs]


def test_the_json_names_no_machine() -> None:
    assert not re.search(rb"/(opt|home|tmp|usr|root|work)/", artefacts.read(artefacts.V1MODEL_JSON))


def test_what_is_allowed_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main() == 0
    assert "action MainControl.pipeline.flow.forth_v4: param timeout" in capsys.readouterr().out
