"""Rows of `arp_answer`, `nd_answer` and `answer_port`: the switch answers for the gateway (k8s_p4/p4/core/neighbour.p4).

Calico gives every workload the gateway 169.254.1.1, and for IPv6 the link-local address made of its MAC (EUI-64).
"""

from __future__ import annotations

from collections.abc import Iterable

from .claims import Change, Claims
from .endpoint_state import EndpointStates
from .inventory import CALICO_MAC, EndpointDirty, EndpointStore, Ports

GATEWAY_V4 = 0xA9FE0101
GATEWAY_V6 = 0xFE80 << 112 | 0xECEE_EEFF_FEEE_EEEE


class NeighbourPart:
    """Owner of the tables `arp_answer`, `nd_answer` and `answer_port`."""

    def __init__(self, states: EndpointStates) -> None:
        self._states = states
        self._claims = Claims()
        self._claims.set((), {
            ("arp_answer", (GATEWAY_V4,)): ("arp_reply", CALICO_MAC),
            ("nd_answer", (GATEWAY_V6,)): ("nd_reply", CALICO_MAC),
        })  # fmt: skip

    def update(self, store: EndpointStore, dirty: EndpointDirty, ports: Ports) -> Iterable[Change]:
        """The rows that differ since the last update."""
        for endpoint_id in self._states.changed:
            view = self._states.views.get(endpoint_id)
            number = view.port.number if view is not None and view.port is not None else None
            rows = {} if number is None else {("answer_port", (number,)): ("send_back", number)}
            self._claims.set(endpoint_id, rows)
        return self._claims.changes()
