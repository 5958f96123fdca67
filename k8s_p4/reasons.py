"""Why a packet was dropped or let pass: the numbers of `p4/core/reasons.p4`, with the names of the replay contract.

A packet's number is in the metadata field `reason`; drops are counted by it in `drops`. A packet that the switch answered itself
leaves with NEIGHBOUR.
"""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """Drops up to 31, packets let pass from 32 on."""

    NONE = 0
    PARSE = 1
    UNKNOWN_PORT = 2
    SPOOFED = 3
    ENDPOINT_DOWN = 4
    DEGRADED = 5
    NO_ROUTE = 6
    BLACKHOLE = 7
    TTL = 8
    POLICY = 9
    ENCAPSULATED = 10
    ENDPOINT_ACTION = 11
    NEIGHBOUR = 12
    FRAGMENT = 13
    RATE = 14
    CONNECTION_LIMIT = 15
    SERVICE_LOOP = 16
    NO_BACKEND = 17
    SOURCE_RANGE = 18
    FLOW_CLASH = 19
    NO_PORT = 20
    TABLE_FULL = 21
    NEIGHBOUR_UNKNOWN = 22
    UNBOUND = 23
    POLICY_ALLOW = 32
    NO_POLICY = 33
    HOST_TO_WORKLOAD = 34
    ENDPOINT_ACTION_ALLOW = 35
    ESTABLISHED = 36
    RELATED = 37
    UNTRACKED = 38
    FAILSAFE = 39

    @property
    def allows(self) -> bool:
        """Whether the packet was let pass."""
        return self >= Reason.POLICY_ALLOW

    @property
    def contract_name(self) -> str:
        """The word of the replay contract's field `reason`: one word for both verdicts of policy and endpoint action.

        An endpoint without binding is one whose rows are not there yet: `degraded`.
        """
        return _CONTRACT_NAMES.get(self, self.name.lower())


_CONTRACT_NAMES = {
    Reason.POLICY_ALLOW: "policy",
    Reason.ENDPOINT_ACTION_ALLOW: "endpoint_action",
    Reason.UNBOUND: "degraded",
}
