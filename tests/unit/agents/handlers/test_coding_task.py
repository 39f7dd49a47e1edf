import pytest

from agents.handlers.coding_task import coding_task, refuse_failed
from connectors.child_process import Finished
from schemas.errors import PermanentError, TransientError
from schemas.payloads.agent_tasks import CodingTask
from tests.unit.agents.handlers.contexts import context


def finished(code: int) -> Finished:
    return Finished(code, "out", truncated=False, error_tail="it broke\n", duration_ms=5)


def test_status_0_is_success() -> None:
    refuse_failed(finished(0))


@pytest.mark.parametrize("code", [64, 65, 77, 78, 126, 127])
def test_statuses_that_cannot_get_better_are_final(code: int) -> None:
    with pytest.raises(PermanentError, match="it broke") as caught:
        refuse_failed(finished(code))
    assert caught.value.code == f"exit_{code}"


@pytest.mark.parametrize("code", [1, 2, 75, 128 + 9, 255])
def test_any_other_status_is_tried_again(code: int) -> None:
    with pytest.raises(TransientError) as caught:
        refuse_failed(finished(code))
    assert caught.value.code == f"exit_{code}"


async def test_without_a_command_nothing_is_simulated() -> None:
    data = CodingTask.parse(
        '{"taskId": "00000000-0000-4000-8000-000000000000", "prompt": "x", "userId": "u"}'
    )
    with pytest.raises(PermanentError, match="TIERFLOW_CODING_COMMAND"):
        await coding_task(context(), data)
