"""A provider on HTTP that takes its time, answers what it is told to, and notes when each call ran."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class RecordingProvider:
    """`answer` is asked for the status of each call; `began` and `ended` are in monotonic seconds."""

    def __init__(self, takes_s: float, answer: Callable[[], int] = lambda: 200) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []
        self.answer = answer
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                provider.began.append(time.monotonic())
                time.sleep(takes_s)
                provider.ended.append(time.monotonic())
                self.send_response(provider.answer())
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: calls are counted."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def most_at_once(self) -> int:
        """The largest number of calls that ran at the same time."""
        moments = sorted([(at, 1) for at in self.began] + [(at, -1) for at in self.ended])
        running = most = 0
        for _, change in moments:
            running += change
            most = max(most, running)
        return most

    def excess(self, per_second: float, burst: int) -> float:
        """By how many calls the limit was broken in the worst of all windows; above 0 when it was."""
        starts = sorted(self.began)
        return max(
            (
                last - first + 1 - burst - per_second * (starts[last] - starts[first])
                for first in range(len(starts))
                for last in range(first, len(starts))
            ),
            default=0,
        )
