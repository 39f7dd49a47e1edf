"""The id under which a request is found in answers, logs and records: taken from the caller or made."""

import re
from collections.abc import Mapping, MutableMapping
from random import getrandbits
from typing import Any

from uuid_utils import uuid7

_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_KEY, _TRACE_KEY = "tierflow_request_id", "tierflow_traceparent"

Scope = MutableMapping[str, Any]


def identify(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """Settle the request's id and trace and return the id. A malformed one is replaced, not refused."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    trace = headers.get(b"traceparent", b"").decode("latin-1")
    scope[_KEY] = given if _GIVEN.fullmatch(given) else str(uuid7())
    scope[_TRACE_KEY] = trace if _TRACEPARENT.fullmatch(trace) else new_traceparent()
    return str(scope[_KEY])


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The id settled by `identify`."""
    return str(scope.get(_KEY, ""))


def traceparent_of(scope: Mapping[str, Any]) -> str:
    """The W3C trace context settled by `identify`."""
    return str(scope.get(_TRACE_KEY, ""))


def new_traceparent() -> str:
    """The start of a trace; sampled, so that whoever collects traces decides."""
    return f"00-{getrandbits(128):032x}-{getrandbits(64):016x}-01"
