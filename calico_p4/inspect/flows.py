"""The flows that the switch has learned: both directions as one, with translation, state and age (docs/design/flows.md)."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from calico_p4.hits import flow_events
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.suggest import Unknown
from calico_p4.kept import Flows
from k8s_p4.target.client import Learned

_FAMILIES = {"v4": IPv4Address, "v6": IPv6Address}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
_ECHO_REPLY = 255
Tuple = tuple[int, int, int, int]
"""Source, source port, destination, destination port."""


class Flow(NamedTuple):
    """One flow: the tuple of its first packet as it came and as it left, and what is learned of it, by direction."""

    family: str
    protocol: int
    came: Tuple
    left: Tuple
    halves: dict[str, Learned]
    closing: bool


def flows(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield the flows as data, the oldest first. ``leaves`` is the translated tuple, "" for none. Raises Unknown without a service to ask."""
    found = sorted(_all(scene), key=lambda flow: (-_age(flow), flow.came))
    yield from map(_item, found)


def flow_counts(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield how many flows there are, and what became of new ones: learned, clashed, refused (a full table), expired (both families' halves)."""
    keeper = _keeper(scene)
    live, expired = keeper.learned_counts(), keeper.learned_expired()
    halves = [sum(count for table, count in counts.items() if _is_flow(table)) for counts in (live, expired)]
    assert scene.switch is not None
    for event, count in {**flow_events(scene.switch.client), "live halves": halves[0], "expired halves": halves[1]}.items():
        yield {"event": event, "flows": count}


def clear(scene: Scene, address: str | None = None) -> dict[str, int]:
    """Forget all flows, or those that have an address on any side, and that they are closing; return how many of them. Raises Unknown."""
    keeper = _keeper(scene)
    if address is not None and not any(_is(address, kind) for kind in _FAMILIES.values()):
        raise Unknown(f"{address!r} is no address")
    chosen = [flow for flow in _all(scene) if address is None or address in _addresses(flow)]
    keys = {(flow.family, *_key(half)) for flow in chosen for half in flow.halves.values()}
    closing = [each for each in _learned(keeper, "closing") if (_family(each), *_key(each)) in keys]
    keeper.forget_learned([*closing, *(half for flow in chosen for half in flow.halves.values())])
    return {"flows": len(chosen)}


def _keeper(scene: Scene) -> Flows:
    keeper = scene.switch.flows if scene.switch is not None else None
    if keeper is None:
        raise Unknown("the target does not tell what it has learned")
    return keeper


def _is_flow(table: str) -> bool:
    return table.rpartition(".")[2].startswith("flow_")


def _learned(keeper: Flows, kind: str) -> list[Learned]:
    tables = [table for table in keeper.learned_counts() if table.rpartition(".")[2].startswith(f"{kind}_v")]
    return list(keeper.learned(*tables)) if tables else []


def _all(scene: Scene) -> Iterable[Flow]:
    keeper = _keeper(scene)
    return _joined([*_learned(keeper, "flow"), *_learned(keeper, "closing")])


def flow_of(learned: Iterable[Learned], table: str, key: Mapping[str, int]) -> dict[str, Any] | None:
    """Return the flow among learned entries that has this one, as `flows` does with its ``direction`` (forth or back); None if none has."""
    for flow in _joined(learned):
        for direction, half in flow.halves.items():
            if (half.table, half.key) == (table, key):
                return _item(flow) | {"direction": direction}
    return None


def _joined(learned: Iterable[Learned]) -> list[Flow]:
    entries = [(each, each.table.rpartition(".")[2]) for each in learned]
    closing = {(_family(each), *_key(each)) for each, name in entries if name.startswith("closing_v")}
    found: dict[tuple[Any, ...], dict[str, Learned]] = {}
    for each in (each for each, name in entries if name.startswith("flow_v")):
        direction = each.action.rpartition(".")[2].partition("_")[0]
        key, given = _tuple(each.key), _tuple(each.params)
        came, left = (key, given) if direction == "forth" else (_turned(given), _turned(key))
        found.setdefault((_family(each), _protocol(each, direction), came, left), {})[direction] = each
    return [_flow(tuples, halves, closing) for tuples, halves in found.items()]


def _flow(tuples: Any, halves: dict[str, Learned], closing: set[Any]) -> Flow:
    family, protocol, came, left = tuples
    return Flow(family, protocol, came, left, halves, any((family, *_key(each)) in closing for each in halves.values()))


def _protocol(each: Learned, direction: str) -> int:
    """That of the first packet: the answer to an echo has a number of its own in the key."""
    number = each.key["protocol"]
    if direction == "back" and number == _ECHO_REPLY:
        return 1 if _family(each) == "v4" else 58
    return number


def _family(each: Learned) -> str:
    return each.table.rpartition("_")[2]


def _key(each: Learned) -> tuple[int, ...]:
    return tuple(each.key[name] for name in sorted(each.key))


def _tuple(fields: Mapping[str, int]) -> Tuple:
    return fields["src"], fields["src_port"], fields["dst"], fields["dst_port"]


def _turned(given: Tuple) -> Tuple:
    return given[2], given[3], given[0], given[1]


def _age(flow: Flow) -> float:
    return max(half.age_seconds for half in flow.halves.values())


def _is(text: str, kind: Any) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _addresses(flow: Flow) -> set[str]:
    kind: Any = _FAMILIES[flow.family]
    return {str(kind(number)) for each in (flow.came, flow.left) for number in (each[0], each[2])}


def _item(flow: Flow) -> dict[str, Any]:
    src, dst = _ends(flow, flow.came)
    changed = "" if flow.left == flow.came else " -> ".join(_ends(flow, flow.left))
    state = "closing" if flow.closing else "one half" if len(flow.halves) == 1 else "open"
    return {"protocol": _PROTOCOLS.get(flow.protocol, str(flow.protocol)), "src": src, "dst": dst, "leaves": changed, "state": state,
            "age": round(_age(flow), 1), "expires": round(min(half.expires_in_seconds for half in flow.halves.values()), 1),
            "learned": sorted(flow.halves)}  # fmt: skip


def _ends(flow: Flow, tuples: Tuple) -> tuple[str, str]:
    kind: Any = _FAMILIES[flow.family]
    shown = [f"[{kind(number)}]" if flow.family == "v6" else str(kind(number)) for number in (tuples[0], tuples[2])]
    if flow.protocol in (1, 58):
        return f"{shown[0]} id {tuples[1] or tuples[3]}", shown[1]
    return f"{shown[0]}:{tuples[1]}", f"{shown[1]}:{tuples[3]}"
