"""The product under judgement: a driver with its intent store, translator and tracker, a switch, and packets through it.

Frames are hand-made and enter as ``raw`` packets of the replay contract; answers are those of ``calico-p4 replay``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from calico_p4.bench import Bench
from calico_p4.driver import Driver
from calico_p4.dump import dump_lines
from calico_p4.packets import Packet as Entering
from datastore.allocator import Allocator
from felix_proto import types as felix
from test.support.evaluator import HOST, UPLINK
from test.support.frames import frame
from test.support.gen_packets import Sent
from test.support.model_target import ModelTarget
from test.support.target import new_switch
from test.support.world import World

Answered = dict[str, Any]
Ports = Sequence[Mapping[str, Any]]


class Product:
    """One driver with one switch."""

    channel: Any = None

    def __init__(self, switch: Any, ports: Ports = ()) -> None:
        """``ports`` is the content of a ports file."""
        self.switch = switch
        switch.prepare()
        self.driver = Driver(switch, Allocator(), ports)
        if hasattr(switch, "driven_by"):
            switch.driven_by(self.driver)
        self._bench = Bench(self.driver, switch.bench)

    def flush(self, payloads: Iterable[felix.Payload], rest: bool = False) -> None:
        """Apply messages and push what they change; with ``rest`` also let the hold-offs run out."""
        for payload in payloads:
            self.driver.apply(payload)
        self.driver.sync()
        if rest:
            self.driver.rest()
        self._bench.settle()

    def send(self, sent: Sent, keep: bool = False) -> Answered:
        """Send one packet; the answer is the replay contract's. ``keep``: flows that were learned count, otherwise it is the first of its flow."""
        return self.send_frame(frame(sent.packet), sent.ingress, keep)

    def send_frame(self, data: bytes, ingress: str, keep: bool = False) -> Answered:
        """Send a frame, as ``send`` does a packet."""
        where = ingress if ingress in (HOST, UPLINK) else f"interface:{ingress}"
        return self._bench.send(Entering(0, 0, None, 0.0, {"raw": data.hex(), "from": where, "flow": "keep" if keep else "new"}))

    def close(self) -> None:
        """End the switch."""
        self.switch.close()


def on_model(seed: int = 0, ports: Ports = ()) -> Product:
    """Return a product over the model of a switch: fast, and no P4 in it."""
    return Product(ModelTarget(seed), ports)


def on_embedded(ports: Ports = ()) -> Product:
    """Return a product over a fresh embedded target in this process, or the target that is tested in its place; ``channel`` is for its other clients."""
    switch = new_switch()
    product = Product(switch, ports)
    product.channel = switch.channel
    return product


def dump_of(product: Product) -> list[str]:
    """Return the lines of the replay contract's dump."""
    return dump_lines(product.driver)


def from_scratch(world: World, make: Callable[[], Product] = on_model) -> Product:
    """Return a product that was given a state in one go, in an order of its own, and has come to rest."""
    product = make()
    product.flush(snapshot(world, Random(0)), rest=True)
    return product


def snapshot(world: World, rng: Random) -> list[felix.Payload]:
    """Return the messages of a fresh Felix for a state, each class in random order."""
    groups: tuple[list[Any], ...] = (
        [felix.IPSetUpdate(name, tuple(content.members), content.type) for name, content in world.ip_sets.items()],
        [felix.ActivePolicyUpdate(name, policy) for name, policy in world.policies.items()],
        [felix.ActiveProfileUpdate(name, profile) for name, profile in world.profiles.items()],
        [felix.WorkloadEndpointUpdate(name, endpoint) for name, endpoint in world.endpoints.items()],
        [felix.HostEndpointUpdate(name, endpoint) for name, endpoint in world.host_endpoints.items()],
        [felix.HostMetadataUpdate(name, *addresses) for name, addresses in world.hosts.items()],
        list(world.tunnels.values()),
    )
    for group in groups:
        rng.shuffle(group)
    config = felix.ConfigUpdate(tuple(sorted(world.config.items())))
    return [config, *(message for group in groups for message in group), felix.InSync()]
