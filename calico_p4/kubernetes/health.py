"""healthCheckNodePort: how many ready endpoints of a service this node has, told over HTTP to load balancers.

200 where there are some, 503 where not or where the driver does not work; the body as kube-proxy writes it. (kubernetes.io, "Create an External Load Balancer":
preserving the client source IP.)
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from typing import Any

from calico_p4.http import Answer, handler
from calico_p4.log import get_logger
from datastore.kubernetes import ServiceKey

Health = Mapping[int, tuple[ServiceKey, int]]
"""By port: the service, and the number of its ready endpoints on this node."""


class _Server(ThreadingHTTPServer):
    """On all addresses of both families."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class HealthServers:
    """One server for each port, made and ended as services come and go."""

    def __init__(self, healthy: Callable[[], bool]) -> None:
        """``healthy``: whether the driver works; asked from other threads."""
        self._healthy = healthy
        self._health: Health = {}
        self._servers: dict[int, ThreadingHTTPServer] = {}
        self.problems: dict[int, str] = {}
        """Ports that can't be served, and why."""

    def update(self, health: Health) -> None:
        """Serve exactly these."""
        self._health = dict(health)
        for port in self._servers.keys() - health.keys():
            self._servers.pop(port).shutdown()
        for port in self.problems.keys() - health.keys():
            del self.problems[port]
        for port in health.keys() - self._servers.keys():
            self._open(port)

    def close(self) -> None:
        """End all."""
        self.update({})

    def _open(self, port: int) -> None:
        try:
            server = _Server(("", port), handler(lambda _: lambda: self._page(port)))
        except OSError as error:
            if port not in self.problems:
                get_logger().error("health check not served", port=port, error=str(error))
            self.problems[port] = str(error)
            return
        self.problems.pop(port, None)
        self._servers[port] = server
        threading.Thread(target=_serve, args=(server,), name=f"health-{port}", daemon=True).start()

    def answer(self, port: int) -> tuple[int, Mapping[str, Any]]:
        """Return status and body for a port."""
        (namespace, name), number = self._health.get(port, (("", ""), 0))
        healthy = self._healthy()
        body = {"service": {"namespace": namespace, "name": name}, "localEndpoints": number, "serviceProxyHealthy": healthy}
        return (200 if number and healthy else 503), body

    def _page(self, port: int) -> Answer:
        status, body = self.answer(port)
        headers = {"X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": str(body["localEndpoints"])}
        return Answer(status, "application/json", json.dumps(body).encode(), headers)


def _serve(server: ThreadingHTTPServer) -> None:
    with server:
        server.serve_forever(poll_interval=0.1)
