"""What became of the answer to a denied packet: the numbers of `p4/core/rejects.p4`.

A packet's number is in the metadata field `reject`; the counter `rejects` counts by it. Where it is SENT, the frame that left is the answer.
"""

from __future__ import annotations

from enum import IntEnum


class Rejected(IntEnum):
    """NONE: nothing asked for an answer; from FRAGMENT on, why there was none although it was asked for."""

    NONE = 0
    SENT = 1
    FRAGMENT = 2
    PROTOCOL = 3
    CHECKSUM = 4
    LENGTH = 5
    ERROR = 6
    ADDRESS = 7
    RATE = 8
    NO_WAY = 9

    @property
    def text(self) -> str:
        """What it means, as the rest of a sentence that begins with "rejected: "."""
        return _TEXTS[self]


_TEXTS = {
    Rejected.NONE: "nobody asked for that",
    Rejected.SENT: "the sender was told",
    Rejected.FRAGMENT: "no answer, it is a fragment",
    Rejected.PROTOCOL: "no answer, the switch can make none for this protocol",
    Rejected.CHECKSUM: "no answer, its UDP checksum does not cover it",
    Rejected.LENGTH: "no answer, that would be longer than 1280 bytes",
    Rejected.ERROR: "no answer, nobody answers errors",
    Rejected.ADDRESS: "no answer, an address is not one host's",
    Rejected.RATE: "no answer, there were too many of late",
    Rejected.NO_WAY: "no answer, there is no way back to the sender",
}
