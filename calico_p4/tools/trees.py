"""Messages as trees from which parts can be left out and put back: for making streams smaller."""

from collections.abc import Iterator, Sequence

from calico_p4.tools.wire import Field, encode, parse

_OPENED = frozenset(
    ("endpoint", "policy", "profile", "tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers", "inbound_rules", "outbound_rules")
)
"""Messages inside messages that are looked into; all others go or stay as a whole."""
_KEPT = frozenset(("id", "type", "action", "name", "state", "tier", "namespace", "kind", "sequence_number", "endpoint", "policy", "profile"))
"""What says what something is: without it, it would be something else."""


class Node:
    """A field, and what is inside it."""

    def __init__(self, field: Field | None, fields: Sequence[Field]) -> None:
        """``field`` is None for the whole message."""
        self.field = field
        self.children = [Node(child, child.value if isinstance(child.value, tuple) else ()) for child in fields]
        self.dropped = False

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field.name if self.field is not None else ""

    def fields(self) -> tuple[Field, ...]:
        """Return what is left inside."""
        return tuple(child._left() for child in self.children if not child.dropped)

    def _left(self) -> Field:
        assert self.field is not None
        return self.field._replace(value=self.fields()) if isinstance(self.field.value, tuple) else self.field

    def encode(self) -> bytes:
        """Return the bytes of what is left."""
        return encode(self.fields())


def tree(payload: bytes) -> Node:
    """Return a message as a tree."""
    return Node(None, parse(payload))


def droppable(root: Node) -> Iterator[list[Node]]:
    """Yield the fields that may be left out, those of one number together, outer ones first; looks into what is left meanwhile."""
    for message in root.children:
        if message.name != "sequence_number":
            yield from _inside(message)


def _inside(node: Node) -> Iterator[list[Node]]:
    groups: dict[str, list[Node]] = {}
    for child in node.children:
        groups.setdefault(child.name, []).append(child)
    yield from (group for name, group in groups.items() if name not in _KEPT)
    for child in node.children:
        if child.name in _OPENED and not child.dropped:
            yield from _inside(child)
