"""The Kubernetes source against a server that does what API servers do, and what befalls them."""

import asyncio
import os
import random
import time
from typing import Any, Self

import pytest

pytest.importorskip("kubernetes_asyncio", reason="the extra kubernetes is not installed")

from calico_p4.kubernetes import reflector
from calico_p4.kubernetes.client import HttpApi, configuration
from calico_p4.kubernetes.source import follow
from datastore.kubernetes import KubernetesStore
from datastore.kubernetes_objects import ObjectError, read_key, read_object
from test.support.fake_api import FakeApi
from test.support.service_scenarios import NODE

SEQUENCES = int(os.environ.get("CALICO_P4_API_SEQUENCES", "40"))
"""How many random sequences of events and faults."""
LABELS: list[dict[str, str]] = [{}, {}, {"service.kubernetes.io/service-proxy-name": "another"}]


class Run:
    """A server, and a store that follows it."""

    def __init__(self) -> None:
        self.server, self.store = FakeApi(), KubernetesStore()
        self.changes = 0

    async def __aenter__(self) -> Self:
        self.address = await self.server.start()
        self.api = HttpApi(await configuration(self.address))
        self._task = asyncio.create_task(follow(self.api, NODE, self._tell, retry_s=0.005))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.api.close()
        await self.server.stop()

    def _tell(self, change: Any) -> None:
        self.changes += 1
        change(self.store)

    def wanted(self) -> tuple[dict[Any, Any], ...]:
        """What the store has to hold, read straight from the server's objects."""
        found: dict[str, dict[Any, Any]] = {"Service": {}, "EndpointSlice": {}, "Node": {}, "problems": {}}
        for item in self.server.objects.values():
            kind, namespace, name = read_key(item)
            labels = item["metadata"].get("labels", {})
            if kind == "Node" and name != NODE or "service.kubernetes.io/service-proxy-name" in labels:
                continue
            try:
                value = read_object(item)
            except ObjectError:
                found["problems"][kind, namespace, name] = True
                continue
            if value is not None:
                found[kind][name if kind == "Node" else (namespace, name)] = value
        return tuple(found.values())

    def held(self) -> tuple[dict[Any, Any], ...]:
        """What it holds."""
        problems = dict.fromkeys(self.store.problems, True)
        return dict(self.store.services), dict(self.store.slices), dict(self.store.nodes), problems

    async def converged(self) -> None:
        """Wait until the store holds what it should."""
        end = time.monotonic() + 60.0
        while not (self.store.in_sync and self.held() == self.wanted()):
            if time.monotonic() > end:
                assert self.held() == self.wanted()
                raise AssertionError("never in sync")
            await asyncio.sleep(0.005)


def service(name: str, port: int, labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "labels": labels or {}}
    return {"kind": "Service", "metadata": metadata, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": port}]}}


def endpoints(name: str, address: str, of: str = "web") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": of}}
    return {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": [address]}]}


def node(name: str, zone: str) -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}}


def test_list_watch_and_what_is_selected():
    async def scenario() -> None:
        async with Run() as run:
            await run.converged()
            for item in (service("web", 80), service("other", 80, LABELS[2]), endpoints("web-1", "10.0.0.1"), node(NODE, "z"), node("else", "z")):
                run.server.change(item)
            await run.converged()
            assert set(run.store.services) == {("shop", "web")} and set(run.store.nodes) == {NODE}
            run.server.change(service("web", 80, LABELS[2]))
            await run.converged()
            assert not run.store.services
            run.server.delete(("EndpointSlice", "shop", "web-1"))
            await run.converged()
            assert (run.server.lists, run.server.watches) == (3, 3)

    asyncio.run(scenario())


def test_an_outage_empties_nothing_and_costs_no_new_list():
    async def scenario() -> None:
        async with Run() as run:
            run.server.change(service("web", 80))
            run.server.change(endpoints("web-1", "10.0.0.1"))
            await run.converged()
            before, lists = run.held(), run.server.lists
            await run.server.stop()
            run.server.change(service("web", 81))
            for _ in range(20):
                await asyncio.sleep(0.005)
                assert run.held() == before
            assert await run.server.start() == run.address
            await run.converged()
            assert run.server.lists == lists

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["status", "event"])
def test_410_means_a_new_list_that_is_compared_with_what_is_known(how: str):
    async def scenario() -> None:
        async with Run() as run:
            for port in (80, 81, 82):
                run.server.change(service(f"web-{port}", port))
            await run.converged()
            run.store.take_dirty()
            await run.server.stop()
            run.server.change(service("web-80", 90))
            run.server.delete(("Service", "shop", "web-81"))
            run.server.compact()
            lists = run.server.lists
            if how == "status":
                run.server.fail_next(410, 410, 410)
            await run.server.start()
            await run.converged()
            assert run.server.lists > lists
            assert run.store.take_dirty().services == {("shop", "web-80"), ("shop", "web-81")}

    asyncio.run(scenario())


