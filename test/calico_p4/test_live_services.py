"""A running driver with the Kubernetes API as the source of its services."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes_asyncio", reason="the extra kubernetes is not installed")

from calico_p4.kubernetes.health import HealthServers
from test.support.driven import WAIT_S, driver, entries, frames
from test.support.fake_api import FakeApi
from test.support.target import running_target, unused_port

NODE = "node-a"


class Server:
    """A FakeApi in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.api = FakeApi()
        self.address = self.run(self.api.start())

    def run(self, work: Any) -> Any:
        """Do something in its thread: a coroutine."""
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(WAIT_S)

    def change(self, *items: dict[str, Any]) -> None:
        async def changes() -> None:
            for item in items:
                self.api.change(item)

        self.run(changes())


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.run(server.api.stop())


def balanced(health_port: int) -> dict[str, Any]:
    spec = {"type": "LoadBalancer", "clusterIP": "10.96.7.7", "externalTrafficPolicy": "Local", "healthCheckNodePort": health_port, "ports": [{"port": 80}]}
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    return {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec, "status": status}


def endpoints(*addresses: str, node: str = NODE) -> dict[str, Any]:
    metadata = {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}}
    items = [{"addresses": [address], "nodeName": node} for address in addresses]
    return {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": items}


def asked(port: int) -> tuple[int, dict[str, Any]]:
    """Return the answer of a health port: status and content, (0, {}) if nobody listens there yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=WAIT_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except urllib.error.URLError:
        return 0, {}


def until(holds: Callable[[], bool], seconds: float = WAIT_S) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def of_services(address: str) -> dict[str, int]:
    return {table: number for table, number in entries(address).items() if table.startswith(("service", "backend"))}


def test_services_of_a_running_driver(tmp_path: Path, server: Server):
    port = unused_port()
    server.change(balanced(port), endpoints("10.244.10.11", "10.244.10.13"))
    with running_target(tmp_path) as address:
        with driver(tmp_path, address, CALICO_P4_KUBERNETES=server.address) as felix:
            felix.send(b"".join(frames("quickstart")))
            felix.until(lambda: of_services(address).get("service_v4") == 2)
            until(lambda: asked(port)[0] == 200)
            assert asked(port)[1] == {"service": {"namespace": "shop", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": True}
            server.change(endpoints("10.244.10.11", "10.244.10.13", node="elsewhere"))
            until(lambda: asked(port)[0] == 503)
            assert asked(port)[1]["localEndpoints"] == 0
            before = of_services(address)
            server.run(server.api.stop())
            time.sleep(1.5)
            assert of_services(address) == before, "an outage takes nothing away"
        with driver(tmp_path, address, CALICO_P4_KUBERNETES=server.address) as felix:
            felix.send(b"".join(frames("quickstart")))
            felix.until(lambda: "read back" in felix.log())
            time.sleep(2.5)
            assert of_services(address) == before, "what was there stays until the source has told everything"
            server.change(balanced(port), endpoints("10.244.10.11"))
            server.run(server.api.start())
            felix.until(lambda: of_services(address) == {"service_v4": 2, "backend_v4": 2})


def test_a_health_port_that_is_taken_is_named_and_tried_again():
    servers = HealthServers(lambda: True)
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        taken.listen()
        port = taken.getsockname()[1]
        servers.update({port: (("shop", "web"), 1)})
        assert "in use" in servers.problems[port]
    servers.update({port: (("shop", "web"), 1)})
    assert not servers.problems and asked(port)[0] == 200
    servers.update({port: (("shop", "web"), 0)})
    assert asked(port) == (503, {"service": {"namespace": "shop", "name": "web"}, "localEndpoints": 0, "serviceProxyHealthy": True})
    servers.close()
    until(lambda: _refuses(port))


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
