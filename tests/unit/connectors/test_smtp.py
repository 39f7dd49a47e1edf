import datetime as dt

import pytest

from connectors.smtp import Mail, Server, message_of, server_of
from schemas.errors import ConfigError, PermanentError


def mail(**changes: str | None) -> Mail:
    given: dict[str, str | None] = {
        "to": "you@example.com", "subject": "Hello", "text": "body", "html": None, "message_key": "tf-1"
    }  # fmt: skip
    return Mail(**{**given, **changes}, at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://h", Server("h", 25, False, None, None, None)),
        ("smtp://u:p%40ss@h:587?starttls=required", Server("h", 587, False, True, "u", "p@ss")),
        ("smtp://h:25?starttls=off", Server("h", 25, False, False, None, None)),
        ("smtps://u:p@h", Server("h", 465, True, False, "u", "p")),
    ],
)
def test_the_url_says_how_to_connect(url: str, server: Server) -> None:
    assert server_of(url) == server


@pytest.mark.parametrize(
    "url", ["h:25", "http://h", "smtp://", "smtp://h?tls=1", "smtp://h?starttls=maybe", "smtp://h:x"]
)
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="SMTP_URL"):
        server_of(url)


def test_the_same_key_gives_the_same_message_id() -> None:
    one, other = (message_of(mail(), "me@mail.example.com") for _ in range(2))
    assert one["Message-ID"] == other["Message-ID"] == "<tf-1@mail.example.com>"
    assert one["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"


def test_a_sender_of_the_job_wins() -> None:
    assert message_of(mail(sender="other@example.org"), "me@example.com")["From"] == "other@example.org"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hi\r\nBcc: all@example.com"},
        {"subject": "Hi\nX-Evil: 1"},
        {"to": "you@example.com\r\nBcc: all@example.com"},
        {"to": "you@example.com, other@example.com"},
        {"sender": "me@example.com\nBcc: x@example.com"},
    ],
)
def test_nothing_of_a_job_makes_a_header_of_its_own(changes: dict[str, str]) -> None:
    with pytest.raises(PermanentError) as caught:
        message_of(mail(**changes), "me@example.com")
    assert caught.value.code == "header"


def test_a_html_part_stands_beside_the_text() -> None:
    message = message_of(mail(html="<p>body</p>"), "me@example.com")
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
