"""What a handler holds in hand: child jobs, its cancellation, its log."""

import asyncio
import datetime as dt
import json
from typing import Any

import pytest

from agents.cancellation import Cancellation
from agents.child_jobs import MAX_CHILDREN, child_id_of
from schemas.errors import ContractError, StoppedError, UnknownTypeError
from schemas.payloads.messages import ChatMessage
from schemas.records import Job
from streams.core.admission import Source, job_of_request
from tests.unit.agents.handlers.contexts import ACCEPTED_AT, context, job

MAIL = {"to": "a@example.com", "template": "receipt"}
SAID = {"userId": "u", "conversationId": "c", "message": "m"}


def admitted(ctx: Any) -> Job:
    return job_of_request(ctx.submitted[-1], Source("job-requests", 0, 0))


def test_a_child_has_the_same_id_in_every_attempt() -> None:
    first, second = context(attempt=1), context(attempt=2)
    ids = [first.submit("send-email", MAIL), first.submit("chat-message", SAID)]
    assert ids == [second.submit("send-email", MAIL), second.submit("chat-message", SAID)]
    assert len({*ids, first.job.job_id, child_id_of(job(job_id="another"), 0)}) == 4


def test_a_child_belongs_to_whom_its_parent_belongs() -> None:
    ctx = context(job(tenant_id="venue", user_id="ada", request_id="r"))
    ctx.submit("send-email", MAIL)
    (child,) = ctx.submitted
    assert (child.tenant_id, child.user_id, child.request_id) == ("venue", "ada", "r")
    assert (child.document_id, child.queue, child.accepted_at) == ("doc", "communication", ACCEPTED_AT)


def test_a_child_of_another_document_keeps_its_own() -> None:
    ctx = context()
    ctx.submit("formula_calculation", {"documentId": "other", "userId": "u", "cellId": "A1", "formula": "=1"})
    assert ctx.submitted[0].document_id == admitted(ctx).ordering_key == "other"


def test_a_child_runs_once_also_where_its_type_has_no_key() -> None:
    ctx = context()
    child = ctx.submit("chat-message", SAID)
    assert (admitted(ctx).idempotency_key, admitted(ctx).ordering_key) == (f"job:{child}", "c")
    ctx.submit("send-email", MAIL)
    assert admitted(ctx).idempotency_key == "email-receipt-a@example.com-2026-01-01"
    ctx.submit("send-email", MAIL, key="mine")
    assert admitted(ctx).idempotency_key == "mine"


def test_data_may_be_a_contract() -> None:
    ctx = context()
    ctx.submit("chat-message", ChatMessage(user_id="u", conversation_id="c", message="m"))
    assert json.loads(ctx.submitted[0].data)["conversationId"] == "c"


def test_options_are_spans_and_times() -> None:
    ctx = context()
    ctx.submit(
        "chat-message", SAID, queue="chat-messages", delay=dt.timedelta(minutes=2), priority=9, attempts=2,
        timeout=dt.timedelta(seconds=5),
    )  # fmt: skip
    made = admitted(ctx)
    assert (made.not_before, made.priority, made.attempts) == (ACCEPTED_AT + 120_000, 9, 2)
    assert made.timeout_ms == 5_000
    ctx.submit("chat-message", SAID, run_at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    assert admitted(ctx).not_before == 1_769_904_000_000


@pytest.mark.parametrize(
    ("kind", "data", "options", "message"),
    [
        ("chat-message", {"userId": "u"}, {}, r"data\.conversationId: .*data\.message"),
        ("chat-message", {**SAID, "x": object()}, {}, "data: is no JSON"),
        ("chat-message", SAID, {"priority": 11}, "priority"),
        ("chat-message", SAID, {"delay": dt.timedelta(days=-1)}, "delay"),
        ("chat-message", SAID, {"run_at": dt.datetime(2026, 1, 1)}, "time zone"),
        ("cell_update", {"cellId": "A1", "newValue": 1}, {}, "made by Tierflow itself"),
    ],
)
def test_what_would_be_refused_is_refused_at_the_call(
    kind: str, data: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    ctx = context()
    with pytest.raises(ContractError, match=message):
        ctx.submit(kind, data, **options)
    assert ctx.submitted == []


def test_an_unknown_type_is_refused_at_the_call() -> None:
    with pytest.raises(UnknownTypeError, match="unknown type 'nope'"):
        context().submit("nope", {})
    with pytest.raises(UnknownTypeError, match="in queue 'money'"):
        context().submit("send-email", MAIL, queue="money")


def test_a_job_has_a_bounded_number_of_children() -> None:
    ctx = context()
    ctx.submit("chat-message", SAID)
    ctx.submitted.extend(ctx.submitted * (MAX_CHILDREN - 1))
    with pytest.raises(ContractError, match="at most 1000 children"):
        ctx.submit("chat-message", SAID)


async def test_who_waits_for_the_cancellation_is_woken() -> None:
    cancelled = Cancellation()
    waiting = asyncio.ensure_future(cancelled.wait())
    await asyncio.sleep(0)
    assert (cancelled.is_set(), waiting.done()) == (False, False)
    cancelled.check()
    cancelled.set()
    await asyncio.wait_for(waiting, 60)
    await asyncio.wait_for(cancelled.wait(), 60)
    with pytest.raises(StoppedError):
        cancelled.check()


def test_the_log_names_the_job() -> None:
    ctx = context(attempt=2)
    assert ctx.log is ctx.log
    bound = ctx.log._context
    assert (bound["job_id"], bound["type"], bound["attempt"]) == (ctx.job.job_id, "cell_update", 2)
