"""Requests to the Kubernetes API server, with kubernetes-asyncio for credentials and aiohttp beneath it; answers stay JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.config import ConfigException, load_kube_config
from kubernetes_asyncio.config.incluster_config import load_incluster_config

from calico_p4.kubernetes.reflector import Failed

ANSWER_S = 60.0
IN_CLUSTER = "in-cluster"
_ERRORS = (ApiException, aiohttp.ClientError, asyncio.TimeoutError, OSError, ConfigException, ValueError)


async def configuration(where: str) -> Configuration:
    """Return how to reach the API server: "in-cluster", the path of a kubeconfig, or a URL.

    A URL with https takes the pod's own certificate and token, as in-cluster, but not its address: that is a service, which is to work
    only once this driver runs. Raises Failed.
    """
    found = Configuration()
    try:
        if where.startswith("http://"):
            found.host = where
        elif where.startswith("https://"):
            load_incluster_config(found)
            found.host = where
        elif where == IN_CLUSTER:
            load_incluster_config(found)
        else:
            await load_kube_config(config_file=where, client_configuration=found)
    except (ConfigException, OSError) as error:
        raise Failed(0, f"{where}: {error}") from error
    return found


class HttpApi:
    """An API server."""

    def __init__(self, found: Configuration) -> None:
        self._client = ApiClient(found)

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the JSON that is answered. Raises Failed."""
        async with self._answer(path, query, aiohttp.ClientTimeout(total=ANSWER_S)) as answer:
            return json.loads(await answer.read())

    async def lines(self, path: str, query: Mapping[str, str], seconds: float) -> AsyncIterator[bytes]:
        """Yield the lines that are answered. Raises Failed; a last line that was cut off is none."""
        async with self._answer(path, query, aiohttp.ClientTimeout(connect=ANSWER_S, sock_read=seconds)) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield line

    @asynccontextmanager
    async def _answer(self, path: str, query: Mapping[str, str], timeout: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            answer: aiohttp.ClientResponse = await self._client.call_api(
                path, "GET", query_params=list(query.items()), header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"], _preload_content=False, _request_timeout=timeout,
            )  # fmt: skip
            async with answer:
                if answer.status != 200:
                    raise Failed(answer.status, (await answer.text())[:200])
                yield answer
        except _ERRORS as error:
            raise Failed(getattr(error, "status", 0) or 0, f"{type(error).__name__}: {error}") from error
