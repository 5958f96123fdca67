"""Names of Calico's objects, as kind and name, and which message of the stream spoke of each last."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from felix_proto import types as felix


class Object(NamedTuple):
    """One object: ``str()`` is what people read and type, e.g. "NetworkPolicy shop/default.web"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def policy_object(policy: felix.PolicyID) -> Object:
    """Return a policy's name; up to 3.31 the wire has no kind, and the name holds the namespace."""
    return Object(policy.kind or "Policy", "/".join(filter(None, (policy.namespace, policy.name))))


def profile_object(name: str) -> Object:
    """Return a profile's name."""
    return Object("Profile", name)


def endpoint_object(key: felix.WorkloadEndpointID) -> Object:
    """Return a workload endpoint's name, its id in full."""
    return Object("WorkloadEndpoint", "/".join(key))


def set_object(name: str) -> Object:
    """Return an IP set's name."""
    return Object("IPSet", name)


def object_of(payload: Any) -> Object | None:
    """Return the object that a message speaks of, None for one that speaks of nothing in particular."""
    if isinstance(payload, felix.IPSetUpdate | felix.IPSetDeltaUpdate | felix.IPSetRemove):
        return set_object(payload.id)
    if isinstance(payload, felix.ActivePolicyUpdate | felix.ActivePolicyRemove):
        return policy_object(payload.id)
    if isinstance(payload, felix.ActiveProfileUpdate | felix.ActiveProfileRemove):
        return profile_object(payload.id)
    if isinstance(payload, felix.WorkloadEndpointUpdate | felix.WorkloadEndpointRemove):
        return endpoint_object(payload.id)
    return _other(payload)


_BY_FIELD = ("dst", "hostname", "node", "id", "name")
_SUFFIXES = ("Update", "Remove")


def _other(payload: Any) -> Object | None:
    """Every other message is named by its first field that names something."""
    kind = type(payload).__name__
    for suffix in _SUFFIXES:
        kind = kind.removesuffix(suffix)
    for field in _BY_FIELD:
        name = getattr(payload, field, None)
        if isinstance(name, tuple):
            return Object(kind, "/".join(map(str, name)))
        if isinstance(name, str) and name:
            return Object(kind, "/".join(filter(None, (getattr(payload, "namespace", ""), name))))
    return Object(kind, "") if kind in ("Config", "Encapsulation", "GlobalBGPConfig") else None


GONE = 1000


class History:
    """For each object the frame that spoke of it last; of those that are gone the last ``GONE``, for names come and go without end."""

    def __init__(self) -> None:
        self._frames: dict[Object, int] = {}
        self._gone: dict[Object, int] = {}

    def note(self, frame: int, payload: Any) -> None:
        """Take in one message."""
        found = object_of(payload)
        if found is None:
            return
        self._gone.pop(found, None)
        if not type(payload).__name__.endswith("Remove"):
            self._frames[found] = frame
            return
        self._frames.pop(found, None)
        self._gone[found] = frame
        if len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]

    def put(self, of: Object, frame: int) -> None:
        """Take in what is known of one object."""
        self._frames[of] = frame

    def frame(self, of: Object) -> int | None:
        """Return the frame that spoke of an object last."""
        return self._frames.get(of, self._gone.get(of))

    def items(self) -> Iterator[tuple[Object, int]]:
        """Yield everything that is known."""
        yield from self._frames.items()
        yield from self._gone.items()
