"""The audit on real topics and a real Postgres: silent when all is well, else it names what was changed."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import psycopg
import pytest

from connectors.audit.audit import Report
from connectors.audit.judge import Finding
from schemas.records import Failure, JobRequest, Transition
from schemas.tiers import Tier
from tests.integration.connectors.auditing import History, made

TABLES = "jobs, job_transitions, job_homes, dead_letter_jobs, dead_letter_ids, sink_offsets"


@pytest.fixture(scope="module")
def ordered(kafka_bootstrap: str, database_url: str) -> Iterator[History]:
    """A history that is in order; tests may change its rows, not its topics."""
    history = made(kafka_bootstrap, database_url)
    yield history
    history.feed.delete()


@pytest.fixture
def history(ordered: History) -> History:
    """The same with its rows as the sink writes them."""
    with psycopg.connect(ordered.database_url) as connection:
        connection.execute(f"truncate {TABLES}".encode())
    ordered.sink()
    return ordered


def change(history: History, statement: str, *values: object) -> None:
    with psycopg.connect(history.database_url) as connection:
        assert connection.execute(statement.encode(), values).rowcount == 1


def told(report: Report) -> list[tuple[str, str, str | None]]:
    return [(one.kind, one.stage, one.job_id) for one in report.findings]


def place(finding: Finding) -> tuple[str | None, int | None, int | None]:
    return finding.topic, finding.partition, finding.offset


# -- rows


def test_a_history_in_order_has_no_findings_and_in_equals_out(history: History) -> None:
    report = history.audit()
    assert report.findings == []
    assert report.clean
    tier = report.balance.tiers[1]
    assert (tier.came, tier.completed, tier.dead, tier.pending) == (30, 20, 10, 0)
    assert report.balance.ingress.came == 30
    assert report.balance.judged == 0
    assert report.rows == 30 + 90 + 10


def test_a_changed_row_is_named_with_the_place_of_its_record(history: History) -> None:
    change(history, "update jobs set data = '{\"amount\": 1}' where job_id = %s", "pay-4")
    [found] = history.audit().findings
    assert (found.kind, found.stage, found.job_id) == ("differing", "postgres jobs", "pay-4")
    assert place(found) == history.at["pay-4"]


@pytest.mark.parametrize(
    "changed",
    [
        "state = 'cancelled'",
        "result = '{}'",
        "attempts = 9",
        "finished_at = now()",
        "rank = 1",
        "accepted_at = accepted_at - interval '1 hour'",
    ],
)
def test_a_changed_outcome_of_a_row_is_named(history: History, changed: str) -> None:
    change(history, f"update jobs set {changed} where job_id = 'pay-3'")
    assert told(history.audit()) == [("differing", "postgres jobs", "pay-3")]


def test_a_changed_transition_is_named(history: History) -> None:
    change(history, "update job_transitions set worker = 'x' where job_id = 'pay-6' and number = 1")
    [found] = history.audit().findings
    assert (found.kind, found.stage, found.job_id) == ("differing", "postgres job_transitions", "pay-6")
    assert place(found) == history.ends["pay-6"]


def test_a_deleted_row_is_named(history: History) -> None:
    change(history, "delete from jobs where job_id = 'pay-7'")
    assert ("missing", "postgres jobs", "pay-7") in told(history.audit())


def test_a_deleted_transition_is_named(history: History) -> None:
    change(history, "delete from job_transitions where job_id = 'pay-8' and number = 0")
    assert told(history.audit()) == [("missing", "postgres job_transitions", "pay-8")]


def test_a_row_without_a_record_and_a_second_end_are_named(history: History) -> None:
    change(
        history,
        "insert into job_transitions (job_id, series, number, from_state, to_state, attempt, at, accepted_at,"
        " keep_days) select job_id, 0, 3, 'completed', 'completed', 1, at, accepted_at, keep_days"
        " from job_transitions where job_id = 'pay-9' and number = 2",
    )
    found = told(history.audit())
    assert ("extra", "postgres job_transitions", "pay-9") in found
    assert ("extra", "postgres jobs", "pay-9") in found


def test_a_changed_dead_letter_and_a_deleted_one_are_named(history: History) -> None:
    change(history, "update dead_letter_jobs set value = 'x' where letter_id = 'pay-2:0'")
    change(history, "delete from dead_letter_jobs where letter_id = 'pay-5:0'")
    assert [(one.kind, one.what) for one in history.audit().findings] == [
        ("differing", "row of letter pay-2:0 is not what its record says"),
        ("missing", "no row of letter pay-5:0"),
    ]


def test_a_record_whose_offset_the_sink_skipped_is_named(history: History) -> None:
    with psycopg.connect(history.database_url) as connection:
        connection.execute(f"truncate {TABLES}".encode())
    history.sink(skip=history.ends["pay-10"])
    found = [one for one in history.audit().findings if one.stage == "postgres job_transitions"]
    assert {(one.kind, one.job_id) for one in found} == {("missing", "pay-10")}
    assert {place(one) for one in found} == {history.ends["pay-10"]}


def test_a_position_of_the_sink_beyond_the_log_is_named(history: History) -> None:
    topic = history.topology.lifecycle(Tier.CRITICAL)
    change(history, "update sink_offsets set next = next + 100 where topic = %s and partition = 0", topic)
    found = [one for one in history.audit().findings if one.stage == "sink_offsets"]
    assert [(one.topic, one.partition) for one in found] == [(topic, 0)]


def test_what_the_sink_has_not_reached_is_not_missing_in_postgres(history: History) -> None:
    with psycopg.connect(history.database_url) as connection:
        connection.execute(f"truncate {TABLES}".encode())
    assert history.audit().findings == []


def test_in_small_parts_the_same_is_found(history: History) -> None:
    change(history, "update jobs set data = '{}' where job_id = %s", "pay-4")
    change(history, "delete from job_transitions where job_id = 'pay-8' and number = 0")
    change(history, "update dead_letter_jobs set value = 'x' where letter_id = 'pay-2:0'")
    change(history, "delete from dead_letter_jobs where letter_id = 'pay-5:0'")
    whole = history.audit()
    assert len(whole.findings) == 4
    assert history.audit(at_once=3).findings == whole.findings


# -- topics


@dataclass
class Tampered:
    """What an audit said of a history whose topics were tampered with, and where each tampering stands."""

    report: Report
    in_small_parts: Report
    at: dict[str, tuple[str, int, int]]

    def of(self, job_id: str) -> list[Finding]:
        return [one for one in self.report.findings if one.job_id == job_id and one.stage[:8] != "postgres"]


@pytest.fixture(scope="module")
def tampered(kafka_bootstrap: str, ordered: History) -> Iterator[Tampered]:
    """One history with everything in it, each on a job of its own."""
    history = made(kafka_bootstrap, ordered.database_url)
    jobs, at = history.jobs, {}
    lost, passed = history.admitted(92), history.admitted(93)
    at["no end"] = history.send_all([history.job_record(lost)])["pay-92"]
    history.work()
    at["no job"] = (passed.source_topic, passed.source_partition, passed.source_offset)
    history.refuse(JobRequest("bad", "money", "payment-process", "{}", history.now))
    forged = Transition(3, "active", "dead", 1, history.now, error=Failure("x", "y", False))
    at["forged end"] = history.send_all([history.history_record(jobs["pay-0"], forged)])["pay-0"]
    at["doubled history"] = history.send_all([history.end_record(1, jobs["pay-1"])])["pay-1"]
    at["doubled job"] = history.send_all([history.job_record(jobs["pay-3"])])["pay-3"]
    other = msgspec.structs.replace(history.admitted(94), data='{"amount": 1}')
    at["forged job"] = history.send_all([history.job_record(other)])["pay-94"]
    at["pending job"] = history.send_all([history.job_record(history.admitted(95))])["pay-95"]
    history.admitted(96)
    yield Tampered(history.audit(), history.audit(at_once=3), at)
    history.feed.delete()


def test_a_forged_end_is_named_with_its_offset_and_has_no_letter(tampered: Tampered) -> None:
    end, letter = tampered.of("pay-0")
    assert (end.kind, end.stage, letter.kind, letter.stage) == ("extra", "jobs", "missing", "dead letters")
    assert place(end) == place(letter) == tampered.at["forged end"]


def test_a_doubled_record_of_a_history_is_named_with_its_offset(tampered: Tampered) -> None:
    found = tampered.of("pay-1")
    assert {(one.kind, one.stage) for one in found} == {("extra", "jobs")}
    assert {place(one) for one in found} == {tampered.at["doubled history"]}


def test_a_doubled_tier_record_is_named_with_its_offset(tampered: Tampered) -> None:
    [found] = tampered.of("pay-3")
    assert (found.kind, found.stage, place(found)) == ("extra", "ingress", tampered.at["doubled job"])
    assert tampered.report.balance.tiers[1].repeated == 1


def test_a_tier_record_with_other_data_than_its_request_is_named(tampered: Tampered) -> None:
    [found] = tampered.of("pay-94")
    assert (found.kind, found.stage, place(found)) == ("differing", "ingress", tampered.at["forged job"])


def test_a_job_that_its_worker_passed_without_an_end_is_missing(tampered: Tampered) -> None:
    [found] = tampered.of("pay-92")
    assert (found.kind, found.stage, place(found)) == ("missing", "jobs", tampered.at["no end"])
    assert not tampered.report.clean


def test_a_request_that_the_router_passed_without_a_job_is_missing(tampered: Tampered) -> None:
    [found] = tampered.of("pay-93")
    assert (found.kind, found.stage, place(found)) == ("missing", "ingress", tampered.at["no job"])


def test_what_is_on_its_way_is_pending_and_what_was_refused_is_accounted_for(tampered: Tampered) -> None:
    assert tampered.of("pay-95") == tampered.of("pay-96") == tampered.of("bad") == []
    ingress = tampered.report.balance.ingress
    assert (ingress.pending, ingress.refused, ingress.missing) == (1, 1, 1)
    # The forged job, the pending one, and the doubled one's second record counts as repeated.
    assert tampered.report.balance.tiers[1].pending == 2


def test_of_topics_the_same_is_found_in_small_parts(tampered: Tampered) -> None:
    assert tampered.in_small_parts.balance == tampered.report.balance
    whole, small = (
        [one for one in report.findings if one.stage[:8] != "postgres"]
        for report in (tampered.report, tampered.in_small_parts)
    )
    assert small == whole


def test_nothing_else_is_said_of_the_jobs_that_are_in_order(tampered: Tampered) -> None:
    named = {one.job_id for one in tampered.report.findings if one.stage[:8] != "postgres"}
    assert named == {"pay-0", "pay-1", "pay-3", "pay-92", "pay-93", "pay-94"}
