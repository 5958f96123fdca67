"""WireGuard: packets that it should encrypt. A P4 pipeline can't, so they are dropped, never sent in the clear.

It encrypts what goes to the pods of a node that has a public key of that family, and, with WireguardHostEncryptionEnabled, to the
node's own address as well. Nodes without a key are talked to in the clear, as by Calico on Linux.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .config import flag, own_node
from .degraded import Degraded
from .endpoint_state import EndpointView
from .names import endpoint_name

_ENABLED = {False: "WireguardEnabled", True: "WireguardEnabledV6"}


class Wireguard:
    """Which nodes' pods must be talked to in secret; `changed` holds the nodes of which that changed in the last update."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.hosts = False
        self._secret: dict[bool, set[str]] = {False: set(), True: set()}

    def update(self, store: Any, dirty: Any) -> None:
        """Follow the configuration and the keys."""
        self.changed = set()
        due = set(dirty.wireguard)
        if dirty.config:
            due |= store.wireguard.keys() | self._secret[False] | self._secret[True]
            hosts = flag(store.config, "WireguardHostEncryptionEnabled")
            if hosts != self.hosts:
                self.hosts = hosts
                self.changed |= due
        for node in due:
            self._judge(node, store)

    def _judge(self, node: str, store: Any) -> None:
        known = store.wireguard.get(node) if node != own_node(store.config) else None
        keys = ("", "") if known is None else (known.public_key, known.public_key_v6)
        for v6, secret in self._secret.items():
            needed = bool(keys[v6]) and flag(store.config, _ENABLED[v6])
            if needed != (node in secret):
                (secret.add if needed else secret.discard)(node)
                self.changed.add(node)

    def needed(self, node: str, v6: bool) -> bool:
        """Whether what goes to the pods of a node must be encrypted."""
        return node in self._secret[v6]

    def degraded(self, views: dict[Any, EndpointView]) -> Iterator[Degraded]:
        """Every endpoint that has an address of a family in which packets would have to be encrypted, and every node concerned."""
        nodes = sorted(self._secret[False] | self._secret[True])
        for node in nodes:
            families = " and ".join(name for name, v6 in (("IPv4", False), ("IPv6", True)) if node in self._secret[v6])
            yield Degraded(f"Wireguard {node}", f"packets are not encrypted: {families} to its pods is dropped", "partial")
        for view in views.values():
            if any(self._secret[bool(own >> 128 & 1)] for own in view.addresses.own):
                text = "packets to pods of nodes with WireGuard are dropped, since they can't be encrypted"
                yield Degraded(endpoint_name(view.id), text, "partial")
