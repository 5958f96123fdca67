"""Packets through the driver's own switch, and what became of each, in the contract's words."""

from collections.abc import Mapping
from typing import Any

from calico_p4 import decisions, frames
from calico_p4.driver import Driver
from calico_p4.names import Places
from calico_p4.packets import CannotBuild, Packet, build, complete
from calico_p4.ports import Port
from felix_proto.types import HostEndpoint, WorkloadEndpointID
from k8s_p4.reasons import Reason
from k8s_p4.rejects import Rejected
from k8s_p4.target import EmbeddedClient, Injected
from translator.stages import STAGES

Answer = dict[str, Any]


class NotSent(Exception):
    """A packet that did not enter the switch; ``reason`` is the contract's word, the text says why."""

    def __init__(self, text: str, reason: str = "not_sent") -> None:
        super().__init__(text)
        self.reason = reason


class Bench:
    """Sends packets and remembers how each left, so that another can be its reply."""

    def __init__(self, driver: Driver, switch: EmbeddedClient) -> None:
        self._driver, self._switch = driver, switch
        self._places = Places(driver.store, driver.ports)
        self._left: dict[Any, tuple[frames.Fields, Port]] = {}

    def settle(self) -> None:
        """Look at the driver's state anew; to be called when it has changed."""
        self._places = Places(self._driver.store, self._driver.ports)

    def send(self, packet: Packet) -> Answer:
        """Send one packet and return the contract's answer."""
        try:
            port, frame = self._prepare(packet)
        except NotSent as error:
            return not_sent(packet, str(error), error.reason)
        if packet.fields.get("flow", "new") == "new":
            self._switch.clear_learned()
        injected = self._switch.inject(port.number, frame, at_seconds=packet.at)
        return self._answer(packet, port, frame, injected)

    # --- entering

    def _prepare(self, packet: Packet) -> tuple[Port, bytes]:
        """Return where a packet enters, and its frame."""
        given = packet.fields
        if "raw" in given:
            frame = bytes.fromhex(given["raw"])
            fields = frames.parse(frame)
            return self._entry(given, fields.src if fields else None), frame
        original, port = self._original(given["reply_to"]) if "reply_to" in given else (None, None)
        try:
            fields_ = complete(given, original)
        except CannotBuild as error:
            raise NotSent(str(error)) from error
        if port is None or "from" in given:
            port = self._entry(given, fields_["src"])
        return port, build(fields_, port.mac)

    def _original(self, packet_id: Any) -> tuple[frames.Fields, Port]:
        if packet_id not in self._left:
            raise NotSent(f"no earlier packet {packet_id!r} left the switch", "no_original")
        return self._left[packet_id]

    def _entry(self, given: Mapping[str, Any], src: str | None) -> Port:
        """Return the port that ``from`` names; ``auto`` follows the source address."""
        where = given.get("from", "auto")
        kind, _, name = where.partition(":")
        port: Port | None
        if kind == "auto":
            port = self._port_of_source(src)
        elif kind == "workload":
            port = self._port_of_workload(name)
        elif kind == "interface":
            port = self._driver.ports.get(name)
        else:
            port = next(iter(self._driver.ports.of_kind(kind)), None)
        if port is None:
            raise NotSent(f"from {where!r}: there is no such port")
        return port

    def _port_of_source(self, src: str | None) -> Port | None:
        owner = self._places.owner(src) if src else None
        if owner is not None:
            return self._driver.ports.get(self._driver.store.endpoints[owner].name)
        kind = "host" if src and self._places.is_own(src) else "uplink"
        return next(iter(self._driver.ports.of_kind(kind)), None)

    def _port_of_workload(self, name: str) -> Port | None:
        key = self._places.endpoint(name)
        return None if key is None else self._driver.ports.get(self._driver.store.endpoints[key].name)

    # --- leaving

    def seen(self, number: int, frame: bytes, injected: Injected) -> Answer:
        """Return what became of a frame that somebody else sent into port ``number``: the contract's answer, and who sent it to whom.

        ``from`` and ``to`` are places as ``out`` names them (a destination that the packet did not reach: its endpoint, else its address),
        ``rejected`` says what became of the answer to a denied packet (`k8s_p4.rejects`), None if there was to be none;
        ``sent`` the packet as it came in, without a tunnel that was taken off; None if it is no IP packet.
        """
        entered = self._driver.ports.by_number(number) or Port(f"port {number}", number, "unknown", 0)
        answer = self._answer(None, entered, frame, injected)
        came = self._came(frame, injected)
        receiver = self._receiver(injected.metadata) or (self._places.owner(came.dst) if came else None)
        to = f"workload:{self._places.name(receiver)}" if receiver is not None and receiver in self._driver.store.endpoints else came.dst if came else None
        return answer | {
            "rejected": None if (fate := rejected(injected)) == Rejected.NONE else fate.name.lower(),
            "from": self._places.out(entered, came.src if came else None),
            "to": answer["out"] if answer["verdict"] == "allow" else to,
            "sent": came._asdict() if came else None,
        }

    def _came(self, frame: bytes, injected: Injected) -> frames.Fields | None:
        """Return the packet that came in, out of the tunnel if it came by one."""
        if injected.metadata.get("peer") and (inside := frames.unwrap(frame)) is not None:
            return frames.parse(inside[1])
        return frames.parse(frame)

    def _answer(self, packet: Packet | None, entered: Port, frame: bytes, injected: Injected) -> Answer:
        wrong = packet is None and injected.outcome in _WRONG  # of others' packets that is told, and no reason to end
        reason = injected.outcome.lower() if wrong else _reason(injected)
        answer: Answer = {"id": packet.id if packet else None, "verdict": "deny", "out": None, "tunnel": None, "reason": reason, "policy": [],
                          "packet": None, "raw": None}  # fmt: skip
        if injected.outputs and (reason == "neighbour" or rejected(injected) == Rejected.SENT):
            answer["answer"] = injected.outputs[0][1].hex()
        elif injected.outputs:
            self._note_left(answer, packet, *injected.outputs[0], tunnelled=bool(injected.metadata.get("tunnel")))
        answer["policy"] = self._policy(injected, entered, self._came(frame, injected))
        if injected.metadata.get("reason") == Reason.POLICY:
            answer["reason"] = self._denied(injected)
        return answer

    def _note_left(self, answer: Answer, packet: Packet | None, number: int, frame: bytes, tunnelled: bool) -> None:
        inside = frames.unwrap(frame) if tunnelled else None
        port, fields = self._driver.ports.by_number(number), frames.parse(frame if inside is None else inside[1])
        if port is None and packet is not None:
            raise AssertionError(f"packet {packet.id!r} left by port {number}, which the inventory does not have")
        out = self._places.out(port, fields.dst if fields else None) if port is not None else f"port {number}"
        answer |= {"verdict": "allow", "out": out, "raw": frame.hex()}
        if inside is not None:
            answer["tunnel"] = inside[0]._asdict()
        if fields is not None:
            answer["packet"] = fields._asdict()
            if packet is not None and port is not None:
                self._left[packet.id] = fields, port

    def _policy(self, injected: Injected, entered: Port, came: frames.Fields | None) -> list[dict[str, Any]]:
        """Return what decided in each stage that was met, in order."""
        sender = self._places.at_interface(entered.name) if entered.kind == "workload" else None
        receiver = self._receiver(injected.metadata) or (self._places.owner(came.dst) if came else None)
        found = []
        for stage, path in self._paths(injected):
            if decisions.decides(path):
                name, host = hook(stage, injected.metadata)
                key = sender if stage == "egress" else receiver
                workload = self._driver.store.endpoints.get(key) if key else None
                governed = workload if host is None else self._host_endpoint(stage, host)
                found.append(decisions.decision(name, path, governed))
        return found

    def _receiver(self, metadata: Mapping[str, int]) -> WorkloadEndpointID | None:
        """Return the workload endpoint that routing led to: a translated destination says nothing of it."""
        meaning = self._driver.translator.endpoint(metadata["dst_endpoint"]) if metadata.get("to") == _WORKLOAD else None
        if meaning is None:
            return None
        orchestrator, *workload, endpoint = meaning.split("/")
        return WorkloadEndpointID(orchestrator, "/".join(workload), endpoint)

    def _host_endpoint(self, stage: str, number: int) -> HostEndpoint | None:
        """Return a host endpoint with the tiers that a stage asks in place of the normal ones."""
        endpoint = self._driver.store.host_endpoints.get(self._driver.translator.host_endpoint(number) or "")
        tiers = HOST_SECTIONS.get(stage.partition("_")[0])
        return endpoint._replace(tiers=getattr(endpoint, tiers)) if endpoint is not None and tiers else endpoint

    def _paths(self, injected: Injected) -> list[tuple[str, Any]]:
        """Return the stages that the packet met, in order, each with what it led to there."""
        found = ((stage.name, self._path(stage.name, injected)) for stage in STAGES)
        return [(stage, path) for stage, path in found if path]

    def _path(self, stage: str, injected: Injected) -> Any:
        slot = injected.metadata.get(f"{stage}_slot", 0)
        return self._driver.translator.slot_origin(stage, slot) if slot else None

    def _denied(self, injected: Injected) -> str:
        """Return the reason of a deny by policy: that of the stage met last."""
        paths = self._paths(injected)
        if paths and paths[-1][1][-1].kind == "closed":
            return "degraded"
        return "default_deny" if paths and decisions.is_default(paths[-1][1]) else "policy"


