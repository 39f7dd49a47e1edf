"""From samples, moments and counters to figures."""

import os
import time

import pytest

from ops.bench import drain, jobs, latency, load, machine
from ops.bench.cpu import Meter, by_thread, cpu_s
from ops.bench.stage import compare
from schemas.records import Job, JobRequest, Lifecycle, Transition
from streams.codec import Codec


def samples(*points: tuple[float, int, float]) -> list[compare.Sample]:
    return [compare.Sample(*point) for point in points]


def test_a_rate_leaves_out_what_came_before_the_first_tenth() -> None:
    found = compare._figures("x", samples((0, 0, 1.0), (5, 100, 2.0), (6, 600, 2.5), (7, 1_000, 3.0)), 1_000)
    assert found.records == 900
    assert found.rate == pytest.approx(450)
    assert found.cpu_us == pytest.approx(1.0 / 900 * 1e6)


def test_a_run_that_is_over_at_the_second_look_is_measured_from_its_start() -> None:
    found = compare._figures("x", samples((0, 0, 0.0), (2, 1_000, 1.0)), 1_000)
    assert found.rate == pytest.approx(500)


def test_the_ratios_compare_ours_with_plain_faust() -> None:
    results = [
        compare.Result(compare.OURS, 1, 60_000, 10, 1),
        compare.Result(compare.QUIX, 1, 20_000, 40, 1),
        compare.Result(compare.FAUST, 1, 3_000, 400, 1),
    ]
    assert compare.ratio(results) == 20
    assert compare.cpu_ratio(results) == 40


def test_without_quix_streams_two_engines_are_left_and_ours_is_the_first() -> None:
    assert [engine.name for engine in compare.engines(None)] == [compare.OURS, compare.FAUST]


def test_percentiles_are_values_that_were_measured() -> None:
    found = latency.percentiles([float(n) for n in range(1, 201)])
    assert found == {"p50": 100, "p90": 180, "p99": 198, "max": 200}


def test_percentiles_of_one_value_are_that_value() -> None:
    assert set(latency.percentiles([7.0]).values()) == {7.0}


def test_the_steady_rate_leaves_out_both_ends() -> None:
    pace = [(0.0, 1), (5.0, 100), (6.0, 500), (7.0, 900), (30.0, 1_000)]
    assert load.steady_rate(pace) == pytest.approx(400)


def test_a_drain_seen_in_one_look_has_no_steady_rate() -> None:
    assert load.steady_rate([(1.0, 1_000)]) == 0


def test_hops_add_up_to_the_whole_way() -> None:
    codec, topics = Codec(), ["requests", "lane", "lifecycle"]
    sent = [latency.Sent("j1", 1_000_000, 9_000_000)]
    seen = [
        ("requests", 4_000_000, codec.encode(_request("j1"))),
        ("lane", 10_000_000, codec.encode(_job("j1"))),
        ("lifecycle", 20_000_000, codec.encode(_ended("j1", '{"data":{"startedNs":12000000}}'))),
    ]  # fmt: skip
    found = latency.hops(sent, seen, topics)
    assert [values[0] for values in found.values()] == [11.0, 3.0, 6.0, 2.0, 8.0]
    whole, *parts, _ = found.values()
    assert sum(part[0] for part in parts) == pytest.approx(whole[0])


def test_the_meter_counts_the_cpu_of_a_process_and_of_its_loop() -> None:
    meter = Meter.start({"me": os.getpid()})
    before = by_thread(os.getpid())
    end = cpu_s(os.getpid()) + 0.1
    while cpu_s(os.getpid()) < end:
        sum(range(10_000))
    assert 0.08 <= meter.used()["me"] < 5
    assert by_thread(os.getpid())["loop"] > before["loop"]


def test_a_process_that_has_ended_uses_nothing() -> None:
    assert cpu_s(2**22 + 1) == 0


def test_figures_are_told_by_job_and_process() -> None:
    found = jobs.as_dict(
        drain.Figures(1_000, 0.5, 2.0, 2.5, 600.0, {"worker-2": 0.3, "bench itself": 0.1},
                     {"worker-2": {"loop": 0.2}}, {"worker-2": 90}, {"worker-2": 10})
    )  # fmt: skip
    assert found["jobs_per_s"] == 500
    assert found["readable_jobs_per_s"] == 400
    assert found["cpu_us_per_job"] == {"worker-2": 300.0, "bench itself": 100.0}
    assert found["cpu_us_per_job_total"] == 300.0, "the benchmark's own work is no cost of a job"


def test_the_machine_names_the_kafka_that_the_stack_starts() -> None:
    assert machine.describe()["kafka"] == "4.2.1"


def _request(job_id: str) -> JobRequest:
    return JobRequest(job_id, load.QUEUE, load.KIND, "{}", int(time.time() * 1000))


def _job(job_id: str) -> Job:
    return Job(
        job_id, 0, load.QUEUE, load.KIND, 2, 5, "{}", b"h", "k", 0, 3, "exponential", 1, 1, False, 1_000,
        "t", 0, 0,
    )  # fmt: skip


def _ended(job_id: str, result: str) -> Lifecycle:
    moves = [
        Transition(1, "waiting", "active", 1, 0),
        Transition(2, "active", "completed", 1, 0, result=result),
    ]
    return Lifecycle(job_id, 0, load.QUEUE, load.KIND, 2, "w", moves, 0)
