"""The Kubernetes API as a source of services: a thread that follows Services, EndpointSlices and the own Node."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from calico_p4.kubernetes.client import HttpApi, configuration
from calico_p4.kubernetes.reflector import RETRY_FIRST_S, Change, Failed, Reflector, resources
from calico_p4.log import get_logger
from datastore.kubernetes import KubernetesStore


def start(where: str, node: str, tell: Callable[[Change], None]) -> threading.Thread:
    """Follow the API server from a thread that ends with the program. ``tell`` is called there, with changes to be carried out in order."""
    thread = threading.Thread(target=lambda: asyncio.run(_forever(where, node, tell)), name="kubernetes", daemon=True)
    thread.start()
    return thread


async def _forever(where: str, node: str, tell: Callable[[Change], None]) -> None:
    while True:
        try:
            api = HttpApi(await configuration(where))
        except Failed as error:  # a token or a kubeconfig may come later
            get_logger().error("Kubernetes API", error=str(error))
            await asyncio.sleep(RETRY_FIRST_S * 10)
            continue
        try:
            await follow(api, node, tell)
        finally:
            await api.close()


async def follow(api: HttpApi, node: str, tell: Callable[[Change], None], retry_s: float = RETRY_FIRST_S) -> None:
    """Follow everything until cancelled; when all is listed for the first time the store is told that it is in sync."""
    reflectors = [Reflector(api, resource, tell, retry_s) for resource in resources(node)]
    async with asyncio.TaskGroup() as group:
        for reflector in reflectors:
            group.create_task(reflector.run())
        for reflector in reflectors:
            await reflector.listed.wait()
        tell(_in_sync)


def _in_sync(store: KubernetesStore) -> None:
    store.in_sync = True
