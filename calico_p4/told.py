"""What a target that does not learn tells of a packet, and which entries that packet asks for. Pure.

The pipeline of such a target (`k8s_p4/p4/main_v1model.p4`) sends a packet that would have something learned to the driver, behind a
packet_in header. What PNA's tables would then hold is worked out here, as `docs/design/flows.md` has it. Two things are better than what a
pipeline can do by itself: an entry that leads nowhere is replaced, and a client's affinity moves at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from translator.service_affinity import TIMEOUTS_S

KEEP, LEAVE = 0xFE, 0xFF
"""Numbers that are no timeouts (`k8s_p4/p4/core/flow.p4`)."""
SECONDS = (10, 30, 60, 120, 300, 43200, 120, 120)
_JUDGED, _JUDGED_ELSE = {6: 5, 17: 3, 132: 4}, 1
"""Timeouts, by protocol, of what a flow that is judged again is found by: the pipeline's own was given to the epochs before."""
_EPOCHS_BEFORE, _SOON, _EPOCH_MASK = 4, 0, (1 << 32) - 1
"""What a flow that is judged again has of that many policies before runs out in ten seconds (`k8s_p4/p4/core/pipeline.p4`)."""
_HALF = (1 << 64) - 1


class Wish(NamedTuple):
    """An entry that should be there. Table by alias; key and parameters by their names in P4Info.

    ``action`` "": only if there is one, its timeout changes. ``replaces``: it takes the place of another. ``timeout``: its number.
    """

    table: str
    key: Mapping[str, int]
    timeout: int
    action: str = ""
    params: Mapping[str, int] = {}
    replaces: bool = False


def seconds(table: str, timeout: int) -> int:
    """Return how long an entry of a table lives with a timeout of that number."""
    return (TIMEOUTS_S if table.startswith("affinity") else SECONDS)[timeout]


def wishes(told: Mapping[str, int]) -> Iterator[Wish]:
    """Yield what a packet asks for; ``told`` are the fields of its packet_in header."""
    if told["remember"]:
        yield _affinity(told)
    if told["tracked"]:
        yield from _flow(told)
        yield from _closing(told)
        yield from _judged(told)
        yield from _slots(told)


def _flow(told: Mapping[str, int]) -> Iterator[Wish]:
    """The two halves: what is missing, and the timeouts of what is there.

    An answer does not make the first half anew: who sent the first packet need not own the address that the answer goes to.
    """
    table, own, answer = f"flow_{_family(told)}", _own(told), _answer(told)
    goes_on = told["established"] or told["rejudged"]
    if not goes_on:
        yield Wish(table, own, told["timeout"], "forth", _forth(told), replaces=bool(told["stale"]))
    if not goes_on or not told["answers"]:
        yield Wish(table, answer, told["timeout"], "back", _back(told))
    for key, forth in ((own, not told["answers"]), (answer, bool(told["answers"]))):
        timeout = told["timeout_forth" if forth else "timeout_back"]
        if timeout not in (KEEP, LEAVE) and not told["stale"]:
            yield Wish(table, key, timeout)


def _closing(told: Mapping[str, int]) -> Iterator[Wish]:
    """Both tuples, if FIN or RST was seen (1); a connection that is opened anew is no longer closing soon (2)."""
    for key in (_own(told), _answer(told)) if told["close"] else ():
        if told["close"] == 1:
            yield Wish(f"closing_{_family(told)}", key, told["timeout_closing"], "is_closing")
        yield Wish(f"closing_{_family(told)}", key, told["timeout_closing"])


def _judged(told: Mapping[str, int]) -> Iterator[Wish]:
    """Both tuples, under the epoch of the policy that accepted the packet; what comes first of a flow to be judged again has to be its own way."""
    if not told["epoch"] or told["answers"]:
        return
    timeout = _JUDGED.get(told["protocol"], _JUDGED_ELSE) if told["rejudged"] else told["timeout_judged"]
    for key in (_own(told), _answer(told)) if timeout not in (KEEP, LEAVE) else ():
        judged = {**key, "epoch": told["epoch"]}
        yield Wish(f"judged_{_family(told)}", judged, timeout, "is_judged")
        yield Wish(f"judged_{_family(told)}", judged, timeout)
        for before in range(1, _EPOCHS_BEFORE + 1) if told["rejudged"] else ():
            yield Wish(f"judged_{_family(told)}", {**key, "epoch": told["epoch"] - before & _EPOCH_MASK}, _SOON)


def _slots(told: Mapping[str, int]) -> Iterator[Wish]:
    ends = (told["accepting"] << 1 | 1, told["ingress_slot"]), (told["beginning"] << 1, told["egress_slot"])
    for owner, slot in ends:
        key = {"owner": owner, "slot": slot - 1}
        if slot and not (told["established"] or told["rejudged"] or told["opens"]):
            yield Wish("connection_slot", key, told["timeout"], "slot_taken")
        elif slot and told["timeout_slot"] not in (KEEP, LEAVE):
            yield Wish("connection_slot", key, told["timeout_slot"])


def _affinity(told: Mapping[str, int]) -> Wish:
    family = _family(told)
    params = {"port": told["new_dst_port"], "address": told["new_dst"]}
    if family == "v6":
        params |= {"high": told["new_dst"] >> 64, "low": told["new_dst"] & _HALF}
    key = {"group": told["group"], "client": told["src"]}
    return Wish(f"affinity_{family}", key, told["timeout_affinity"], "remembered", params, replaces=True)


def _family(told: Mapping[str, int]) -> str:
    return f"v{told['ip_version']}"


def _own(told: Mapping[str, int]) -> dict[str, int]:
    return {"src_incarnation": told["src_incarnation"], "dst_incarnation": told["dst_incarnation"], "src_port": told["src_port"],
            "dst_port": told["dst_port"], "protocol": told["protocol"], "src": told["src"], "dst": told["dst"]}  # fmt: skip


def _answer(told: Mapping[str, int]) -> dict[str, int]:
    return {"src_incarnation": told["end_incarnation"], "dst_incarnation": told["answer_incarnation"], "src_port": told["new_dst_port"],
            "dst_port": told["new_src_port"], "protocol": told["answer_protocol"], "src": told["new_dst"], "dst": told["new_src"]}  # fmt: skip


def _forth(told: Mapping[str, int]) -> dict[str, int]:
    """What the first half does: the tuple that the packet leaves with."""
    params = {"src_port": told["new_src_port"], "dst_port": told["new_dst_port"], "incarnation": told["end_incarnation"]}
    return params | _addresses(told, told["new_src"], told["new_dst"])


def _back(told: Mapping[str, int]) -> dict[str, int]:
    """What the second half does: the tuple of the packet as it came, the other way."""
    params = {"src_port": told["dst_port"], "dst_port": told["src_port"], "incarnation": told["owner_incarnation"]}
    return params | _addresses(told, told["dst"], told["src"])


def _addresses(told: Mapping[str, int], src: int, dst: int) -> dict[str, int]:
    found = {"egress_slot": told["egress_slot"], "ingress_slot": told["ingress_slot"], "src": src, "dst": dst}
    if told["ip_version"] == 6:
        found |= {"src_high": src >> 64, "src_low": src & _HALF, "dst_high": dst >> 64, "dst_low": dst & _HALF}
    return found
