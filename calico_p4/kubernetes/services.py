"""Services of a running driver: the source's changes into its store, between two frames, and health told of what came of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec

from calico_p4.degraded import Degraded
from calico_p4.driver import Driver
from calico_p4.kubernetes.health import HealthServers
from calico_p4.kubernetes.reflector import Change
from calico_p4.node_ports import own_node

MAX_CHANGES = 1024
"""Changes that wait for the driver; then the source waits, and the API server with it."""


class LiveServices:
    """Feeds a driver's store from the API server at ``where`` (see `client.configuration`)."""

    def __init__(self, where: str, driver: Driver, put: Callable[[Callable[[], None]], None]) -> None:
        """``put`` has something done by the driver's own loop. Raises ValueError if the extra is not installed."""
        if find_spec("kubernetes_asyncio") is None:
            raise ValueError("CALICO_P4_KUBERNETES needs the extra: pip install 'calico-p4[kubernetes]'")
        self._where, self._driver, self._put = where, driver, put
        self._room = threading.Semaphore(MAX_CHANGES)
        self._started = False
        self._health = HealthServers(lambda: driver.trouble is None and driver.store.kubernetes.in_sync)
        driver.store.kubernetes.configured = True

    def start(self) -> None:
        """Begin to follow, once Felix has said which node this is."""
        node = own_node(self._driver.store)
        if node and not self._started:
            from calico_p4.kubernetes.source import start

            self._started = True
            start(self._where, node, self._hear)

    def _hear(self, change: Change) -> None:
        """Runs in the source's thread."""
        self._room.acquire()
        self._put(lambda: self._apply(change))

    def _apply(self, change: Change) -> None:
        self._room.release()
        change(self._driver.store.kubernetes)

    def tell(self) -> None:
        """Serve health as it is now."""
        self._health.update(self._driver.translator.services.health())
        problems = self._health.problems.items()
        self._driver.around = [Degraded(f"HealthCheckNodePort {port}", f"not served: {problem}", "partial") for port, problem in problems]

    def close(self) -> None:
        """End the health servers; the source ends with the program."""
        self._health.close()
