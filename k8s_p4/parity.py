"""How the P4Infos of the two programs differ, and which differences are meant: `python -m k8s_p4.parity` prints them.

A driver written for one program must be right for the other: same tables, keys, actions and ids. What may differ is what an
architecture can't have.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, MutableSequence
from typing import Any, Final, NamedTuple

from k8s_p4 import artefacts

_LEARNED: Final = r"(forth_v[46]|back_v[46]|is_closing_v[46]|is_judged_v[46]|remembered_v[46]|slot_taken)"
ALLOWED: Final = {
    r"pkg_info: .*": "the name of the architecture",
    r"controller_packet_metadata packet_(in|out): only in v1model": "the way of a packet that would learn to the driver and back",
    rf"action [\w.]*\.{_LEARNED}: param timeout: only in v1model": "v1model can't change an entry's timeout: a packet that finds another one than it should asks for it",
    r"table [\w.]*\.(flow|closing|judged|affinity|connection)\w+: idle_timeout_behavior .*": "entries that PNA's tables learn and let expire are the driver's on v1model",
}
"""What may differ, as `differences` says it, with the reason."""


class Difference(NamedTuple):
    """What differs, and why it may; "" if it may not."""

    what: str
    reason: str


def differences(pna: Any, v1model: Any) -> list[Difference]:
    """All differences of two P4Infos, v1model's against PNA's."""
    found = dict.fromkeys(_compare(pna, v1model))
    return [Difference(what, next((reason for pattern, reason in ALLOWED.items() if re.fullmatch(pattern, what)), "")) for what in found]


def _compare(pna: Any, v1model: Any) -> Iterator[str]:
    for field in _fields(pna, v1model):
        if not isinstance(getattr(pna, field.name), MutableSequence):
            yield from _whole(field.name, getattr(pna, field.name), getattr(v1model, field.name))
            continue
        kind = field.name.rstrip("s") if field.name.endswith("s") else field.name
        ours, theirs = ({_name(each): each for each in getattr(info, field.name)} for info in (pna, v1model))
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            yield from _one(f"{kind} {name}", ours.get(name), theirs.get(name))


def _fields(ours: Any, theirs: Any) -> list[Any]:
    """The fields that are set in one or the other."""
    there = {field.name for item in (ours, theirs) for field, _ in item.ListFields()}
    return [field for field in ours.DESCRIPTOR.fields if field.name in there]


def _name(item: Any) -> str:
    name: str = item.preamble.name if "preamble" in item.DESCRIPTOR.fields_by_name else item.name
    return name


def _whole(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    if ours != theirs:
        yield f"{name}: {_text(ours)}; {_text(theirs)}"


def _one(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    """One object of both."""
    if ours is None or theirs is None:
        yield f"{name}: only in {'v1model' if ours is None else 'PNA'}"
        return
    for field in _fields(ours, theirs):
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if mine == other:
            continue
        if field.name == "params":
            yield from _params(name, mine, other)
        elif isinstance(mine, MutableSequence):
            yield f"{name}: {field.name} {[_text(each) for each in mine]}; {[_text(each) for each in other]}"
        else:
            yield f"{name}: {field.name} {_text(mine)}; {_text(other)}"


def _params(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    mine, other = ({param.name: param for param in each} for each in (ours, theirs))
    for param in [*mine, *(each for each in other if each not in mine)]:
        yield from _one(f"{name}: param {param}", mine.get(param), other.get(param))


def _text(value: Any) -> str:
    return " ".join(str(value).split())


def main() -> int:
    """Print the differences; return 1 if one of them may not be."""
    found = differences(artefacts.p4info(), artefacts.p4info(artefacts.V1MODEL))
    for reason in dict.fromkeys(difference.reason for difference in found):
        print(f"{reason or 'NOT ALLOWED'}:")
        for difference in found:
            if difference.reason == reason:
                print(f"  {difference.what}")
    return int(any(not difference.reason for difference in found))


if __name__ == "__main__":
    sys.exit(main())
