"""One packet through the entries that are on the target, step by step.

Nothing here knows what policy means. The frame goes through a switch that holds the entries read back, the switch reports every
look-up, and this module finds for each the row that was hit, its names, and who it is there for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from calico_p4.bench import Bench, rejected
from calico_p4.frames import TCP, parse, unwrap
from calico_p4.inspect.craft import NAMES, Flow, frame
from calico_p4.inspect.flows import flow_of
from calico_p4.inspect.labels import Labels, row_id, short, table_aliases
from calico_p4.inspect.matching import Disagreement, Index
from calico_p4.inspect.origins import Origins
from calico_p4.inspect.places import Place
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.seats import Seat, seat_of
from calico_p4.packets import Packet
from felix_proto.types import WorkloadEndpointID
from k8s_p4.rejects import Rejected
from k8s_p4.rows import TABLES
from k8s_p4.target import EmbeddedClient, Injected, Learned, LookedUp

VERSION = 1
LEARNED = "learned from a packet"
Answer = dict[str, Any]


class Probe(NamedTuple):
    """A frame and where it enters: ``entry`` in the words of the replay contract's ``from``. ``flow`` is what it was made of, if it was."""

    frame: bytes
    entry: str
    flow: Flow | None = None


class Witness:
    """The packet service of a switch, as `Bench` uses it; every packet leaves its trace in ``last``."""

    def __init__(self, service: EmbeddedClient) -> None:
        self._service = service
        self.last: Injected | None = None

    def inject(self, port: int, frame: bytes, at_seconds: float | None = None) -> Injected:
        """Send a frame, at the time it is."""
        self.last = self._service.inject(port, frame, trace=True)
        return self.last

    def learn(self, entries: Sequence[Learned]) -> None:
        """Have learned these and nothing else."""
        self._service.clear_learned()
        self._service.restore_learned(entries)

    def clear_learned(self) -> int:
        """Forget learned flows."""
        return self._service.clear_learned()


def probe(flow: Flow, sender: Place) -> Probe:
    """Make the frame of a flow's first packet, from the place where it enters. Raises ValueError for addresses of two families."""
    if sender.port is None:
        return Probe(frame(flow, 0), f"interface:no port of {sender.name}", flow)
    return Probe(frame(flow, sender.port.mac), f"interface:{sender.port.name}", flow)


