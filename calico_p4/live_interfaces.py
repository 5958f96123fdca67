"""The kernel's interfaces of a running driver: followed over netlink, into its port inventory."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from calico_p4 import netlink
from calico_p4.driver import Driver
from calico_p4.interfaces import Interfaces
from calico_p4.port_rules import rules_of

_GROUPS = netlink.LINK_GROUP | netlink.ADDRESS_GROUPS | netlink.NEIGHBOUR_GROUP | netlink.ROUTE_GROUPS
_LISTS = [(netlink.LINKS, netlink.ANY), (netlink.ADDRESSES, netlink.ANY), (netlink.NEIGHBOURS, netlink.ANY), (netlink.ROUTES, netlink.V4),
          (netlink.ROUTES, netlink.V6)]  # fmt: skip


class LiveInterfaces(netlink.Follower):
    """Feeds a driver's port inventory; until the first list is there the driver writes nothing."""

    def __init__(self, rules: str, driver: Driver, put: Callable[[Callable[[], None]], None], netns: str | None = None) -> None:
        """``put`` and ``netns``: see `netlink.Follower`. Raises ValueError: rules that can't be read, or the extra is not installed."""
        if find_spec("pyroute2") is None:
            raise ValueError("CALICO_P4_INTERFACES needs the extra: pip install 'calico-p4[netlink]'")
        driver.ports.watch(rules_of(rules))
        super().__init__("Interfaces", _GROUPS, _LISTS, Interfaces(), driver.ports.follow, driver, put, netns)
