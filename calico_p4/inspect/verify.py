"""A second opinion: the packet through another switch, programmed from nothing by another driver."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from calico_p4.driver import Driver
from calico_p4.inspect.objects import History
from calico_p4.inspect.scene import Replayed, Scene
from calico_p4.inspect.snapshot import copy_kubernetes, payloads_of
from calico_p4.inspect.trace import Answer, Probe, Tracer
from calico_p4.p4runtime.errors import TargetError
from calico_p4.switch import connect
from datastore.allocator import Allocator

ENGINES = ("embedded", "dpdk")
COMPARED = ("verdict", "reason", "out", "tunnel", "policy", "packet")


@contextmanager
def second_opinion(scene: Scene, target: str = "embedded") -> Iterator[Tracer]:
    """Give a tracer over another switch with the same intent: at an address, or one of our own behind a socket, by the name of its engine.

    The driver is another one too: it gets the intent in another order, and with other numbers. Raises TargetError.
    """
    with ExitStack() as stack:
        switch = connect(stack.enter_context(_served(target)) if target in ENGINES else target)
        stack.callback(switch.close)
        switch.prepare()
        if switch.bench is None:
            raise TargetError(f"{target} takes no packets; only the embedded switch does")
        driver = Driver(switch, Allocator(), scene.extra_ports)
        for payload in payloads_of(scene.store):
            driver.apply(payload)
        copy_kubernetes(scene.store.kubernetes, driver.store.kubernetes)
        driver.rest()
        yield Tracer(Replayed(driver, switch, History(), target, scene.frames, scene.generation))


@contextmanager
def _served(engine: str) -> Iterator[str]:
    from k8s_p4.target import Options, serve

    with tempfile.TemporaryDirectory(prefix="calico-p4-") as folder:
        server = serve(f"unix:{Path(folder) / 'target.sock'}", options=Options(engine=engine))
        try:
            yield server.address
        finally:
            server.stop()


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what differs between two answers, in words; nothing if they agree."""
    return [f"{name}: {one[name]!r} here, {other[name]!r} there" for name in COMPARED if one[name] != other[name]]


def disagreements(tracer: Tracer, other: Tracer, packets: Sequence[Probe]) -> list[tuple[Probe, list[str]]]:
    """Send packets through both; return those on which they differ."""
    found: list[tuple[Probe, list[str]]] = []
    for sent in packets:
        answers: tuple[Answer, Answer] = (tracer.send(sent), other.send(sent))
        if differing := differences(*answers):
            found.append((sent, differing))
    return found
