"""Any Felix stream boiled down to what is still true at its end: the last word on each object, as messages."""

from collections.abc import Iterable
from random import Random
from typing import Any

from felix_proto import types as felix

_SINGLE = (felix.ConfigUpdate, felix.GlobalBGPConfigUpdate, felix.Encapsulation)
_ORDER = (felix.ConfigUpdate, felix.IPSetUpdate, felix.ActivePolicyUpdate, felix.ActiveProfileUpdate)


class Accumulator:
    """The live objects of a stream; feed it payloads, then ask for a ``snapshot``."""

    def __init__(self) -> None:
        self.live: dict[tuple[str, Any], felix.Payload] = {}
        self.in_sync = False

    def apply(self, payload: felix.Payload) -> None:
        """Take in one message."""
        name = type(payload).__name__
        if isinstance(payload, felix.InSync):
            self.in_sync = True
        elif isinstance(payload, felix.IPSetDeltaUpdate):
            self._change_set(payload)
        elif name.endswith("Remove"):
            self.live.pop((name.removesuffix("Remove"), key_of(payload)), None)
        else:
            self.live[name.removesuffix("Update"), key_of(payload)] = payload

    def apply_all(self, payloads: Iterable[felix.Payload]) -> None:
        """Take in messages in order."""
        for payload in payloads:
            self.apply(payload)

    def _change_set(self, delta: felix.IPSetDeltaUpdate) -> None:
        key = ("IPSet", delta.id)
        old = self.live[key]
        assert isinstance(old, felix.IPSetUpdate)
        members = (set(old.members) | set(delta.added_members)) - set(delta.removed_members)
        self.live[key] = old._replace(members=tuple(sorted(members)))

    def snapshot(self, rng: Random) -> list[felix.Payload]:
        """Return what a fresh Felix would send, what is referred to first, and otherwise in random order."""
        messages = list(self.live.values())
        rng.shuffle(messages)
        messages.sort(key=lambda message: _ORDER.index(type(message)) if type(message) in _ORDER else len(_ORDER))
        return [*messages, felix.InSync()] if self.in_sync else messages

    def removes(self, rng: Random) -> list[felix.Payload]:
        """Return messages that remove everything that can be, in an order in which nothing waits for its referrers."""
        removes = [remove for message in self.live.values() if (remove := remove_of(message)) is not None]
        rng.shuffle(removes)
        return removes


def key_of(payload: felix.Payload) -> Any:
    """Return what names the object of a message; None where there is only one."""
    if isinstance(payload, _SINGLE):
        return None
    if isinstance(payload, (felix.ServiceUpdate, felix.ServiceRemove)):
        return payload.namespace, payload.name
    return payload[0]


def remove_of(payload: felix.Payload) -> felix.Payload | None:
    """Return the message that takes an object back; None for what has no remove."""
    kind = getattr(felix, type(payload).__name__.removesuffix("Update") + "Remove", None)
    if kind is None or isinstance(payload, _SINGLE):
        return None
    if isinstance(payload, felix.ServiceUpdate):
        return felix.ServiceRemove(payload.name, payload.namespace)
    return kind(payload[0])  # type: ignore[no-any-return]
