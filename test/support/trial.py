"""One generated cluster against a product: a snapshot, then flushes of changes, with packets and a dump judged after each.

Everything follows from a seed. A failure carries the messages, flush by flush, and the packet, so that it can be minimised and replayed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from felix_proto import types as felix
from test.support import gen_cluster, gen_packets, gen_stream, gen_talk
from test.support.compare import differences
from test.support.evaluator import ALLOW, Answer, judge
from test.support.gen_cluster import Cluster
from test.support.gen_packets import Sent
from test.support.minimise import minimise
from test.support.packet import Packet
from test.support.product import Product, dump_of, from_scratch, on_model
from test.support.world import World

Make = Callable[[], Product]


class Play(NamedTuple):
    """What is generated, and who says what must become of packets. ``talks``: what is let pass is followed by what belongs to its flow (`gen_talk.py`)."""

    cluster: Callable[[Random], Cluster]
    change: Callable[[Random, Cluster], str]
    packet: Callable[[Random, World], Sent]
    judge: Callable[[World, Packet, str], Answer]
    talks: bool = False


WORKLOADS = Play(gen_cluster.cluster, gen_cluster.change, gen_packets.packet, judge)
TALKING = WORKLOADS._replace(talks=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """How much a trial does: changes made before each flush are 1 to ``changes``."""

    flushes: int = 6
    packets: int = 50
    changes: int = 3
    play: Play = WORKLOADS


@dataclass
class Failure(Exception):
    """A difference: between answer and evaluator (``sent``), or between two dumps (``sent`` None)."""

    seed: int
    flushes: list[list[felix.Payload]]
    sent: Sent | None
    found: list[str]

    def __str__(self) -> str:
        return "\n".join((f"seed {self.seed}, after {len(self.flushes)} flushes: {self.sent}", *self.found[:20]))


@dataclass
class Tally:
    """What trials did."""

    clusters: int = 0
    packets: int = 0
    flushes: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)


def trial(seed: int, make: Make, shape: Shape, tally: Tally, scratch: Make = on_model, rng: Random | None = None) -> None:
    """Run one trial, of a seed or driven by another source of choices. Raises Failure at the first difference.

    ``scratch`` makes the product whose dump, given the state in one go, the incremental one must equal.
    """
    rng = rng if rng is not None else Random(seed)
    product, world, flushes = make(), World(), []
    try:
        for messages, rest in _script(rng, shape, world):
            flushes.append(messages)
            product.flush(messages, rest)
            _judge_packets(rng, product, world, shape, tally, seed, flushes)
            _judge_dump(product, world, seed, flushes, scratch)
            tally.flushes += 1
    except Failure:
        raise
    except Exception as error:
        raise Failure(seed, flushes, None, [f"{type(error).__name__}: {error}"]) from error
    finally:
        product.close()
    tally.clusters += 1


def _script(rng: Random, shape: Shape, world: World) -> Iterator[tuple[list[felix.Payload], bool]]:
    """Yield the messages of each flush, and whether the product may come to rest after it; keeps ``world`` up to date."""
    cluster = shape.play.cluster(rng)
    messages, _ = gen_stream.first_flush(rng, cluster)
    world.apply_all(messages)
    yield messages, rng.random() < 0.5
    for _ in range(shape.flushes - 1):
        for _ in range(rng.randint(1, shape.changes)):
            shape.play.change(rng, cluster)
        messages = gen_stream.flush(rng, world, cluster)
        world.apply_all(messages)
        yield messages, rng.random() < 0.5


def _judge_packets(rng: Random, product: Product, world: World, shape: Shape, tally: Tally, seed: int, flushes: list[list[felix.Payload]]) -> None:
    for _ in range(shape.packets):
        sent = shape.play.packet(rng, world)
        found = judged(product, world, sent, shape.play, tally)
        if found:
            raise Failure(seed, flushes, sent, found)


def _talked(product: Product, world: World, sent: Sent, tally: Tally) -> list[str]:
    """Go on with a conversation whose first packet was judged right; return how what became of it differs."""
    answer = judge(world, sent.packet, sent.ingress)
    if answer.verdict != ALLOW or answer.out is None:
        return []
    for step in gen_talk.steps(world, sent, answer.out):
        tally.packets += 1
        tally.outcomes[step.what, step.wanted.reason] += 1
        if found := gen_talk.step_differences(step, product.send_frame(step.frame, step.ingress, keep=True), world):
            return found
    return []


def judged(product: Product, world: World, sent: Sent, play: Play = WORKLOADS, tally: Tally | None = None) -> list[str]:
    """Send a packet, and what it begins; return how the first answer that differs does so from the evaluator's."""
    tally = Tally() if tally is None else tally
    answer = play.judge(world, sent.packet, sent.ingress)
    tally.packets += 1
    found = list(differences(answer, product.send(sent), world))
    return found or (_talked(product, world, sent, tally) if play.talks else [])


def _judge_dump(product: Product, world: World, seed: int, flushes: list[list[felix.Payload]], scratch: Make) -> None:
    """Compare at rest: hold-offs have run out, so nothing may tell how the state was reached."""
    product.flush((), rest=True)
    fresh, own = dump_of(from_scratch(world, scratch)), dump_of(product)
    if fresh != own:
        raise Failure(seed, flushes, None, dump_differences(own, fresh))


def dump_differences(own: Sequence[str], fresh: Sequence[str]) -> list[str]:
    """Name the lines that only one of two dumps has."""
    mine, theirs = set(own), set(fresh)
    return [f"only incremental: {line}" for line in sorted(mine - theirs)] + [f"only from scratch: {line}" for line in sorted(theirs - mine)]


PINNED = (felix.ConfigUpdate, felix.HostMetadataUpdate, felix.InSync)


def minimised(failure: Failure, make: Make, scratch: Make = on_model, play: Play = WORKLOADS) -> Failure:
    """Return a smaller failure of the same kind: the flushes as one list of messages, each flushed by itself."""
    messages = [message for flush in failure.flushes for message in flush]
    wanted = _kinds(failure.found)

    def fails(some: list[felix.Payload]) -> bool:
        pinned = sum(isinstance(message, PINNED) for message in some)
        return pinned == sum(isinstance(message, PINNED) for message in messages) and bool(wanted & _kinds(_differs(some, failure.sent, make, scratch, play)))

    if not fails(messages):
        return failure  # needs the flushes as they were
    small = minimise(messages, fails)
    return Failure(failure.seed, [[message] for message in small], failure.sent, _differs(small, failure.sent, make, scratch, play))


def _kinds(found: Sequence[str]) -> set[str]:
    """The first two words of each difference."""
    return {" ".join(text.split()[:2]) for text in found}


def _differs(messages: list[felix.Payload], sent: Sent | None, make: Make, scratch: Make, play: Play) -> list[str]:
    """Feed messages one by one; return what differs in the end, or the exception that ended it."""
    product, world = make(), World()
    try:
        for message in messages:
            world.apply(message)
            product.flush([message])
        if sent is not None:
            return judged(product, world, sent, play)
        product.flush((), rest=True)
        return dump_differences(dump_of(product), dump_of(from_scratch(world, scratch)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the trial found
        return [f"{type(error).__name__}: {error}"]
    finally:
        product.close()
