"""Whether two streams decide alike: the same packets through both, with the names of the second."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from calico_p4.tools.product import Packet, frames_of, replayed, state_of
from calico_p4.tools.sample import Sampler

_RULE = ("stage", "action", "policy_index", "rule_index")


class Difference(NamedTuple):
    """A packet that is decided otherwise: ``before`` and ``after`` are (verdict, reason, what decided)."""

    packet: Packet
    before: Any
    after: Any


def compare(before: Sequence[bytes], after: Sequence[bytes], change: Callable[[Packet], Packet], count: int, seed: int = 0) -> list[Difference]:
    """Send ``count`` packets drawn from the first stream's state through both streams; ``change`` gives a packet the second one's names."""
    packets = Sampler(state_of(frames_of(before)), seed).packets(count)
    return differences(before, after, packets, [change(packet) for packet in packets])


def differences(before: Sequence[bytes], after: Sequence[bytes], packets: Sequence[Packet], changed: Sequence[Packet]) -> list[Difference]:
    """Return the packets for which the two streams answer differently; ``changed`` are the same packets with the second one's names."""
    with replayed(frames_of(before), packets) as run:
        first = [_decision(answer) for answer in run.packets()]
    with replayed(frames_of(after), changed) as run:
        second = [_decision(answer) for answer in run.packets()]
    return [Difference(packet, *found) for packet, *found in zip(packets, first, second, strict=True) if found[0] != found[1]]


def _decision(answer: Mapping[str, Any]) -> Any:
    """Return what of an answer does not depend on names."""
    return answer["verdict"], answer["reason"], [tuple(rule[name] for name in _RULE) for rule in answer["policy"]]
