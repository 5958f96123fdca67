"""Which endpoints must be closed because the target refused a write.

A refused row leaves the target with neither the old policy nor the new one, and what is missing may just as well be a deny. So every
endpoint whose verdict could depend on the row is closed, by taking its binding away: an unbound endpoint is denied. What depends
on what is read from the rows themselves, from the lists up to the bindings:

    rules row -> its list -> peer_class rows that set it -> their variant -> self_class rows that set it -> their chain -> binding
    identity row -> the identity it should give, and the one the address has without it -> peer_class, self_class rows that ask for one

Rows elsewhere (ports, sources, local addresses, routes, next hops) end in a drop where they are missing; without a host rule its
failsafe port is left to policy, and closing that as well would only lock out more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from datastore.tracker import Op, Tracker
from translator.slots import OWN
from translator.stages import STAGES, StageSpec

_ANY_IDENTITY = 0


@dataclass(slots=True)
class _Broken:
    """What can't be trusted in one policy stage."""

    lists: set[int] = field(default_factory=set)
    variants: set[int] = field(default_factory=set)
    chains: set[int] = field(default_factory=set)
    endpoints: set[int] = field(default_factory=set)
    own_identities: set[int] = field(default_factory=set)
    peer_identities: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def bindings_to_close(tracker: Tracker, refused: Iterable[Op]) -> set[tuple[str, Any]]:
    """Return (table, key) of every binding whose endpoint must not go on with what is on the target.

    Costs a walk over the rows of the stages concerned; asked only when something was refused.
    """
    ops = list(refused)
    closed: set[tuple[str, Any]] = set()
    for stage in STAGES:
        broken = _Broken()
        for op in ops:
            _note(broken, stage, op, tracker)
        if broken:
            _spread(broken, stage.name, tracker)
            closed |= _bindings(broken, f"{stage.name}.binding", tracker)
    return closed


def _note(broken: _Broken, stage: StageSpec, op: Op, tracker: Tracker) -> None:
    """Record what one refused write makes doubtful by itself."""
    key: Any = op.key
    prefix, _, table = op.table.partition(".")
    if prefix == stage.name:
        first = key[0][0] if table == "rules" else key[0]
        {"rules": broken.lists, "peer_class": broken.variants, "self_class": broken.chains, "binding": broken.endpoints}[table].add(first)
    side = prefix.partition("_identity_")[0]
    if side == stage.own:
        broken.own_identities.update(_identities(op, tracker))
    elif side == stage.peer:
        broken.peer_identities.update(_identities(op, tracker))


def _identities(op: Op, tracker: Tracker) -> Iterable[int]:
    """Return the identities between which an address is torn; without a row it falls to a covering prefix or to 0."""
    there: Any = tracker.actual.get(op.table, op.key)
    wanted: Any = op.value
    for value in (there, wanted):
        yield _ANY_IDENTITY if value is None else value[1]
    if there is None or wanted is None:
        yield from _covering_identities(op, tracker)


def _covering_identities(op: Op, tracker: Tracker) -> Iterable[int]:
    """Return the identities of all prefixes that cover the address of a refused identity row."""
    side, _, rest = op.table.partition("_identity_")
    shape, _, family = rest.partition("_")
    width = 32 if family == "v4" else 128
    key: Any = op.key
    address, length = (key[0], width) if shape == "host" else key[0]
    nets = tracker.desired.rows(f"{side}_identity_net_{family}")
    for candidate in range(length + (shape == "host")):
        row: Any = nets.get((((address >> width - candidate) << width - candidate, candidate),))
        if row is not None:
            yield row[1]


def _spread(broken: _Broken, stage: str, tracker: Tracker) -> None:
    """Follow the references from lists up to chains."""
    for key, value in _rows(tracker, f"{stage}.peer_class"):
        if value[1] & OWN in broken.lists or key[1] in broken.peer_identities:
            broken.variants.add(key[0])
    for key, value in _rows(tracker, f"{stage}.self_class"):
        if value[1] in broken.variants or value[2] & OWN in broken.lists or key[1] in broken.own_identities:
            broken.chains.add(key[0])


def _bindings(broken: _Broken, table: str, tracker: Tracker) -> set[tuple[str, Any]]:
    return {
        (table, key)
        for key, (_action, chain, variant, rules) in _rows(tracker, table)
        if key[0] in broken.endpoints or chain in broken.chains or variant in broken.variants or rules & OWN in broken.lists
    }


def _rows(tracker: Tracker, table: str) -> Iterable[tuple[Any, Any]]:
    return list(tracker.desired.rows(table).items())
