"""An SMTP server that keeps what it gets: `python -m ops.emulators.smtp --port PORT --control-port PORT`.

It answers recipients gone@... with 550, slow@... with 451 the first time, and breaks the connection after the
text of a message to drop@..., having kept it. With --user and --password it asks for
them, with --tls-chain and --tls-key (PEM files) for STARTTLS. Control over HTTP:

GET /           how many messages, and how many per recipient
GET /messages   each message: from, to, subject, message_id, text
"""

import argparse
import asyncio
import contextlib
import email
import email.policy
import signal
import ssl
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

from ops.emulators import watch

with warnings.catch_warnings():
    # The library asks for a name that its own dependency has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

MAX_MESSAGE_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it was taken."""

    sender: str
    to: list[str]
    subject: str
    message_id: str
    text: str


@dataclass
class Mailbox:
    """What the server keeps, and how it answers (aiosmtpd's handler protocol)."""

    messages: list[Received] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """Take the recipient or not."""
        name = address.partition("@")[0]
        if name.startswith("gone"):
            return "550 5.1.1 no such user"
        if name.startswith("slow") and address not in self._seen:
            self._seen.add(address)
            return "451 4.7.1 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep the message."""
        self.messages.append(received(envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        if any(address.startswith("drop@") for address in envelope.rcpt_tos):
            server.transport.abort()
        return f"250 2.0.0 OK: queued as {len(self.messages)}"


def received(sender: str, to: list[str], content: bytes) -> Received:
    """The message of an envelope."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    body = message.get_body(("plain",))
    text = body.get_content().replace("\r\n", "\n") if body is not None else ""
    return Received(sender, to, str(message["Subject"]), str(message["Message-ID"]), text)


def control(mailbox: Mailbox) -> web.Application:
    """The HTTP face."""

    async def summary(request: web.Request) -> web.Response:
        recipients = Counter(address for message in mailbox.messages for address in message.to)
        return web.json_response({"messages": len(mailbox.messages), "recipients": recipients})

    async def messages(request: web.Request) -> web.Response:
        return web.json_response([asdict(message) for message in mailbox.messages])

    app = web.Application()
    app.router.add_get("/", summary)
    app.router.add_get("/messages", messages)
    return app


def protocol(
    mailbox: Mailbox, user: str | None, password: str | None, tls: ssl.SSLContext | None = None
) -> SMTP:
    """The server's side of one connection; with `tls` it insists on STARTTLS."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = (data.login, data.password) if isinstance(data, LoginPassword) else None
        right = given == ((user or "").encode(), (password or "").encode())
        # handled=False lets the server answer 535 by itself.
        return AuthResult(success=right, handled=right)

    return SMTP(
        mailbox,
        data_size_limit=MAX_MESSAGE_BYTES,
        enable_SMTPUTF8=True,
        tls_context=tls,
        require_starttls=tls is not None,
        auth_required=user is not None,
        auth_require_tls=False,
        authenticator=authenticate if user is not None else None,
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    mailbox, stopped = Mailbox(), asyncio.Event()
    tls = None
    if arguments.tls_chain:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.tls_chain, arguments.tls_key)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    runner = web.AppRunner(control(mailbox), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", arguments.control_port).start()
    server = await loop.create_server(
        lambda: protocol(mailbox, arguments.user, arguments.password, tls), "127.0.0.1", arguments.port
    )
    watching = asyncio.create_task(watch.ended(arguments.with_pid))
    watching.add_done_callback(lambda _: stopped.set())
    await stopped.wait()
    watching.cancel()
    server.close()
    await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="An SMTP server that keeps what it gets.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--with-pid", type=int, help="end with this process")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--tls-chain")
    parser.add_argument("--tls-key")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