def test_bookmarks_spare_a_list():
    async def scenario() -> None:
        async with Run() as run:
            run.server.change(service("web", 80))
            await run.converged()
            while run.server.watching < 3:
                await asyncio.sleep(0.005)
            run.server.bookmark()  # is told before the end that follows
            run.server.compact()
            run.server.disconnect()
            run.server.change(service("web", 81))
            await run.converged()
            assert run.server.lists == 3

    asyncio.run(scenario())


def test_lists_in_pages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reflector, "PAGE", 3)

    async def scenario() -> None:
        run = Run()
        for number in range(10):
            run.server.change(service(f"web-{number}", 80))
        async with run:
            await run.converged()
            assert run.server.lists == 4 + 1 + 1 and len(run.store.services) == 10

    asyncio.run(scenario())


def test_an_object_that_can_not_be_read_is_named_and_nothing_else_suffers():
    async def scenario() -> None:
        async with Run() as run:
            run.server.change(service("bad", 0))
            run.server.change(service("web", 80))
            await run.converged()
            assert run.store.problems == {("Service", "shop", "bad"): "spec.ports[0].port: 0 is not within 1 to 65535"}
            run.server.change(service("web", 0))
            await run.converged()
            assert not run.store.services and len(run.store.problems) == 2
            run.server.change(service("bad", 1))
            await run.converged()
            assert set(run.store.services) == {("shop", "bad")}

    asyncio.run(scenario())


def test_no_server_no_services_but_no_end_either():
    async def scenario() -> None:
        run = Run()
        async with run:
            await run.server.stop()
            await asyncio.sleep(0.1)
            assert not run._task.done()
            run.server.change(service("web", 80))
            await run.server.start()
            await run.converged()

    asyncio.run(scenario())


async def step(run: Run, draw: random.Random) -> None:
    """One thing that happens: usually a change, sometimes a fault."""
    server = run.server
    name = draw.choice("abcd")
    match draw.randrange(22):
        case 0 | 1 | 2 | 3 | 4:
            server.change(service(name, draw.randrange(0, 4), draw.choice(LABELS)))
        case 5 | 6 | 7 | 8 | 9:
            server.change(endpoints(f"{name}-{draw.randrange(2)}", f"10.0.0.{draw.randrange(4)}", draw.choice("abcd")))
        case 10:
            server.change(node(draw.choice([NODE, "else"]), draw.choice("xyz")))
        case 11 | 12 | 13 if server.objects:
            server.delete(draw.choice(sorted(server.objects)))
        case 14:
            server.disconnect(draw.choice([b"", b'{"type": "MODIFIED", "object": {"meta']))
        case 15:
            server.compact()
            server.disconnect()
        case 16:
            server.fail_next(*draw.choices([410, 500, 503, 429, 403], k=draw.randrange(1, 4)))
            server.disconnect()
        case 17:
            await server.stop()
            held = run.held()
            await asyncio.sleep(draw.choice([0, 0.01]))
            assert run.held() == held or not run.store.in_sync
            await server.start()
        case 18:
            server.say(draw.choice([b"no json\n", b"{}\n", b'{"type": "ADDED"}\n', b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "1"}}}\n', b"\n"]))
        case 19:
            server.say(b'{"type": "ERROR", "object": {"kind": "Status", "code": ' + draw.choice([b"410", b"500", b"null"]) + b', "message": "x"}}\n')
        case 20:
            server.bookmark()
        case _:
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("seed", range(8))
def test_random_events_and_faults_converge(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Runs SEQUENCES in all; each starts from what the one before left."""
    monkeypatch.setattr(reflector, "PAGE", 3)
    monkeypatch.setattr(reflector, "RETRY_LAST_S", 0.02)

    async def scenario() -> None:
        draw = random.Random(seed)
        async with Run() as run:
            for _ in range(SEQUENCES // 8):
                for _ in range(draw.randrange(1, 25)):
                    await step(run, draw)
                await run.converged()

    asyncio.run(scenario())
