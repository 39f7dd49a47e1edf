"""What a process shows of itself: its metrics, and `/health/live`, `/health/ready`, `/metrics` over HTTP."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streams.settings import ProcessSettings


def registry() -> CollectorRegistry:
    """An own registry per process, with the process's figures in it."""
    made = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=made)
    return made


def serve(
    process: ProcessSettings, registry: CollectorRegistry, ready: Callable[[], bool]
) -> ThreadingHTTPServer:
    """Answer on the metrics port (0 picks a free one) from a thread of its own until `shutdown()`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/health/live":
                    self._answer(200, b"live\n")
                case "/health/ready":
                    self._answer(200, b"ready\n") if ready() else self._answer(503, b"not ready\n")
                case "/metrics":
                    self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b"/health/live, /health/ready, /metrics\n")

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every second: not a line each."""

    server = ThreadingHTTPServer((process.metrics_host, process.metrics_port), Handler)
    threading.Thread(target=server.serve_forever, name="probe", daemon=True).start()
    return server
