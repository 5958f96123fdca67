"""One generated cluster with translations against a product: flushes of changes, and packets that belong to one another after each.

Everything follows from a seed. What a packet may be changed into is compared to the byte, but for the Ethernet addresses.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random

from datastore.kubernetes_objects import read_object
from test.support import gen_cluster, gen_stream, gen_translated
from test.support.compare import differences
from test.support.frames import frame, parse
from test.support.gen_translated import Drawn, Json
from test.support.product import Answered, Product, on_embedded
from test.support.translated_model import Flow, Option, TranslatedModel
from test.support.world import World

FLUSHES, PACKETS = 4, int(os.environ.get("CALICO_P4_PACKETS") or 50)
"""Packets after each flush: with more of them a table of flows is fuller."""


class Difference(AssertionError):
    """What became of a packet is nothing that may."""


class Trial:
    """One cluster: its product, and who says what must become of packets."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, Random(seed)
        self.drawn: Drawn = gen_translated.drawn(self.rng)
        self.world = World()
        self.product: Product = on_embedded()
        self.model: TranslatedModel = self.drawn.model(self.world)
        self.flows: list[Flow] = []
        self.sent: list[str] = []

    def run(self) -> Counter[str]:
        """Flushes of changes, packets after each."""
        outcomes: Counter[str] = Counter()
        kubernetes = self.product.driver.store.kubernetes
        kubernetes.configured = kubernetes.in_sync = True
        self.tell(self.drawn.objects)
        try:
            for flush in range(FLUSHES):
                self.change(flush)
                for _ in range(PACKETS):
                    outcomes[self.packet()] += 1
        finally:
            self.product.close()
        return outcomes

    def tell(self, objects: Iterable[Json]) -> None:
        """Kubernetes' objects, new or changed."""
        for item in objects:
            value = read_object(item)
            assert value is not None
            self.product.driver.store.kubernetes.put(value)

    def change(self, flush: int) -> None:
        """The first messages, or some changes."""
        if flush == 0:
            messages, _ = gen_stream.first_flush(self.rng, self.drawn.cluster)
        else:
            for _ in range(self.rng.randint(1, 2)):
                gen_cluster.change(self.rng, self.drawn.cluster)
            messages = gen_stream.flush(self.rng, self.world, self.drawn.cluster)
            if self.rng.random() < 0.6:
                self.tell([gen_translated.change_slice(self.rng, self.drawn.objects)])
        self.world.apply_all(messages)
        self.model.follow()
        self.model.services_changed()
        self.product.flush(messages)

    def packet(self) -> str:
        """Send one, and judge what became of it."""
        sent = gen_translated.packet(self.rng, self.drawn, self.world, self.flows)
        while self.model.doubtful(sent.packet, sent.ingress):
            sent = gen_translated.packet(self.rng, self.drawn, self.world, self.flows)
        self.sent.append(str(sent))
        answered = self.product.send(sent, keep=True)
        left = parse(bytes.fromhex(answered["raw"])) if answered["raw"] else None
        options = self.model.options(sent.packet, sent.ingress, left)
        found = [list(self.wrong(option, answered)) for option in options]
        if all(found):
            raise Difference("\n".join([self.told(), f"-> {answered}", *map(str, options), *map(str, found)]))
        option = options[found.index([])]
        self.model.settle(sent.packet, sent.ingress, option)
        if option.flow is not None:
            self.flows.append(option.flow)
        return str(answered["reason"])

    def told(self) -> str:
        """Where it is, and what was sent last."""
        return "\n".join([f"seed {self.seed}, after {len(self.sent)} packets:", *self.sent[-12:]])

    def wrong(self, option: Option, answered: Answered) -> Iterator[str]:
        """How what became of a packet differs from one of the things that may."""
        yield from differences(option.answer, answered, self.world)
        if (
            answered["verdict"] == "allow"
            and option.leaves is not None
            and bytes.fromhex(answered["raw"])[14:] != frame(option.leaves)[14:]
        ):
            yield f"left {parse(bytes.fromhex(answered['raw']))} {answered['raw']}, not {option.leaves} {frame(option.leaves).hex()}"
        if "answer" in answered and not option.rejected and answered["verdict"] == "deny" and answered["reason"] == "no_backend":
            yield "an answer where none is due"
