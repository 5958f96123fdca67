"""Tables applied several times become calls: what a walk through the folded program meets is what the unfolded one does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k8s_p4.calls import FoldError, fold, unfold

SOURCE = """
control Ask(inout meta_t meta) {  // asks: { not a brace
    action found(bit<8> to) { meta.found = to; }
    table asked { key = { meta.key: exact; } actions = { found; } }
    apply { asked.apply(); }
}
control Both(inout meta_t meta) {
    Ask() ask;
    table own { key = { meta.other: exact; } actions = { NoAction; } }
    apply { ask.apply(meta); own.apply(); if (own.apply().hit) { ask.apply(meta); } }
}
"""


def test_each_place_gets_a_copy() -> None:
    made = unfold(SOURCE)
    assert "Ask() ask;\nAsk() ask__again2;" in made
    assert "ask.apply(meta); own.apply(); if (own__again2.apply().hit) { ask__again2.apply(meta); }" in made
    assert made.count("table own {") == made.count("table own__again2 {") == made.count("table asked {") == 1
    assert "not a brace" not in made


def test_an_open_brace_is_named() -> None:
    with pytest.raises(FoldError, match="a brace is not closed"):
        unfold("control Ask(inout meta_t meta) { apply {")


def action(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "id": number, "runtime_data": [], "primitives": []}


def table(name: str, number: int, asked: str, after: str | None) -> dict[str, Any]:
    names = [f"{name}.found", f"{name}.none"]
    return {"name": name, "id": number, "key": [{"match_type": "exact", "name": "key", "target": ["scalars", asked], "mask": None}],
            "match_type": "exact", "type": "simple", "max_size": 8, "support_timeout": False, "action_ids": [2 * number, 2 * number + 1],
            "actions": names, "base_default_next": after, "next_tables": dict.fromkeys(names, after)}  # fmt: skip


def program(count: int = 5) -> dict[str, Any]:
    """A table asked ``count`` times in a row, now for one field, now for another."""
    names = ["ask", *(f"ask__again{number}" for number in range(2, count + 1))]
    tables = [table(name, at, ("a", "b")[at % 2], (*names[1:], None)[at]) for at, name in enumerate(names)]
    actions = [action(name, number) for each in tables for name, number in zip(each["actions"], each["action_ids"], strict=True)]
    return {"program": "x", "actions": actions, "headers": [{"name": "scalars", "header_type": "scalars_0"}],
            "header_types": [{"name": "scalars_0", "fields": [["a", 32, False], ["b", 32, False]]}],
            "pipelines": [{"init_table": "ask", "tables": tables, "conditionals": [{"name": "c", "id": 0, "true_next": None, "false_next": None}]}]}  # fmt: skip


def walk(folded: dict[str, Any]) -> list[str]:
    """Follow the nodes; the fields that the table is asked for, in order."""
    (pipeline,) = folded["pipelines"]
    tables = {each["name"]: each for each in pipeline["tables"]}
    nodes = {each["name"]: each for each in pipeline["conditionals"]}
    actions = {each["id"]: each for each in folded["actions"]}
    fields: dict[str, Any] = {"a": "a", "b": "b"}
    asked, name = [], pipeline["init_table"]
    while name is not None:
        if name in nodes:
            below = fields["called_from"] < int(nodes[name]["expression"]["value"]["right"]["value"], 16)
            name = nodes[name]["true_next" if below else "false_next"]
            continue
        each = tables[name]
        if each["key"]:
            asked.append(fields[each["key"][0]["target"][1]])
        else:
            for done in actions[each["action_ids"][0]]["primitives"]:
                to, value = done["parameters"]
                fields[to["value"][1]] = int(value["value"], 16) if value["type"] == "hexstr" else fields[value["value"][1]]
        name = each["base_default_next"]
    return asked


@pytest.mark.parametrize("count", [1, 2, 3, 8, 35])
def test_a_walk_asks_in_the_same_order(count: int) -> None:
    folded = json.loads(fold(json.dumps(program(count)).encode()))
    assert walk(folded) == [("a", "b")[at % 2] for at in range(count)]
    assert [each["name"] for each in folded["pipelines"][0]["tables"] if each["key"]] == ["ask"]
    assert not any("__again" in each["name"] for each in folded["actions"])


def test_the_table_gets_its_own_name_where_the_first_copy_was_dead() -> None:
    dead = program(3)
    (pipeline,) = dead["pipelines"]
    pipeline["init_table"], pipeline["tables"] = "ask__again2", pipeline["tables"][1:]
    folded = json.loads(fold(json.dumps(dead).encode()))
    (asked,) = (each for each in folded["pipelines"][0]["tables"] if each["key"])
    assert (asked["name"], asked["actions"]) == ("ask", ["ask.found", "ask.none"])
    assert {"ask.found", "ask.none"} <= {each["name"] for each in folded["actions"]}


def test_copies_that_differ_are_refused() -> None:
    changed = program(2)
    changed["pipelines"][0]["tables"][1]["max_size"] = 9
    with pytest.raises(FoldError, match="ask: it is not asked for the same everywhere"):
        fold(json.dumps(changed).encode())


def test_a_successor_that_depends_on_the_answer_is_refused() -> None:
    changed = program(3)
    changed["pipelines"][0]["tables"][1]["next_tables"]["ask__again2.none"] = None
    with pytest.raises(FoldError, match="ask__again2: what follows depends"):
        fold(json.dumps(changed).encode())
