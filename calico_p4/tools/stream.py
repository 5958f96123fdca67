"""A recorded stream, replayed, to be asked by a test: what becomes of packets, which rows are wanted, what is Degraded."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from calico_p4.kubernetes_file import load_events
from calico_p4.packets import Packet as Sent
from calico_p4.switch import embedded
from calico_p4.tools.product import Beside, Port, Run, quiet, snapshot_of, state_of
from felix_proto.framing import Frame
from felix_proto.recordings import read_recording
from felix_proto.types import Message


class Verdict(NamedTuple):
    """What became of a packet, in the words of the replay contract; ``answer`` is the whole of it."""

    verdict: str
    reason: str
    out: str | None
    policy: tuple[str, ...]
    """Who decided, stage by stage: "ingress allow rule 0 of NetworkPolicy shop/default.web"."""
    answer: Mapping[str, Any]

    @property
    def allowed(self) -> bool:
        """Whether it left the switch."""
        return self.verdict == "allow"

    @property
    def denied(self) -> bool:
        """Whether it did not."""
        return self.verdict == "deny"

    def __str__(self) -> str:
        """Return all that matters in a line."""
        return "; ".join((f"{self.verdict} ({self.reason})", *self.policy))


class Stream:
    """A recording after its first frames, in a driver with an embedded switch of its own. To be closed, or used in a ``with``.

    Raises:
        OSError: the recording can't be opened.
        BadFile: the file of Kubernetes objects is none; with line and field.
        FrameError, DecodeError: it can't be read; with frame and byte offset.
        TargetError: the switch failed.
    """

    def __init__(self, recording: str | Path, after: int | None = None, ports: Sequence[Port] = (),
                 k8s: str | Path | None = None, config: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """``after``: how many frames; all if not given. ``ports``: as in a ports file of the replay contract; ``k8s``: a file of Kubernetes
        objects; ``config``: Felix parameters to lay over the recording's."""
        beside = Beside(ports, load_events(str(k8s)) if k8s is not None else None, config or {})
        self._open([frame for frame in read_recording(recording) if after is None or frame.index < after], beside, str(recording))

    def _open(self, frames: Sequence[Frame | Message], beside: Beside, source: str) -> None:
        quiet()
        self._path, self._beside = source, beside
        self._switch = embedded()
        try:
            self._switch.prepare()
            self._run = Run(frames, (), beside, self._switch)
            self._run.frames()
            self._run.end()
        except BaseException:
            self._switch.close()
            raise

    def fresh(self) -> Self:
        """Return the same state in another driver, as a new Felix would tell it: packets are to be decided alike."""
        frames = [item for item in self._run.all_frames if isinstance(item, Frame)]
        other = type(self).__new__(type(self))
        other._open(snapshot_of(state_of(frames)), self._beside.after(len(frames)), f"{self._path}, told anew")
        return other

    def close(self) -> None:
        """End the switch."""
        self._switch.close()

    def __enter__(self) -> Self:
        """Return the stream."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the switch."""
        self.close()

    @cached_property
    def _scene(self) -> Any:
        from calico_p4.inspect.objects import History
        from calico_p4.inspect.scene import Scene

        return Scene(self._run.driver, self._switch, History(), self._path, len(self._run.all_frames), None)

    def send(self, sender: str | None = None, receiver: str | None = None, **packet: Any) -> Verdict:
        """Send a packet, the first of its flow unless ``flow="keep"``, and return what became of it.

        ``sender`` and ``receiver``: NAMESPACE/POD, an address, "host" or "interface:NAME"; ``packet``: fields of the replay contract (``proto``,
        tcp if not given, ``src``, ``dst``, ``sport``, ``dport``, ...), which go before.

        Raises:
            Unknown: there is no such pod or interface, with the names that come near.
        """
        fields = {"proto": "tcp", **self._ends(sender, receiver), **packet}
        answer = self._run.send(Sent(0, 0, None, float(packet.get("at", 0.0)), fields))
        return Verdict(answer["verdict"], answer["reason"], answer["out"], tuple(map(_decided, answer["policy"])), answer)

    def _ends(self, sender: str | None, receiver: str | None) -> dict[str, Any]:
        if sender is None or receiver is None:
            return {}
        from calico_p4.inspect.places import choose_addresses, find_place

        places = [find_place(self._scene, name) for name in (sender, receiver)]
        src, dst = choose_addresses(places[0], places[1], None)
        port = places[0].port
        return {"src": src, "dst": dst, **({"from": f"interface:{port.name}"} if port is not None else {})}

    def rows(self) -> list[str]:
        """Return the wanted rows as the lines of the replay contract's dump: the same for all states that mean the same."""
        return self._run.rows()

    def rows_from_scratch(self) -> list[str]:
        """Return the rows that a driver would want which met the present state in one go: they are to be the same."""
        return self._run.rows_from_scratch()

    def degraded(self) -> list[str]:
        """Return what does not work as intended, a line for each object."""
        return [f"{entry.object}: {entry.reason} ({entry.effect}, {entry.direction})" for entry in self._run.degraded()]

    @property
    def converged(self) -> bool:
        """Whether the switch holds what is wanted."""
        return self._run.driver.converged


def _decided(rule: Mapping[str, Any]) -> str:
    from calico_p4.cli.trace import who

    return f"{rule['stage']} {rule['action']} by {who(dict(rule))}"
