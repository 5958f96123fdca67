"""Watching a running driver's switch: every packet that goes through it, with what decided about it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc

from calico_p4.bench import Bench
from calico_p4.driver import Driver
from calico_p4.files import BadFile
from calico_p4.inspect.suggest import unknown
from calico_p4.names import Places
from calico_p4.p4runtime.errors import TargetError, TargetLost, raise_target_error
from calico_p4.switch import Switch
from k8s_p4.target import Watched, Watching

Line = dict[str, Any]
InTurn = Callable[[Callable[[], Any]], Any]
"""Does something between two frames of the driver's loop, and returns what that returns."""
NOT_OURS = "the target tells nothing of its packets: only the embedded switch can be monitored"
ARGUMENTS = ("dropped_only", "pod", "queue")


class Describer:
    """Turns what the switch tells into lines; to be used between two frames only."""

    def __init__(self, driver: Driver, switch: Switch | None, moment: Callable[[], Any], pod: str | None) -> None:
        """``moment`` is another value whenever the driver's state may be another.

        Raises:
            TargetError: the switch tells nothing; TargetLost: there is none.
            Unknown: no such pod.
        """
        if switch is None:
            raise TargetLost("the target is lost, so its packets can't be watched")
        if switch.bench is None:
            raise TargetError(NOT_OURS)
        self.bench = switch.bench
        self._driver, self._moment = driver, moment
        self._pod = f"workload:{_pod(Places(driver.store, driver.ports), driver, pod)}" if pod is not None else None
        self._known: Any = None
        self._answers: Bench | None = None

    def line(self, item: Watched | int) -> Line | None:
        """Return the line for a frame, None if it is not asked for; of a gap, how many frames were lost.

        ``time`` is when it was heard of (RFC 3339, UTC), ``seconds`` when it came in by the switch's own clock; the rest: `Bench.seen`.
        """
        if isinstance(item, int):
            return {"lost": item}
        answer = self._current().seen(item.port, item.frame, item.result)
        if self._pod is not None and self._pod not in (answer["from"], answer["to"]):
            return None
        names = ("from", "to", "sent", "verdict", "reason", "rejected", "policy", "tunnel")
        heard = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {"time": heard, "seconds": item.seconds} | {name: answer[name] for name in names}

    def _current(self) -> Bench:
        if self._answers is None or self._known != self._moment():
            self._known, self._answers = self._moment(), Bench(self._driver, self.bench)
        return self._answers


def _pod(places: Places, driver: Driver, name: str) -> str:
    key = places.endpoint(name)
    if key is None:
        raise unknown("pod", name, map(places.name, driver.store.endpoints))
    return places.name(key)


class Monitor:
    """Lines for one asker, as long as the switch stands and nobody cancels."""

    def __init__(self, watching: Watching, describer: Describer, in_turn: InTurn) -> None:
        self._watching, self._describer, self._in_turn = watching, describer, in_turn
        self._cancelled = False

    def __iter__(self) -> Iterator[Line]:
        """Yield lines. Raises TargetLost when the switch ends."""
        try:
            for item in self._watching:
                line = self._in_turn(partial(self._describer.line, item))
                if line is not None:
                    yield line
        except grpc.RpcError as error:
            if not self._cancelled:
                raise raise_target_error(error, "Watch") from error
        if not self._cancelled:
            raise TargetLost("Watch: the switch has ended it")

    def cancel(self) -> None:
        """End it, from any thread."""
        self._cancelled = True
        self._watching.cancel()


def monitor(describer: Callable[[str | None], Describer], in_turn: InTurn, arguments: Mapping[str, Any]) -> Monitor:
    """Begin to watch. ``arguments``: dropped_only, pod (NAMESPACE/NAME), queue (frames that may wait at the switch).

    The switch is told outside the driver's turn: one that does not answer holds up nobody but the asker.

    Raises:
        BadFile: an argument that there is not.
        Unknown: no such pod.
        TargetError: the switch can't be watched; TargetLost if there is none.
    """
    if strange := sorted(set(arguments) - set(ARGUMENTS)):
        raise BadFile(f"monitor: no argument {', '.join(strange)}; there are: {', '.join(ARGUMENTS)}")
    made = in_turn(lambda: describer(arguments.get("pod")))
    try:
        watching = made.bench.watch(bool(arguments.get("dropped_only")), int(arguments.get("queue") or 0))
    except grpc.RpcError as error:
        raise TargetError(NOT_OURS) if error.code() is grpc.StatusCode.UNIMPLEMENTED else raise_target_error(error, "Watch") from error
    return Monitor(watching, made, in_turn)
