"""Asks one part whether it is healthy. A health is a URL, so that it can stand in the state file.

http://host:port/path            200 is healthy
tcp://host:port                  somebody accepts the connection
kafka://host:port?node=1         the broker answers a metadata request and knows itself
postgresql://user:pw@host/db     `select 1` answers
redis://host:port/0              PING answers
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

Ask = Callable[[str, float], str | None]


def ask(url: str, timeout_s: float = 2.0) -> str | None:
    """Return None when healthy, else the reason in one line. Blocks up to about `timeout_s`; never raises."""
    asker = _ASKERS.get(urlsplit(url).scheme)
    if asker is None:
        return f"nobody knows how to ask {url}"
    try:
        return asker(url, timeout_s)
    except Exception as error:  # Whatever a client library raises, the part is not healthy.
        return (str(error).strip() or type(error).__name__).splitlines()[0]


def _ask_http(url: str, timeout_s: float) -> str | None:
    # No proxy: the parts are on loopback, whatever http_proxy says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            return None if answer.status == 200 else f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(200).decode(errors="replace").strip()
        return f"HTTP {error.code} {body}".strip()
    except urllib.error.URLError as error:
        return str(error.reason)


def _ask_tcp(url: str, timeout_s: float) -> str | None:
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout_s):
        return None


def _ask_kafka(url: str, timeout_s: float) -> str | None:
    # First the cheap question: librdkafka would wait and log for as long as nobody listens.
    refused = _ask_tcp(url, timeout_s)
    if refused:
        return refused
    from confluent_kafka.admin import AdminClient

    where = urlsplit(url)
    client = AdminClient({"bootstrap.servers": where.netloc, "log_level": 0})
    brokers = client.list_topics(timeout=timeout_s).brokers
    wanted = parse_qs(where.query).get("node")
    if wanted and int(wanted[0]) not in brokers:
        return f"node {wanted[0]} is not in the cluster yet"
    return None if brokers else "no broker in the cluster"


def _ask_postgres(url: str, timeout_s: float) -> str | None:
    import psycopg

    with psycopg.connect(url, connect_timeout=max(2, round(timeout_s)), autocommit=True) as connection:
        connection.execute("select 1")
    return None


def _ask_redis(url: str, timeout_s: float) -> str | None:
    import redis

    with redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s) as client:
        return None if client.ping() else "no PONG"


_ASKERS: dict[str, Ask] = {
    "http": _ask_http,
    "https": _ask_http,
    "tcp": _ask_tcp,
    "kafka": _ask_kafka,
    "postgres": _ask_postgres,
    "postgresql": _ask_postgres,
    "redis": _ask_redis,
    "rediss": _ask_redis,
}
