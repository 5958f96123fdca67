"""HTTP for whoever watches the driver: /metrics, /livez, /readyz. On loopback unless told otherwise; it answers GET and changes nothing."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Page = Callable[[], tuple[int, str, bytes]]
"""Returns status, content type and body."""
TIMEOUT_S = 10.0


class Http:
    """Serves some pages until it is stopped."""

    def __init__(self, address: str, pages: Mapping[str, Page]) -> None:
        """Listen on ``HOST:PORT`` (port 0: any free one). Raises OSError and ValueError: malformed, or it can't be bound."""
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdigit():
            raise ValueError(f"{address!r} is no HOST:PORT")
        self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(pages))
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def stop(self) -> None:
        """Close the address."""
        self._server.shutdown()
        self._server.server_close()


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S
        server_version, sys_version = "calico-p4", ""

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            status, kind, body = page() if page is not None else (404, "text/plain", b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes come every few seconds: nothing is logged."""

    return Handler
