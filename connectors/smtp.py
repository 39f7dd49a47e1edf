"""E-mail over SMTP: one connection a message, so that what a failure means is always clear.

| failure | error | code |
| --- | --- | --- |
| no connection, time-out, 4xx | TransientError | `connection`, `timeout`, the SMTP code |
| connection breaks after the message was sent | TransientError: it may have been taken | `outcome_unknown` |
| 5xx, a recipient that is refused | PermanentError | the SMTP code |
| authentication refused, TLS refused | PermanentError | `authentication`, `tls` |

SMTP has no idempotency key: after `outcome_unknown` a repeat may arrive twice. Both carry the same
Message-ID, by which most mail systems drop the second.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from schemas.errors import ConfigError, PermanentError, TransientError

TIMEOUT_S = 10.0
_PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP_URL taken apart. `starttls` None uses TLS when the server offers it."""

    host: str
    port: int
    tls: bool
    starttls: bool | None
    username: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class Mail:
    """One message, ready to be sent. `message_key` makes the Message-ID: the same key, the same id."""

    to: str
    subject: str
    text: str
    html: str | None
    message_key: str
    at: datetime
    sender: str | None = None


def server_of(url: str) -> Server:
    """The server of `smtp[s]://user:password@host:port?starttls=required|off`; else ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError("SMTP_URL: write smtp://user:password@host:port or smtps://...")
    query = parse_qs(parts.query)
    unknown = set(query) - {"starttls"}
    choice = query.get("starttls", ["auto"])[-1].lower()
    choices = {
        "auto": None,
        "required": True,
        "true": True,
        "1": True,
        "off": False,
        "false": False,
        "0": False,
    }
    if unknown or choice not in choices:
        raise ConfigError("SMTP_URL: the only parameter is starttls=auto|required|off")
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise ConfigError(f"SMTP_URL: {error}") from None
    return Server(
        parts.hostname,
        port,
        parts.scheme == "smtps",
        False if parts.scheme == "smtps" else choices[choice],
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


class Mailer:
    """Sends messages through one server. Made without I/O; safe for many at once."""

    def __init__(self, url: str, mail_from: str, *, tls_context: ssl.SSLContext | None = None) -> None:
        self._server = server_of(url)
        self._mail_from = mail_from
        self._tls_context = tls_context
        self._own_name: str | None = None

    async def send(self, mail: Mail) -> str:
        """Hand the message to the server; return its Message-ID. Raises as the module's table says."""
        message = message_of(mail, self._mail_from)
        client = self._client()
        try:
            await self._open(client)
            await self._envelope(client, message["From"].addresses[0].addr_spec, mail.to)
            await self._text(client, message)
        finally:
            client.close()
        return str(message["Message-ID"])

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=server.starttls,
            username=server.username,
            password=server.password,
            timeout=TIMEOUT_S,
            tls_context=self._tls_context,
        )

    async def _open(self, client: aiosmtplib.SMTP) -> None:
        if self._own_name is None:
            # Asks the resolver, so once and not in the loop.
            self._own_name = await asyncio.to_thread(socket.getfqdn)
        try:
            await client.connect(local_hostname=self._own_name)
        except aiosmtplib.SMTPAuthenticationError as error:
            # 454 is "temporary authentication failure"; all else means that the credentials do not hold.
            raise _refusal(error, "authentication") from error
        except ssl.SSLError as error:
            raise PermanentError(f"SMTP server's TLS is not trusted: {error}", code="tls") from error
        except aiosmtplib.SMTPException as error:
            raise _failure(error) from error
        except OSError as error:
            raise TransientError(f"no connection to the SMTP server: {error}", code="connection") from error

    async def _envelope(self, client: aiosmtplib.SMTP, sender: str, recipient: str) -> None:
        try:
            await client.ehlo()
            options = [] if (sender + recipient).isascii() else ["SMTPUTF8"]
            await client.mail(sender, options=options, encoding="utf-8")
            await client.rcpt(recipient, encoding="utf-8")
        except aiosmtplib.SMTPException as error:
            raise _failure(error) from error

    async def _text(self, client: aiosmtplib.SMTP, message: EmailMessage) -> None:
        try:
            await client.data(message.as_bytes(policy=SMTP))
        except aiosmtplib.SMTPResponseException as error:
            raise _failure(error) from error
        except aiosmtplib.SMTPException as error:
            text = f"the SMTP server went away before it acknowledged the message: {error}"
            raise TransientError(text, code="outcome_unknown") from error


def message_of(mail: Mail, mail_from: str) -> EmailMessage:
    """The message as it is sent. PermanentError when a header would hold a line break or no address."""
    sender = mail.sender or mail_from
    message = EmailMessage()
    try:
        # The header classes refuse line breaks; Address refuses what is not one address.
        message["From"] = Address(addr_spec=sender)
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(mail.at)
        message["Message-ID"] = f"<{mail.message_key}@{sender.rpartition('@')[2]}>"
    except (ValueError, HeaderParseError) as error:
        raise PermanentError(f"this cannot stand in a mail's header: {error}", code="header") from error
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def _failure(error: aiosmtplib.SMTPException) -> TransientError | PermanentError:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _refusal(error, str(error.code))
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return TransientError(f"the SMTP server did not answer in time: {error}", code="timeout")
    # The library has no class of its own for "no STARTTLS here".
    if isinstance(error, aiosmtplib.SMTPNotSupported) or type(error) is aiosmtplib.SMTPException:
        return PermanentError(f"the SMTP server cannot do what is needed: {error}", code="not_supported")
    return TransientError(f"the connection to the SMTP server broke: {error}", code="connection")


def _refusal(error: aiosmtplib.SMTPResponseException, code: str) -> TransientError | PermanentError:
    text = f"the SMTP server answered {error.code}: {error.message}"
    # -1 is the library's mark for an answer that it could not read.
    return PermanentError(text, code=code) if error.code >= 500 else TransientError(text, code=code)
