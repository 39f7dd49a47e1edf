"""Commands: what they say, and what is none."""

import msgspec
import pytest

from schemas.commands import Cancel, cancel_of, cancel_request, is_command
from schemas.errors import ContractError
from schemas.records import JobRequest

ORDER = Cancel("job-1", 2, "ada", series=3, reason="a mistake")
REQUEST = cancel_request(ORDER, "doc-1", command_id="c-1", at=5, request_id="r-1")


def test_a_cancel_is_read_as_it_was_written() -> None:
    assert cancel_of(REQUEST) == ORDER
    assert (REQUEST.job_id, REQUEST.ordering_key, REQUEST.accepted_at) == ("c-1", "doc-1", 5)


def test_a_command_is_told_from_a_job() -> None:
    assert is_command(REQUEST)
    assert not is_command(JobRequest("j", "robot", "validation", "{}", 5))


def test_who_and_why_stands_in_the_history() -> None:
    assert ORDER.says == "by ada: a mistake"
    assert Cancel("j", 1, "ada").says == "by ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "{"},
        {"data": '{"jobId":"j","by":"ada"}'},
        {"data": '{"jobId":"j","by":"ada","tier":4}'},
        {"data": '{"jobId":"","by":"ada","tier":1}'},
        {"data": '{"jobId":"j","by":"","tier":1}'},
        {"data": '{"jobId":"j","by":"ada","tier":1,"series":-1}'},
        {"data": '{"jobId":"j","by":"ada","tier":1,"reason":"' + "x" * 501 + '"}'},
        {"type": "explode"},
    ],
)
def test_what_is_no_cancel_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ContractError):
        cancel_of(msgspec.structs.replace(REQUEST, **changes))
