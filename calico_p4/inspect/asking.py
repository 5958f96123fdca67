"""The whole answer to "what becomes of this packet": the trace, and what else there is to say of its verdict."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from calico_p4.frames import parse
from calico_p4.inspect.craft import PROTOCOLS, Flow
from calico_p4.inspect.nearest import nearest_miss
from calico_p4.inspect.pcap import frame_of
from calico_p4.inspect.places import choose_addresses, find_place, workload_place
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.seats import Seat
from calico_p4.inspect.staged import staged_verdict
from calico_p4.inspect.suggest import Unknown, unknown
from calico_p4.inspect.trace import VERSION, Answer, Probe, Tracer, probe
from calico_p4.inspect.verify import differences, second_opinion
from translator.names import endpoint_name


class Wanted(NamedTuple):
    """A packet as people describe one; see ``calico-p4 trace --help``."""

    source: str | None = None
    to: str | None = None
    proto: str = "tcp"
    sport: int = 40000
    dport: int = 80
    icmp_type: int | None = None
    icmp_code: int = 0
    family: int | None = None
    packet: str | None = None
    new: bool = False


def protocol_of(text: str) -> int:
    """Return the number of a protocol given by name or number. Raises Unknown."""
    if text.isdigit() and int(text) < 256:
        return int(text)
    found = PROTOCOLS.get(text.lower())
    if found is None:
        raise unknown("protocol", text, PROTOCOLS)
    return found


def packet_of(scene: Scene, wanted: Wanted) -> Probe:
    """Make the packet. Raises Unknown or BadFile."""
    if wanted.packet is not None:
        return _given(scene, wanted)
    if wanted.source is None or wanted.to is None:
        raise Unknown("a packet needs --from and --to, or --packet")
    sender, receiver = find_place(scene, wanted.source), find_place(scene, wanted.to)
    src, dst = choose_addresses(sender, receiver, wanted.family)
    return probe(flow_between(wanted, src, dst), sender)


def flow_between(wanted: Wanted, src: str, dst: str) -> Flow:
    """Return the flow of a description; ``icmp`` over IPv6 is ICMPv6."""
    proto = protocol_of(wanted.proto)
    if wanted.proto.lower() == "icmp" and ":" in src:
        proto = PROTOCOLS["icmpv6"]
    echo = 128 if proto == PROTOCOLS["icmpv6"] else 8
    kind = echo if wanted.icmp_type is None else wanted.icmp_type
    return Flow(proto, src, dst, wanted.sport, wanted.dport, kind, wanted.icmp_code)


def _given(scene: Scene, wanted: Wanted) -> Probe:
    """A whole frame: it enters where --from says, or where its source address belongs."""
    frame = frame_of(wanted.packet or "")
    fields = parse(frame)
    if wanted.source is None and fields is None:
        raise Unknown("--packet: no IP packet in this frame, so --from must say where it enters")
    sender = find_place(scene, wanted.source or (fields.src if fields is not None else ""))
    if sender.port is None:
        raise Unknown(f"{sender.name} has no port")
    return Probe(frame, f"interface:{sender.port.name}")


def ask(scene: Scene, wanted: Wanted, verify: str | None = None) -> Answer:
    """Trace a packet, and say why.

    Returns the contract's answer for the packet with ``version``, ``source``, ``frames``, ``sent``, ``steps`` (each ``table, key, result,
    entry, entry_key, action, origin, objects, frames``), ``culprit`` (who causes a default deny), ``closest`` (`nearest_miss`), ``flow``
    (see `Tracer.trace`), ``staged`` (`staged_verdict`; None for an established flow, which no policy judges), ``degraded`` (what is wrong
    with the endpoints concerned), ``state`` and, with ``verify``, ``verified``; the second switch has no flows, so both judge it as new.

    Raises:
        Unknown, BadFile: the packet can't be made.
        TargetError, Disagreement: the target can't be read, or does not what its entries say.
    """
    tracer = Tracer(scene)
    sent = packet_of(scene, wanted)
    learned = () if wanted.new or verify is not None else scene.learned
    answer = tracer.trace(sent, learned)
    ends = tracer.ends(sent)
    seat = tracer.seat(answer, ends)
    by_default = answer["reason"] == "default_deny"
    answer |= {
        "version": VERSION,
        "source": scene.source,
        "frames": scene.frames,
        "culprit": culprit(answer) if by_default else None,
        "closest": nearest_miss(scene, sent, answer, ends, seat) if by_default else None,
        "staged": staged_verdict(scene, sent, ends) if answer["flow"] is None else None,
        "degraded": list(_degraded(scene, ends, seat)),
        "state": {"pending": scene.driver.tracker.pending_count(), "in_sync": scene.store.in_sync},
    }
    if verify is not None:
        with second_opinion(scene, verify) as other:
            answer["verified"] = {"target": verify, "differences": differences(answer, other.send(sent))}
    return answer


def culprit(answer: Answer) -> Answer:
    """Return who causes a default deny: the tier at whose end it happened and the first policy of it, or the end of the profiles."""
    decided = answer["policy"][-1]
    return {"stage": decided["stage"], "tier": decided["tier"], "trigger": decided.get("trigger")}


def _degraded(scene: Scene, ends: dict[str, Any], seat: Seat | None) -> Iterator[dict[str, str]]:
    names = {endpoint_name(key) for key in ends.values() if key is not None} | ({seat.name} if seat is not None else set())
    return (entry.as_dict() for entry in scene.driver.degraded() if entry.object in names)


def matrix(scene: Scene, wanted: Wanted) -> Answer:
    """Send a packet from every workload endpoint to every other: ``endpoints`` in order, and ``pairs`` with verdict and reason."""
    tracer = Tracer(scene)
    places = [workload_place(scene, key) for key in sorted(scene.store.endpoints)]
    pairs = []
    for sender in places:
        for receiver in places:
            try:
                src, dst = choose_addresses(sender, receiver, wanted.family)
            except Unknown:
                continue
            if sender is not receiver:
                answer = tracer.send(probe(flow_between(wanted, src, dst), sender))
                pairs.append({"from": sender.name, "to": receiver.name} | {name: answer[name] for name in ("verdict", "reason", "policy")})
    return {"version": VERSION, "source": scene.source, "frames": scene.frames, "proto": wanted.proto, "dport": wanted.dport,
            "endpoints": [place.name for place in places], "pairs": pairs}  # fmt: skip
