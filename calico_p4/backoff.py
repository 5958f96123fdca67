"""When to try again what failed: soon, then ever more rarely, and never in step with others."""

from random import Random

FIRST_S, LAST_S = 0.5, 30.0
JITTER = 0.25
"""A wait is drawn from this much below its nominal length to this much above: drivers that lost a target together do not come back together."""


class Backoff:
    """Times of the next try: about half a second after the first failure, then twice as long, up to half a minute."""

    def __init__(self, rng: Random | None = None) -> None:
        """``rng`` draws the jitter; None: from the system's randomness."""
        self._rng = rng or Random()
        self._wait_s = FIRST_S

    def next(self, now_s: float) -> float:
        """Return when to try again."""
        due_s = now_s + self._wait_s * self._rng.uniform(1 - JITTER, 1 + JITTER)
        self._wait_s = min(self._wait_s * 2, LAST_S)
        return due_s

    def reset(self) -> None:
        """Start over: it worked."""
        self._wait_s = FIRST_S