class Tracer:
    """Sends packets through one scene."""

    def __init__(self, scene: Scene) -> None:
        service = scene.glass().bench
        assert service is not None
        self._scene = scene
        self._witness = Witness(service)
        self._bench = Bench(scene.driver, self._witness)  # type: ignore[arg-type]
        self._labels, self._origins = Labels(scene.translator), Origins(scene)
        self._indexes: dict[str, Index] = {}

    def send(self, sent: Probe, learned: Sequence[Learned] = ()) -> Answer:
        """Send a packet through a switch that has learned only this; returns the answer of the replay contract."""
        if learned:
            self._witness.learn(learned)
        flow = "established" if learned else "new"
        return self._bench.send(Packet(0, "trace", None, 0.0, {"raw": sent.frame.hex(), "from": sent.entry, "flow": flow}))

    def trace(self, sent: Probe, learned: Sequence[Learned] = ()) -> Answer:
        """Send a packet; returns the contract's answer with the ``steps`` it took, the ``flow`` it is of (`flows.flow_of`), if it is of one, and
        what became of a reject (``rejected``), if there was to be one.

        Raises:
            Disagreement: a look-up ended otherwise than the entries read back say.
        """
        answer = self.send(sent, learned)
        looked_up = self._witness.last.trace if self._witness.last is not None and answer["verdict"] != "error" else ()
        answer["sent"] = describe(sent)
        answer["steps"] = list(self._steps(looked_up))
        answer["rejected"] = self._rejected(answer)
        answer["flow"] = _flow(looked_up, learned) if answer["reason"] == "established" else None
        return answer

    def _rejected(self, answer: Answer) -> Answer | None:
        """Return what became of the answer to a denied packet; None if it was to get none."""
        fate = rejected(self._witness.last) if self._witness.last is not None and answer["verdict"] == "deny" else Rejected.NONE
        if fate == Rejected.NONE:
            return None
        return {"fate": fate.name.lower(), "text": _told(bytes.fromhex(answer["answer"])) if "answer" in answer else fate.text}

    def ends(self, sent: Probe) -> dict[str, WorkloadEndpointID | None]:
        """Return the workload endpoint that each policy stage stands for, for a packet: its sender and its receiver."""
        fields = parse(sent.frame)
        port = self._scene.ports.get(sent.entry.removeprefix("interface:"))
        sender = self._scene.places.behind(port, fields.src if fields else None) if port is not None else None
        return {"egress": sender, "ingress": self._scene.places.owner(fields.dst) if fields else None}

    def seat(self, answer: Answer, ends: Mapping[str, WorkloadEndpointID | None]) -> Seat | None:
        """Return who denied, or let pass last, the packet sent last; None if no policy was asked."""
        if not answer["policy"] or self._witness.last is None:
            return None
        return seat_of(self._scene, answer["policy"][-1]["stage"], ends, self._witness.last.metadata)

    def _steps(self, looked_up: tuple[LookedUp, ...]) -> Iterator[Answer]:
        for each in looked_up:
            table = table_aliases().get(each.table, each.table)
            if each.key:
                yield self._step(table, each)

    def _step(self, table: str, each: LookedUp) -> Answer:
        asked = tuple(each.key.values())
        step: Answer = {"table": table, "key": self._labels.asked(table, asked), "result": "hit" if each.hit else "miss", "entry": None,
                        "entry_key": None, "action": _action(each), "origin": None, "objects": []}  # fmt: skip
        if table not in TABLES:  # a table that only the data plane writes
            return step | {"key": " ".join(_shown(each.key)), "origin": LEARNED if each.hit else None}
        found = self._find(table, each, asked)
        if found is None:
            return step
        value = self._scene.rows(table)[found]
        key_text, action = self._labels.row(table, found, value)
        origin = self._origins.of(table, found, value)
        return step | {
            "entry": row_id(table, key_text), "entry_key": key_text, "action": action, "origin": origin.text,
            "objects": sorted(map(str, origin.objects)), "frames": self._origins.frames(origin.objects),
        }  # fmt: skip

    def _find(self, table: str, each: LookedUp, asked: tuple[int, ...]) -> Any:
        if table not in self._indexes:
            self._indexes[table] = Index(table, self._scene.rows(table))
        found = self._indexes[table].find(asked)
        ran = (short(each.action), *each.params.values())
        there = None if found is None else self._scene.rows(table)[found]
        if (found is not None) != each.hit or (there is not None and there != ran):
            raise Disagreement(f"{table} {self._labels.asked(table, asked)}: the target ran {_action(each)}, the entries read back say {there}")
        return found


def _told(frame: bytes) -> str:
    """What an answer says, and to whom; it may be in a tunnel."""
    inside = unwrap(frame)
    fields = parse(frame if inside is None else inside[1])
    assert fields is not None
    kind = "TCP reset" if fields.proto == TCP else "ICMP port unreachable"
    return f"{kind}, {fields.src} -> {fields.dst}"


def _flow(looked_up: tuple[LookedUp, ...], learned: Sequence[Learned]) -> Answer | None:
    hits = (each for each in looked_up if each.hit and table_aliases().get(each.table, each.table).startswith("flow_v"))
    return next((found for each in hits if (found := flow_of(learned, each.table, each.key)) is not None), None)


def _action(each: LookedUp) -> str:
    return f"{short(each.action)}({', '.join(_shown(each.params))})"


def _shown(fields: Mapping[str, int]) -> Iterator[str]:
    """Incarnations say nothing but that something is new."""
    return (f"{name}={'*' if name.endswith(('incarnation', 'epoch')) else value}" for name, value in fields.items())


def describe(sent: Probe) -> Mapping[str, Any]:
    """Return what a frame is: its fields, and the frame itself."""
    fields = parse(sent.frame)
    known: dict[str, Any] = {"entry": sent.entry, "frame": sent.frame.hex()}
    if fields is not None:
        known |= {name: value for name, value in fields._asdict().items() if value is not None}
        known["protocol"] = NAMES.get(fields.proto, str(fields.proto))
    return known
