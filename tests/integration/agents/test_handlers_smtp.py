"""E-mail over a real SMTP conversation: taken, refused, put off, broken off."""

import datetime as dt
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.handlers.send_email import send_email
from agents.providers import Providers
from connectors.smtp import Mail, Mailer
from schemas.errors import PermanentError, TransientError
from schemas.payloads.communication import SendEmail
from tests.integration.agents.emulators import emulator, free_port
from tests.unit.agents.handlers.contexts import context, job

pytestmark = pytest.mark.timeout(300)
FROM = "tierflow@example.com"


class Mailbox:
    """A running server: its URL and what it got."""

    def __init__(self, port: int, control: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._control = f"http://127.0.0.1:{control}"

    def messages(self, to: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self._control}/messages", timeout=60).json()
        return [message for message in found if message["to"] == [to]]


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    port, control = free_port(), free_port()
    with emulator("smtp", f"http://127.0.0.1:{control}", "--port", str(port), "--control-port", str(control)):
        yield Mailbox(port, control)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Mailbox]:
    port, control = free_port(), free_port()
    arguments = ("--port", str(port), "--control-port", str(control), "--user", "u", "--password", "p@ss")
    with emulator("smtp", f"http://127.0.0.1:{control}", *arguments):
        yield Mailbox(port, control)


def mail(to: str) -> Mail:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Mail(to, "Grüße", "body €\n.leading dot\n", "<p>body</p>", f"tf-{to.partition('@')[0]}", at)


async def test_a_message_arrives_as_it_was_written(mailbox: Mailbox) -> None:
    message_id = await Mailer(f"smtp://{mailbox.address}", FROM).send(mail("you@example.com"))
    (message,) = mailbox.messages("you@example.com")
    assert message == {
        "sender": FROM,
        "to": ["you@example.com"],
        "subject": "Grüße",
        "message_id": message_id,
        "text": "body €\n.leading dot\n",
    }


async def test_a_refused_recipient_is_final(mailbox: Mailbox) -> None:
    with pytest.raises(PermanentError, match="no such user") as caught:
        await Mailer(f"smtp://{mailbox.address}", FROM).send(mail("gone@example.com"))
    assert caught.value.code == "550"


async def test_greylisting_is_transient_and_the_next_attempt_arrives(mailbox: Mailbox) -> None:
    mailer = Mailer(f"smtp://{mailbox.address}", FROM)
    with pytest.raises(TransientError) as caught:
        await mailer.send(mail("slow@example.com"))
    assert caught.value.code == "451"
    await mailer.send(mail("slow@example.com"))
    assert len(mailbox.messages("slow@example.com")) == 1


async def test_a_connection_lost_after_the_text_leaves_the_outcome_unknown(mailbox: Mailbox) -> None:
    mailer = Mailer(f"smtp://{mailbox.address}", FROM)
    for _ in range(2):
        with pytest.raises(TransientError) as caught:
            await mailer.send(mail("drop@example.com"))
        assert caught.value.code == "outcome_unknown"
    # It was taken both times; the one Message-ID is what tells the receiver so.
    assert len(mailbox.messages("drop@example.com")) == 2
    assert len({message["message_id"] for message in mailbox.messages("drop@example.com")}) == 1


async def test_credentials_are_used(guarded: Mailbox) -> None:
    await Mailer(f"smtp://u:p%40ss@{guarded.address}", FROM).send(mail("me@example.com"))
    assert len(guarded.messages("me@example.com")) == 1


async def test_wrong_credentials_are_an_authentication_error(guarded: Mailbox) -> None:
    with pytest.raises(PermanentError) as caught:
        await Mailer(f"smtp://u:wrong@{guarded.address}", FROM).send(mail("me@example.com"))
    assert caught.value.code == "authentication"


async def test_a_server_that_wants_credentials_and_gets_none_refuses(guarded: Mailbox) -> None:
    with pytest.raises(PermanentError) as caught:
        await Mailer(f"smtp://{guarded.address}", FROM).send(mail("me@example.com"))
    assert caught.value.code == "530"


async def test_tls_that_is_required_and_not_offered_is_refused(mailbox: Mailbox) -> None:
    with pytest.raises(PermanentError):
        await Mailer(f"smtp://{mailbox.address}?starttls=required", FROM).send(mail("tls@example.com"))
    assert mailbox.messages("tls@example.com") == []


async def test_nobody_there_is_transient() -> None:
    with pytest.raises(TransientError) as caught:
        await Mailer(f"smtp://127.0.0.1:{free_port()}", FROM).send(mail("you@example.com"))
    assert caught.value.code == "connection"


async def test_the_handler_fills_a_template_and_answers_what_it_sent(mailbox: Mailbox) -> None:
    data = SendEmail.parse(
        '{"to": "ann@example.com", "template": "notice", "data": {"title": "T", "message": "<M>"}}'
    )
    providers = Providers(mail=Mailer(f"smtp://{mailbox.address}", FROM))
    result = await send_email(context(job("send-email", idempotency=b"k" * 16), providers=providers), data)
    (message,) = mailbox.messages("ann@example.com")
    assert result["messageId"] == message["message_id"] == f"<tf-{(b'k' * 16).hex()}@example.com>"
    assert (result["to"], result["template"]) == ("ann@example.com", "notice")
    assert (message["subject"], message["text"].strip()) == ("T", "<M>")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    key, chain = folder / "key.pem", folder / "chain.pem"
    words = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {chain} -days 2 -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(words.split(), check=True, capture_output=True)
    return key, chain


@pytest.fixture(scope="module")
def encrypted(certificate: tuple[Path, Path]) -> Iterator[Mailbox]:
    port, control = free_port(), free_port()
    key, chain = map(str, certificate)
    tls = ("--tls-key", key, "--tls-chain", chain)
    arguments = ("--port", str(port), "--control-port", str(control), *tls)
    with emulator("smtp", f"http://127.0.0.1:{control}", *arguments):
        yield Mailbox(port, control)


async def test_starttls_is_used_when_the_certificate_is_trusted(
    encrypted: Mailbox, certificate: tuple[Path, Path]
) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate[1]))
    mailer = Mailer(f"smtp://{encrypted.address}?starttls=required", FROM, tls_context=trusted)
    await mailer.send(mail("you@example.com"))
    assert len(encrypted.messages("you@example.com")) == 1


async def test_a_certificate_that_is_not_trusted_is_refused(encrypted: Mailbox) -> None:
    with pytest.raises(PermanentError) as caught:
        await Mailer(f"smtp://{encrypted.address}", FROM).send(mail("nobody@example.com"))
    assert caught.value.code == "tls"
    assert encrypted.messages("nobody@example.com") == []
