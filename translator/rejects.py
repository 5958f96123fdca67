"""Rows of `reject`: which denials are told to the sender, and how (k8s_p4/p4/core/reject.p4); and the rates of such answers.

Always: a connection over its limit gets a TCP RST (contract 3.7), a packet to a service without endpoints ICMP port unreachable, as from
kube-proxy. What policy denies, only if Felix's filter is to reject (felix/config: IptablesFilterDenyAction, NftablesFilterDenyAction),
and then what Felix's filter table denies by other rules as well: an endpoint that is down, a workload's own tunnels. Service loops, with
ServiceLoopPrevention=Reject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from k8s_p4.reasons import Reason

from .claims import Change, Claims
from .qos import Config, MeterKey

PORT_UNREACHABLE, TCP_RESET = ("port_unreachable",), ("tcp_reset",)
_FILTER: Final = (Reason.POLICY, Reason.ENCAPSULATED, Reason.ENDPOINT_DOWN)
_DENY_ACTIONS: Final = {"enabled": ("NftablesFilterDenyAction",), "disabled": ("IptablesFilterDenyAction",)}

REJECT_RATE: Final = "reject_rate"
GROUPS: Final = 64
RATE: Final[Config] = (100, 1000, 100, 1000)
"""Answers a second, and in a burst, to each of GROUPS groups of senders. Linux allows a thousand a second to all (icmp_msgs_per_sec)."""
METERS: Final[Mapping[MeterKey, Config]] = {(REJECT_RATE, group): RATE for group in range(GROUPS)}


class RejectPart:
    """Owner of the table `reject`."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._claims.set((), _rows({}))

    def update(self, store: Any, dirty: Any, _ports: Any = None) -> Iterable[Change]:
        """The rows that differ since the last update."""
        if dirty.config:
            self._claims.set((), _rows(store.config))
        return self._claims.changes()


def _rows(config: Mapping[str, str]) -> dict[tuple[str, tuple[int]], tuple[str]]:
    return {("reject", (int(reason),)): value for reason, value in _wanted(config)}


def _wanted(config: Mapping[str, str]) -> Iterator[tuple[Reason, tuple[str]]]:
    yield Reason.CONNECTION_LIMIT, TCP_RESET
    yield Reason.NO_BACKEND, PORT_UNREACHABLE
    if filter_rejects(config):
        yield from ((reason, PORT_UNREACHABLE) for reason in _FILTER)
    if _says_reject(config, "ServiceLoopPrevention"):
        yield Reason.SERVICE_LOOP, PORT_UNREACHABLE


def filter_rejects(config: Mapping[str, str]) -> bool:
    """Whether policy's denials are rejects. Which of the two settings counts is what NFTablesMode says; with Auto, either."""
    return bool(_filter_settings(config))


def settings(config: Mapping[str, str], reason: int) -> list[str]:
    """The settings that make denials for a reason rejects; none where they always are."""
    if reason == Reason.SERVICE_LOOP:
        return ["ServiceLoopPrevention"]
    return _filter_settings(config) if reason in _FILTER else []


def _filter_settings(config: Mapping[str, str]) -> list[str]:
    mode = config.get("NFTablesMode", "Auto").strip().lower()
    names = _DENY_ACTIONS.get(mode, tuple(name for each in _DENY_ACTIONS.values() for name in each))
    return [name for name in ("FilterDenyAction", *names) if _says_reject(config, name)]


def _says_reject(config: Mapping[str, str], name: str) -> bool:
    return config.get(name, "").strip().lower() == "reject"
