"""HTTP for whoever watches the driver: /metrics, /livez, /readyz, and health checks of services. It answers GET and changes nothing."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What a page says; ``headers`` are those beside type and length."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = {}


Page = Callable[[], Answer | tuple[int, str, bytes]]
"""Returns an answer, or its first three fields."""
TIMEOUT_S = 10.0


class Http:
    """Serves some pages until it is stopped, on loopback unless told otherwise."""

    def __init__(self, address: str, pages: Mapping[str, Page]) -> None:
        """Listen on ``HOST:PORT`` (port 0: any free one). Raises OSError and ValueError: malformed, or it can't be bound."""
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdigit():
            raise ValueError(f"{address!r} is no HOST:PORT")
        self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), handler(pages.get))
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def stop(self) -> None:
        """Close the address."""
        self._server.shutdown()
        self._server.server_close()


def handler(find: Callable[[str], Page | None]) -> type[BaseHTTPRequestHandler]:
    """Return what answers the requests of a server; ``find`` returns the page of a path, None if there is none."""

    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S
        server_version, sys_version = "calico-p4", ""

        def do_GET(self) -> None:
            page = find(self.path.partition("?")[0])
            answer = Answer(*page()) if page is not None else Answer(404, "text/plain", b"not found\n")
            self.send_response(answer.status)
            for name, value in {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes come every few seconds: nothing is logged."""

    return Handler
