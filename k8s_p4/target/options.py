"""How an embedded target is set up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of one target; the defaults are those of a real switch, but for `poison`.

    Attributes:
        device_id: the one P4Runtime device this server has.
        poison: metadata and headers start each packet filled with a pattern, so that a program which reads what it did not write shows
            it. False keeps the last packet's metadata, as DPDK does.
        learner_bucket: keys a bucket of a learner table holds; DPDK: 4.
        shuffle_seed: the updates of one Write are done in an order drawn from this seed, as P4Runtime allows; None: in the order given.
        real_time: the clock runs by itself, for ports bound to Linux interfaces; otherwise time stands still but for `at` and SetTime.
        engine: what executes the program: "embedded" (Python) or "dpdk".
    """

    device_id: int = 1
    poison: bool = True
    learner_bucket: int = 4
    shuffle_seed: int | None = None
    real_time: bool = False
    engine: str = "embedded"
