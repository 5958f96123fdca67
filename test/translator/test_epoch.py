"""The number of the present policy: there where it is asked for, another one for every policy, never one twice."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from datastore.allocator import Allocator
from translator.epoch import VERDICTS, EpochPart, verdicts

AGAIN, KEEP = {"p4established_connections": "reevaluate"}, {"p4established_connections": "keep"}


def told(part: EpochPart, config: dict[str, str]) -> Any:
    return part.update(SimpleNamespace(config=config), SimpleNamespace(config=True))


def number(changes: Any) -> int:
    """The number in both families' rows."""
    (_, _, (_, four)), (_, _, (_, six)) = changes
    assert [change[:2] for change in changes] == [("epoch", (4,)), ("epoch", (6,))] and four == six
    return int(four)


def moved(part: EpochPart) -> int:
    part.prepare()
    return number(part.move())


@pytest.mark.parametrize("config", [{}, KEEP, {"Other": "reevaluate"}])
def test_no_rows_unless_asked_for(config: dict[str, str]) -> None:
    part = EpochPart(Allocator())
    assert told(part, config) == []
    part.prepare()
    assert part.move() == []


@pytest.mark.parametrize("name", ["p4established_connections", "p4establishedconnections", "P4_Established_Connections"])
def test_it_is_asked_for_under_every_spelling_of_felix(name: str) -> None:
    assert number(told(EpochPart(Allocator()), {name: "reevaluate"}))


def test_each_policy_has_the_next_number() -> None:
    part = EpochPart(Allocator())
    first = number(told(part, AGAIN))
    assert told(part, AGAIN) == [] and part.move() == []
    assert [moved(part), moved(part)] == [first + 1, first + 2]
    part.prepare()
    assert moved(part) == first + 3, "taken once, however often it was about to change"


def test_given_up_and_asked_for_again_is_another_start() -> None:
    part = EpochPart(Allocator())
    first = number(told(part, AGAIN))
    assert [value for *_, value in told(part, KEEP)] == [None, None]
    part.prepare()
    assert part.move() == []
    assert number(told(part, AGAIN)) not in (first, first + 1), "policy may have changed uncounted meanwhile"


def test_a_restart_finds_the_number(tmp_path: Path) -> None:
    allocator = Allocator(tmp_path / "ids")
    part = EpochPart(allocator)
    told(part, AGAIN)
    last = moved(part)
    allocator.flush()
    allocator.close()
    assert number(told(EpochPart(Allocator(tmp_path / "ids")), AGAIN)) == last


def test_a_change_that_was_cut_short_shows_at_the_next_start(tmp_path: Path) -> None:
    """The number was taken, the rows of the policy perhaps written, the row of the number not."""
    allocator = Allocator(tmp_path / "ids")
    part = EpochPart(allocator)
    last = number(told(part, AGAIN))
    part.prepare()
    allocator.flush()
    allocator.close()
    assert number(told(EpochPart(Allocator(tmp_path / "ids")), AGAIN)) == last + 1


def test_what_counts_as_a_change_of_policy() -> None:
    assert verdicts([("next_hop", (1,), None), ("ingress.rules", (), None)]) and not verdicts([("next_hop", (1,), None), ("epoch", (4,), None)])
    assert not any(table.startswith(("untracked", "route", "service")) for table in VERDICTS)
