"""A stateful Stripe on loopback: `python -m ops.emulators.stripe --port PORT`.

Each request goes to stripe-mock first, which judges it as Stripe would; `stripe_account` then does what a
real account would have done. The tests ask and steer it:

GET  /_control          calls per key, payments, how many succeeded, the sum received, `held`
POST /_control/faults   [{"kind": "lost", "path": "/confirm"}, ...]: what goes wrong with the next POSTs to
                        paths that end so ("" or none: any). Kinds: lost (done, the answer never arrives),
                        refuse (the connection breaks, nothing done), 429, 500 (remembered under the key, as
                        at Stripe), 503, late (done, the answer comes after `seconds`; `held` says how many
                        such answers are on their way)

Only PaymentIntents are known; any other path is 404.
"""

import argparse
import asyncio
import contextlib
import itertools
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from ops.emulators import watch
from ops.emulators.stripe_account import Account, Answer, Object, error
from ops.emulators.stripe_mock import binary
from ops.stack.leash import leashed
from schemas.errors import ConfigError

_PASSED_ON = ("authorization", "content-type", "stripe-version")
_PAYMENTS = "/v1/payment_intents"
MOCK_START_LIMIT_S = 30.0


@dataclass
class Fault:
    """Something that will go wrong with one POST."""

    kind: str
    path: str = ""
    seconds: float = 0.0


@dataclass
class Front:
    """The HTTP face of an account."""

    mock: Path
    account: Account = field(default_factory=Account)
    faults: list[Fault] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    held: int = 0

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application()
        app.router.add_get("/_control", self._summary)
        app.router.add_post("/_control/faults", self._add_faults)
        app.router.add_post(_PAYMENTS, self._post)
        app.router.add_post(_PAYMENTS + "/{id}/confirm", self._post)
        app.router.add_get(_PAYMENTS + "/{id}", self._get)
        app.cleanup_ctx.append(self._client)
        return app

    async def _client(self, app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.UnixConnector(str(self.mock))
        async with aiohttp.ClientSession("http://stripe-mock", connector=connector) as self._mock:
            yield

    async def _summary(self, request: web.Request) -> web.Response:
        return web.json_response({**self.account.summary(), "held": self.held})

    async def _add_faults(self, request: web.Request) -> web.Response:
        self.faults += [
            Fault(str(fault["kind"]), fault.get("path", ""), float(fault.get("seconds", 0)))
            for fault in await request.json()
        ]
        return web.json_response({"faults": len(self.faults)})

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body, key = await request.read(), request.headers.get("Idempotency-Key")
        found = self._fault(request.path)
        fault = None if found is None else found.kind
        if fault == "refuse":
            return _broken(request)
        if fault in ("429", "503"):
            return _response(_injected(int(fault)), retry_after="1")
        known = self.account.begin(key, request.path, body) if key else None
        if known is not None:
            answer, replayed = known
            return _response(answer, replayed=replayed)
        answer = _injected(500) if fault == "500" else await self._execute(request, body, key)
        if key is not None:
            self.account.end(key, answer)
        if found is not None and fault == "late":
            await self._hold(found.seconds)
        return _broken(request) if fault == "lost" else _response(answer)

    async def _hold(self, seconds: float) -> None:
        """What was asked is done, and nobody knows it yet."""
        self.held += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.held -= 1

    async def _execute(self, request: web.Request, body: bytes, key: str | None) -> Answer:
        payment_id = request.match_info.get("id")
        if payment_id is not None and not self.account.knows(payment_id):
            return _unknown(payment_id)
        judged = await self._judge(request, body)
        if judged.status >= 400:
            return judged
        form = dict(parse_qsl(body.decode()))
        if payment_id is not None:
            return self.account.confirm(payment_id, form)
        own = {"id": f"pi_{next(self.numbers):06d}{secrets.token_hex(8)}", "created": int(time.time())}
        made: Object = {**judged.body, **own}
        return self.account.create(made, form, key)

    async def _judge(self, request: web.Request, body: bytes) -> Answer:
        """What stripe-mock says of the request."""
        headers = {name: value for name, value in request.headers.items() if name.lower() in _PASSED_ON}
        async with self._mock.request(request.method, request.path_qs, data=body, headers=headers) as answer:
            return Answer(answer.status, await answer.json(content_type=None))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        payment_id = request.match_info["id"]
        judged = await self._judge(request, b"")
        if judged.status >= 400:
            return _response(judged)
        known = self.account.payments.get(payment_id)
        return _response(_unknown(payment_id) if known is None else Answer(200, known))

    def _fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if path.endswith(fault.path):
                self.faults.remove(fault)
                return fault
        return None


def _unknown(payment_id: str) -> Answer:
    text = f"No such payment_intent: '{payment_id}'"
    return error(404, "invalid_request_error", text, code="resource_missing")


def _injected(status: int) -> Answer:
    kind = "rate_limit_error" if status == 429 else "api_error"
    return error(status, kind, "an injected fault")


def _response(answer: Answer, *, replayed: bool = False, retry_after: str | None = None) -> web.Response:
    headers = {"Request-Id": f"req_{secrets.token_hex(7)}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return web.json_response(answer.body, status=answer.status, headers=headers)


def _broken(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@contextlib.contextmanager
def running_mock() -> Iterator[Path]:
    """A stripe-mock of our own; gives the socket that it listens on, which nobody else reaches."""
    program = binary()
    with tempfile.TemporaryDirectory(prefix="tierflow-stripe-") as folder:
        path = Path(folder) / "stripe-mock"
        # It insists on TLS too; that goes to a socket that nobody uses.
        sockets = ("-http-unix", str(path), "-https-unix", f"{path}-tls")
        argv = leashed((str(program), *sockets), signal.SIGKILL)
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as mock:
            try:
                _wait_for(path, mock)
                yield path
            finally:
                mock.kill()


def _wait_for(path: Path, mock: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + MOCK_START_LIMIT_S
    while not path.is_socket():
        if mock.poll() is not None or time.monotonic() > deadline:
            raise ConfigError(f"stripe-mock did not start (status {mock.returncode})")
        time.sleep(0.02)


async def serve(mock: Path, port: int, with_pid: int | None) -> None:
    """Serve until SIGTERM or SIGINT, or until that process has ended."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(Front(mock).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    watching = asyncio.create_task(watch.ended(with_pid))
    watching.add_done_callback(lambda _: stopped.set())
    await stopped.wait()
    watching.cancel()
    await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="A stateful Stripe on loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--with-pid", type=int, help="end with this process")
    arguments = parser.parse_args()
    with running_mock() as mock:
        asyncio.run(serve(mock, arguments.port, arguments.with_pid))


if __name__ == "__main__":
    main()
