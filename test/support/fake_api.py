"""A Kubernetes API server to test against: list in pages, watch, bookmarks, 410, and every way to go wrong, over HTTP.

It keeps objects of the three kinds a proxy follows, gives every change a resource version, and remembers changes until `compact`.
Written from kubernetes.io, "Kubernetes API Concepts".
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from test.support.target import unused_port

Json = dict[str, Any]
PATHS = {"/api/v1/services": "Service", "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice", "/api/v1/nodes": "Node"}
Key = tuple[str, str, str]


def selects(query: dict[str, str]) -> Callable[[Json], bool]:
    """Return what the selectors of a request select: labels that must be absent, and a name."""
    absent = [term.removeprefix("!") for term in query.get("labelSelector", "").split(",") if term]
    name = query.get("fieldSelector", "").removeprefix("metadata.name=")

    def selected(item: Json) -> bool:
        labels = item["metadata"].get("labels", {})
        return all(label not in labels for label in absent) and name in ("", item["metadata"]["name"])

    return selected


class FakeApi:
    """The server; `change` and `delete` are what users of the cluster do, the rest is what befalls its clients."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[Key, Json] = {}
        self.lists = self.watches = 0
        self._log: list[tuple[int, str, Json | None, Json | None]] = []
        self._floor = 100
        self._pages: dict[str, tuple[list[Json], int]] = {}
        self._failures: list[int] = []
        self._runner: web.AppRunner | None = None
        self._port = unused_port()  # of connections none, so that it is still free after an outage
        self._streams: set[asyncio.Queue[bytes | None]] = set()
        self._changed = asyncio.Condition()

    async def start(self) -> str:
        """Serve; returns the address, always the same one."""
        app = web.Application()
        for path in PATHS:
            app.router.add_get(path, self._get)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """An outage: connections end, new ones are refused. `start` ends it."""
        self.disconnect()
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._streams)

    # what users do

    def change(self, item: Json) -> None:
        """Add or replace an object."""
        self.version += 1
        key = _key(item)
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        self._note(item["kind"], self.objects.get(key), item)
        self.objects[key] = item

    def delete(self, key: Key) -> None:
        """Delete an object."""
        self.version += 1
        old = self.objects.pop(key)
        self._note(old["kind"], {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}, None)

    def _note(self, kind: str, before: Json | None, after: Json | None) -> None:
        self._log.append((self.version, kind, before, after))
        self._tell(None)

    # what befalls clients

    def compact(self) -> None:
        """Forget all changes so far, and the pages of lists that are under way."""
        self._floor, self._log = self.version, []
        self._pages.clear()

    def disconnect(self, rest: bytes = b"") -> None:
        """End all watches, after `rest`, which may be part of a line."""
        self._tell(rest, end=True)

    def say(self, text: bytes) -> None:
        """Write to all watches."""
        self._tell(text)

    def bookmark(self) -> None:
        """Tell all watches the version."""
        self._tell(b"BOOKMARK")

    def fail_next(self, *statuses: int) -> None:
        """Answer the next requests with these statuses."""
        self._failures += statuses

    def _tell(self, what: bytes | None, end: bool = False) -> None:
        for stream in self._streams:
            stream.put_nowait(what if what is not None else b"CHANGED")
            if end:
                stream.put_nowait(None)

    # requests

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if self._failures:
            status = self._failures.pop(0)
            return web.json_response({"kind": "Status", "code": status, "message": "as asked for"}, status=status)
        query = dict(request.query)
        return await self._watch(request, query) if query.get("watch") == "true" else self._list(PATHS[request.path], query)

    def _list(self, kind: str, query: dict[str, str]) -> web.Response:
        self.lists += 1
        token, limit = query.get("continue"), int(query.get("limit", 500))
        if token is not None and token not in self._pages:
            return web.json_response({"kind": "Status", "code": 410, "reason": "Expired", "message": "the continue token is too old"}, status=410)
        selected = selects(query)
        here = [item for item in self.objects.values() if item["kind"] == kind and selected(item)]
        items, version = self._pages.pop(token) if token is not None else (here, self.version)
        metadata: Json = {"resourceVersion": str(version)}
        if len(items) > limit:
            metadata["continue"] = f"{kind}-{self.lists}"
            self._pages[metadata["continue"]] = (items[limit:], version)
        return web.json_response({"kind": f"{kind}List", "metadata": metadata, "items": [_bare(item) for item in items[:limit]] or None})

    async def _watch(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        self.watches += 1
        response = web.StreamResponse()
        await response.prepare(request)
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.add(stream)
        try:
            await self._events(PATHS[request.path], query, response, stream)
        finally:
            self._streams.discard(stream)
        return response

    async def _events(self, kind: str, query: dict[str, str], response: web.StreamResponse, stream: asyncio.Queue[bytes | None]) -> None:
        seen, selected = int(query["resourceVersion"]), selects(query)
        while True:
            if seen < self._floor:
                status = {"kind": "Status", "code": 410, "reason": "Expired", "message": f"too old resource version: {seen} ({self._floor})"}
                await response.write(_line("ERROR", status))
                return
            for version, of_kind, before, after in [entry for entry in self._log if entry[0] > seen]:
                seen = version
                line = _event(before, after, selected) if of_kind == kind else None
                if line is not None:
                    await response.write(line)
            what = await stream.get()
            if what is None:
                return
            if what == b"BOOKMARK":
                seen = max(seen, self.version) if not any(entry[0] > seen for entry in self._log) else seen
                await response.write(_line("BOOKMARK", {"kind": kind, "metadata": {"resourceVersion": str(seen)}}))
            elif what != b"CHANGED":
                await response.write(what)


def _event(before: Json | None, after: Json | None, selected: Callable[[Json], bool]) -> bytes | None:
    """A change as a client with selectors sees it: an object that is no longer selected is deleted to it."""
    was, now = before is not None and selected(before), after is not None and selected(after)
    if now:
        return _line("MODIFIED" if was else "ADDED", after)
    if was and before is not None:
        version = after["metadata"]["resourceVersion"] if after is not None else before["metadata"]["resourceVersion"]
        return _line("DELETED", {**before, "metadata": {**before["metadata"], "resourceVersion": version}})
    return None


def _line(what: str, item: Any) -> bytes:
    return json.dumps({"type": what, "object": item}).encode() + b"\n"


def _bare(item: Json) -> Json:
    return {name: value for name, value in item.items() if name != "kind"}


def _key(item: Json) -> Key:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]
