"""Following one kind of objects: list, then watch from there, and list again when the server no longer remembers (410).

What the API promises (kubernetes.io, "Kubernetes API Concepts"): a list has a resource version; a watch from there tells every change
after it; bookmarks move the version on without a change; a version that is too old gives 410, as a status, or as an ERROR event in
a watch that was accepted. Whatever else goes wrong (server gone, connection cut, nonsense) is tried again with back-off from the last version that was seen.
Nothing is forgotten meanwhile: objects go only when a watch or a whole new list says so.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from calico_p4.log import get_logger
from datastore.kubernetes import KubernetesStore, ObjectKey, Value, replace_kind
from datastore.kubernetes_objects import PROXY_NAME, ObjectError, read_key, read_object

PAGE = 500
WATCH_S = 300
"""A watch is asked to end after so long, and up to twice as long: a connection that died unnoticed is found by then."""
RETRY_FIRST_S, RETRY_LAST_S = 0.5, 30.0
GONE = 410
Change = Callable[[KubernetesStore], None]


class Resource(NamedTuple):
    """What is listed and watched: the kind of its objects, the path, and what selects among them."""

    kind: str
    path: str
    selector: Mapping[str, str]


def resources(node: str) -> tuple[Resource, ...]:
    """Return what a proxy on a node looks at: services and slices that are not another proxy's, and the node itself."""
    headless = f"!service.kubernetes.io/headless,!{PROXY_NAME}"
    return (
        Resource("Service", "/api/v1/services", {"labelSelector": f"!{PROXY_NAME}"}),
        Resource("EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices", {"labelSelector": headless}),
        Resource("Node", "/api/v1/nodes", {"fieldSelector": f"metadata.name={node}"}),
    )


class Failed(Exception):
    """A request that failed; ``status`` is that of HTTP, 0 without an answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status = status


class Api(Protocol):
    """GET of the API server. Both raise Failed."""

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the JSON that is answered."""

    def lines(self, path: str, query: Mapping[str, str], seconds: float) -> AsyncIterator[bytes]:
        """Yield the lines that are answered, for at most so many seconds between two of them."""


class Reflector:
    """Follows one resource for ever. ``tell`` gets each change, to be carried out on the store in order; ``listed`` is set after the first list."""

    def __init__(self, api: Api, resource: Resource, tell: Callable[[Change], None], retry_s: float = RETRY_FIRST_S) -> None:
        self._api, self._resource, self._tell = api, resource, tell
        self._first_s = self._wait_s = retry_s
        self._version: str | None = None
        self.listed = asyncio.Event()
        self._log = get_logger()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                if self._version is None:
                    await self._list()
                await self._watch(self._version or "")
            except Failed as error:
                if error.status == GONE:
                    self._version = None
                self._log.warning("Kubernetes API", kind=self._resource.kind, error=str(error), again_in_s=round(self._wait_s, 1))
                await asyncio.sleep(self._wait_s * random.uniform(0.5, 1))  # not all nodes at once
                self._wait_s = min(self._wait_s * 2, RETRY_LAST_S)

    def _alive(self) -> None:
        """The server answers sensibly: the next failure is a first one."""
        self._wait_s = self._first_s

    async def _list(self) -> None:
        values: list[Value] = []
        refused: dict[ObjectKey, str] = {}
        query = {**self._resource.selector, "limit": str(PAGE)}
        while True:
            answer = await self._api.get(self._resource.path, query)
            metadata = _member(answer, "metadata", dict)
            for item in _member(answer, "items", list) if answer.get("items") is not None else ():
                self._sort(item, values, refused)
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._tell(lambda store: replace_kind(store, self._resource.kind, values, refused))
        self._version = str(metadata.get("resourceVersion", ""))
        self.listed.set()
        self._alive()

    def _sort(self, item: Any, values: list[Value], refused: dict[ObjectKey, str]) -> None:
        key = self._key(item)
        try:
            if (value := read_object(self._typed(item))) is not None:
                values.append(value)
        except ObjectError as error:
            refused[key] = str(error)

    def _typed(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The items of a list do not say their kind."""
        return {**item, "kind": self._resource.kind}

    def _key(self, item: Any) -> ObjectKey:
        try:
            return read_key(self._typed(item))
        except (ObjectError, TypeError) as error:
            raise Failed(0, f"an object without a name: {error}") from error

    async def _watch(self, version: str) -> None:
        seconds = random.randint(WATCH_S, 2 * WATCH_S)
        query = {**self._resource.selector, "watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        async for line in self._api.lines(self._resource.path, query, seconds + 30):
            self._event(line)
            self._alive()

    def _event(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError as error:
            raise Failed(0, f"no JSON: {error}") from error
        what, item = _member(event, "type", str), _member(event, "object", dict)
        if what == "ERROR":
            raise Failed(int(item.get("code") or 0), str(item.get("message", "error")))
        version = _member(_member(item, "metadata", dict), "resourceVersion", str)
        if what != "BOOKMARK":
            self._change(what, item)
        self._version = version

    def _change(self, what: str, item: Mapping[str, Any]) -> None:
        key = self._key(item)
        try:
            value = None if what == "DELETED" else read_object(self._typed(item))
        except ObjectError as error:
            reason = str(error)
            self._tell(lambda store: store.refuse(key, reason))
            return
        self._tell((lambda store: store.put(value)) if value is not None else lambda store: _remove(store, key))


def _remove(store: KubernetesStore, key: ObjectKey) -> None:
    store.remove(key)


def _member(item: Any, name: str, kind: type) -> Any:
    """Return a member that has to be there; an answer that is something else is a failure like any other."""
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, kind):
        raise Failed(0, f"an answer without {name}")
    return value
