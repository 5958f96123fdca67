"""The rules that Felix keeps (contract 1.3, 1.7, 1.8 and 2.2), checked: what breaks one tells a damaged stream from a driver's bug.

What can't be checked is that a set has at most one delta in a flush, for flushes leave no mark in a stream.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from calico_p4.tools.references import Ref, is_remove, references, subject
from felix_proto import types as felix
from felix_proto.decode import DecodeError, Decoder
from felix_proto.framing import Frame, FrameError

RULES = {
    "frame": "The stream is a sequence of whole frames.",
    "decode": "Every frame is a message.",
    "empty-message": "Every message has a payload.",
    "sequence": "Sequence numbers begin with 0 and grow by 1.",
    "config-first": "The first message is a ConfigUpdate.",
    "in-sync-once": "InSync comes exactly once.",
    "late-dependency": "Before InSync no IP set, policy or profile follows the first endpoint.",
    "delta-unknown-set": "A delta is for a set that is there.",
    "member-added-twice": "A delta adds no member that is there already, and none twice.",
    "member-removed-absent": "A delta removes no member that is not there, and none twice.",
    "member-both-ways": "A delta does not add and remove the same member.",
    "member-repeated": "An IPSetUpdate names every member once.",
    "dangling-set": "A policy or profile names sets that are there.",
    "dangling-policy": "An endpoint names policies that are there.",
    "dangling-profile": "An endpoint names profiles that are there.",
    "remove-while-referenced": "What is removed is referred to by nothing.",
    "remove-unknown": "What is removed is there.",
    "unreferenced": "At InSync everything is referred to: sets by rules, policies and profiles by endpoints.",
}
"""Name of each rule, and what it says."""
_DANGLING = {"IPSet": "dangling-set", "Policy": "dangling-policy", "Profile": "dangling-profile"}
_EVERY_NODE = "AssumeNeededOnEveryNode"
"""Performance hint with which a policy is sent to nodes where no endpoint needs it."""


class Violation(NamedTuple):
    """A rule broken: ``frame`` and ``offset`` say where (for what is missing at the end, one past the last), ``rule`` is one of RULES."""

    frame: int
    offset: int
    rule: str
    text: str

    def __str__(self) -> str:
        """Return place, rule and text."""
        return f"frame {self.frame} (byte {self.offset}): {self.rule}: {self.text}"


class Linter:
    """Follows one stream, message by message."""

    def __init__(self) -> None:
        self._members: dict[str, set[str]] = {}
        self._there: set[Ref] = set()
        self._refers: dict[Ref, tuple[Ref, ...]] = {}
        self._referred: Counter[Ref] = Counter()
        self._everywhere: set[Ref] = set()
        self._next_number = 0
        self._in_syncs = 0
        self._first = True
        self._seen_endpoint = False

    def check(self, message: felix.Message) -> Iterator[tuple[str, str]]:
        """Take in a message; yield the rules that it breaks, each with a text."""
        payload = message.payload
        yield from self._order(message)
        match payload:
            case felix.Unknown(number=0):
                yield "empty-message", "no payload"
            case felix.IPSetUpdate():
                yield from self._set(payload)
            case felix.IPSetDeltaUpdate():
                yield from self._delta(payload)
        ref = subject(payload)
        if ref is not None and is_remove(payload):
            yield from self._remove(ref)
        elif ref is not None:
            yield from self._update(ref, payload)

    def _order(self, message: felix.Message) -> Iterator[tuple[str, str]]:
        payload = message.payload
        if message.sequence_number != self._next_number:
            yield "sequence", f"sequence number {message.sequence_number}, expected {self._next_number}"
        self._next_number = message.sequence_number + 1
        if self._first and not isinstance(payload, felix.ConfigUpdate):
            yield "config-first", f"the stream begins with {type(payload).__name__}"
        self._first = False
        if isinstance(payload, felix.InSync):
            self._in_syncs += 1
            if self._in_syncs > 1:
                yield "in-sync-once", "InSync once more"
            else:
                yield from self._unreferenced()
        elif not self._in_syncs:
            yield from self._before_in_sync(payload)

    def _before_in_sync(self, payload: felix.Payload) -> Iterator[tuple[str, str]]:
        ref = subject(payload)
        if ref is not None and ref.kind in ("WorkloadEndpoint", "HostEndpoint"):
            self._seen_endpoint = True
        elif self._seen_endpoint and ref is not None and ref.kind in _DANGLING and not is_remove(payload):
            yield "late-dependency", f"{ref} after an endpoint, before InSync"

    def _unreferenced(self) -> Iterator[tuple[str, str]]:
        for ref in sorted((ref for ref in self._there if ref.kind in _DANGLING), key=str):
            if not self._referred[ref] and ref not in self._everywhere:
                yield "unreferenced", f"nothing refers to {ref}"

    def _set(self, payload: felix.IPSetUpdate) -> Iterator[tuple[str, str]]:
        yield from _repeated("member-repeated", payload.id, payload.members)
        self._members[payload.id] = set(payload.members)

    def _delta(self, payload: felix.IPSetDeltaUpdate) -> Iterator[tuple[str, str]]:
        if payload.id not in self._members:
            yield "delta-unknown-set", f"IPSet {payload.id} was never sent"
        members = self._members.setdefault(payload.id, set())
        added, removed = set(payload.added_members), set(payload.removed_members)
        yield from _named("member-added-twice", payload.id, added & members, "is there already")
        yield from _repeated("member-added-twice", payload.id, payload.added_members)
        yield from _named("member-removed-absent", payload.id, removed - members - added, "is not there")
        yield from _repeated("member-removed-absent", payload.id, payload.removed_members)
        yield from _named("member-both-ways", payload.id, added & removed, "is added and removed")
        members |= added
        members -= removed

    def _update(self, ref: Ref, payload: felix.Payload) -> Iterator[tuple[str, str]]:
        named = tuple(references(payload))
        for target in sorted({target for target in named if target not in self._there}, key=str):
            yield _DANGLING[target.kind], f"{ref} names {target}, which is not there"
        if isinstance(payload, felix.ActivePolicyUpdate) and _EVERY_NODE in payload.policy.perf_hints:
            self._everywhere.add(ref)
        else:
            self._everywhere.discard(ref)
        self._there.add(ref)
        if not isinstance(payload, felix.IPSetDeltaUpdate):
            self._point(ref, named)

    def _remove(self, ref: Ref) -> Iterator[tuple[str, str]]:
        if ref not in self._there:
            yield "remove-unknown", f"{ref} is not there"
        if self._referred[ref] > 0:
            users = sorted(str(user) for user, targets in self._refers.items() if ref in targets)
            yield "remove-while-referenced", f"{ref} is referred to by {', '.join(users[:3])}{' and others' if len(users) > 3 else ''}"
        self._there.discard(ref)
        self._point(ref, ())
        if ref.kind == "IPSet":
            self._members.pop(ref.id, None)

    def _point(self, ref: Ref, named: tuple[Ref, ...]) -> None:
        """Note what an object refers to from now on."""
        self._referred.subtract(self._refers.pop(ref, ()))
        if named:
            self._refers[ref] = named
            self._referred.update(named)

    def end(self) -> Iterator[tuple[str, str]]:
        """The stream is over; yield what it lacks."""
        if not self._in_syncs:
            yield "in-sync-once", "the stream ends without InSync"


def _named(rule: str, set_id: str, members: set[str], what: str) -> Iterator[tuple[str, str]]:
    if members:
        more = f" (and {len(members) - 1} more)" if len(members) > 1 else ""
        yield rule, f"IPSet {set_id}: {min(members)} {what}{more}"


def _repeated(rule: str, set_id: str, members: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if len(set(members)) < len(members):
        yield from _named(rule, set_id, {member for member, count in Counter(members).items() if count > 1}, "comes more than once")


def lint(frames: Iterable[Frame]) -> Iterator[Violation]:
    """Yield the rules that a stream breaks, in order. A frame that can't be decoded is passed over; a broken stream ends there."""
    linter, decoder = Linter(), Decoder()
    place, offset = 0, 0
    try:
        for frame in frames:
            place, offset = frame.index + 1, frame.offset + 8 + len(frame.payload)
            try:
                message = decoder.decode(frame)
            except DecodeError as error:
                yield Violation(frame.index, error.offset, "decode", error.reason)
                continue
            yield from (Violation(frame.index, frame.offset, *found) for found in linter.check(message))
    except FrameError as error:
        yield Violation(error.frame, error.offset, "frame", error.reason)
        return
    yield from (Violation(place, offset, *found) for found in linter.end())
