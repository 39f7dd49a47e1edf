"""One dead letter driven again: what `POST /failed/:id/retry` and `POST /jobs/:id/retry` have in common.

It is a re-drive of one: it stands beside the letter by whom, when and as which series, and goes on when this
gateway dies.
"""

from typing import Any

from litestar import Request

from connectors.gateway.failed_query import tenants_of
from connectors.gateway.parts import parts_of
from connectors.gateway.problems import Refusal
from connectors.gateway.roles import identity_of
from connectors.kafka.redrive import Redrive
from connectors.postgres.dead_letters import KeptLetter
from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.redrives import Run
from connectors.redrive.canary import Plan
from connectors.redrive.edit import Edit
from connectors.redrive.request import request_of

ALONE = Plan(stages=(100,))


async def drive_again(request: Request[Any, Any, Any], kept: KeptLetter, edit: Edit) -> tuple[Redrive, Run]:
    """What is produced, and its run once Kafka has it or after some seconds.

    ContractError: what was edited does not hold; 409: somebody has driven the letter again.
    """
    parts, letter_id = parts_of(request), kept.letter.letter_id
    made = request_of(kept.letter, edit, parts.topology, parts.codec, parts.now_ms())
    by, asked = identity_of(request).subject, LetterFilter(ids=[letter_id])
    run = await parts.redrives.order(asked, tenants_of(request), edit, ALONE, by=by)
    run = await parts.redrives.sent(run)
    if run.tally.total == 0:
        raise taken(kept)
    return made, run


def taken(kept: KeptLetter) -> Refusal:
    """No letter is re-driven twice."""
    again = kept.redriven
    detail = "it is being re-driven" if again is None else f"{again.by} has re-driven it: run {again.run_id}"
    return Refusal(409, "conflict", detail)


def status_of(run: Run) -> str:
    """Whether Kafka has it, or will as soon as it answers."""
    return "queued" if run.tally.sent else "pending"