_WRONG = ("NO_PORT", "LOOP")
_WORKLOAD, _HOST = 1, 2
"""Metadata `from` and `to`: a workload, the node itself (k8s_p4/p4/core/metadata.p4)."""
HOST_SECTIONS = {"untracked": "untracked_tiers", "pre": "pre_dnat_tiers", "forward": "forward_tiers"}
"""By the first word of a stage: the tiers of a host endpoint that it asks; all others ask the normal ones."""


def hook(stage: str, metadata: Mapping[str, int]) -> tuple[str, int | None]:
    """Return the contract's name for a stage of the pipeline, and the number of the host endpoint it stands for; None: a workload."""
    leaving = stage.endswith("egress")
    host = metadata["out_endpoint" if leaving else "in_endpoint"]
    if stage in ("egress", "ingress"):
        return ("host", host) if metadata["from" if leaving else "to"] == _HOST else (stage, None)
    return ("untracked" if stage.startswith("untracked") else stage), host


def rejected(injected: Injected) -> Rejected:
    """Return what became of the answer to a denied packet."""
    return Rejected(injected.metadata.get("reject", 0)) if injected.outcome in ("SENT", "DROPPED") else Rejected.NONE


def _reason(injected: Injected) -> str:
    """Return the contract's word for the reason that the pipeline reports."""
    if injected.outcome == "SHORT_FRAME":
        return "parse"
    if injected.outcome in _WRONG:
        raise AssertionError(f"the pipeline went wrong: {injected.outcome}, {injected.metadata}")
    return Reason(injected.metadata["reason"]).contract_name


def not_sent(packet: Packet, text: str, reason: str = "not_sent") -> Answer:
    """Return the answer for a packet that did not enter the switch."""
    return {"id": packet.id, "verdict": "error", "out": None, "tunnel": None, "reason": reason, "policy": [], "packet": None,
            "raw": None, "detail": text}  # fmt: skip
