"""What of this node services depend on: its name and zone, its addresses, and those of them that node ports are open on.

NodePortAddresses chooses these as kube-proxy's --nodeport-addresses does: CIDRs separated by commas, or "primary" for the addresses of
the Node object (of each family the first one, HostMetadata's where there is none); not set, every address of the node. Felix passes it on unread: from its environment
(FELIX_NODEPORTADDRESSES) it comes in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .addresses import is_v6, length_of, parse_address, parse_cidr, value_of
from .config import own_node
from .degraded import Degraded
from .errors import Untranslatable
from .inventory import Ports, PortsWatch
from .node import own_addresses
from .service_choice import Here

PARAMETER = "NodePortAddresses"
PRIMARY = "primary"


class Context(NamedTuple):
    """This node. The addresses are places, sorted."""

    here: Here
    addresses: tuple[int, ...] = ()
    node_ports: tuple[int, ...] = ()


class ContextWatch:
    """Keeps the context, and works it out again only when something of it may have changed."""

    def __init__(self) -> None:
        self.context = Context(Here(""))
        self.problem: Degraded | None = None
        self._watch = PortsWatch()

    def update(self, store: Any, dirty: Any, ports: Ports) -> bool:
        """Bring it in line; tells whether it differs now."""
        moved = self._watch.changed(ports)
        if not (moved or dirty.config or dirty.hosts or dirty.vteps or dirty.kubernetes.nodes or dirty.kubernetes.source):
            return False
        before, self.context = self.context, self._work_out(store, ports)
        return before != self.context

    def _work_out(self, store: Any, ports: Ports) -> Context:
        name = own_node(store.config)
        node = store.kubernetes.nodes.get(name)
        addresses = tuple(sorted(set(own_addresses(store, ports))))
        chosen = _parameter(store.config)
        self.problem = None
        if chosen.lower() == PRIMARY:
            open_on = _primary(node.addresses if node is not None else (), store.host_metadata.get(name), addresses)
        else:
            open_on = self._within(chosen, addresses)
        return Context(Here(name, node.zone if node is not None else ""), addresses, open_on)

    def _within(self, chosen: str, addresses: tuple[int, ...]) -> tuple[int, ...]:
        """What can't be read opens no node port at all: it was meant to open few."""
        try:
            prefixes = [parse_cidr(text.strip()) for text in chosen.split(",") if text.strip()]
        except Untranslatable as error:
            self.problem = Degraded(f"Config {PARAMETER}={chosen}", f"{error}: no node port is open", "partial")
            return ()
        return tuple(address for address in addresses if not prefixes or any(holds(prefix, address) for prefix in prefixes))


def holds(prefix: int, address: int) -> bool:
    """Whether the address of one place is inside the prefix of another."""
    shift = (128 if is_v6(prefix) else 32) - length_of(prefix)
    return is_v6(prefix) == is_v6(address) and value_of(address) >> shift == value_of(prefix) >> shift


def _parameter(config: Mapping[str, str]) -> str:
    value = config.get(PARAMETER, config.get(PARAMETER.lower(), ""))
    return "" if value == "none" else value


def _primary(of_node: Iterable[str], metadata: Any, addresses: tuple[int, ...]) -> tuple[int, ...]:
    """Of each family the first address of the Node object, else that of HostMetadata."""
    known = [*of_node, *((metadata.ipv4_addr.partition("/")[0], metadata.ipv6_addr.partition("/")[0]) if metadata is not None else ())]
    first: dict[bool, int] = {}
    for text in filter(None, known):
        address = parse_address(text)
        if address in addresses:
            first.setdefault(is_v6(address), address)
    return tuple(sorted(first.values()))
