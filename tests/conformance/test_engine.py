"""The engine under faults: every record has its effect exactly once, in order, and tables say so."""

from pathlib import Path

import pytest

from tests.conformance.run import Case, Report, run

SHORT = [
    Case(scenario="mix", seed=1, mode="async", store="rocksdb", sources=3, records=9_999, span_s=10),
    Case(scenario="kill", seed=2, mode="plain", protocol="classic", partitions=6, records=10_000, span_s=8),
]

MODES = ("inline", "async", "plain")


def long_cases() -> list[Case]:
    """Every fault with every kind of agent; protocols, stores, topics and partitions change along."""
    cases = []
    for at, scenario in enumerate(("kill", "stop", "roll", "mix")):
        for seed, mode in enumerate(MODES):
            number = at * len(MODES) + seed
            cases.append(
                Case(
                    scenario=scenario,
                    seed=seed,
                    mode=mode,
                    protocol=("consumer", "classic")[number % 2],
                    store=("memory", "rocksdb")[number // 2 % 2],
                    partitions=(4, 12)[number // 3 % 2],
                    sources=(1, 3)[number % 3 == 0],
                )
            )
    return cases


def name(case: Case) -> str:
    return f"{case.scenario}-{case.mode}-{case.protocol}-{case.store}-{case.sources}x{case.partitions}"


def expect_exactly_once(report: Report) -> None:
    print(report)
    assert report.proof.holds, report
    assert report.finished, report
    assert not report.hung, report


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", SHORT, ids=name)
def test_faults_leave_no_trace_in_the_results(case: Case, kafka_bootstrap: str, tmp_path: Path) -> None:
    expect_exactly_once(run(case, kafka_bootstrap, tmp_path))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", long_cases(), ids=name)
def test_the_long_form_with_sixty_thousand_records(case: Case, kafka_bootstrap: str, tmp_path: Path) -> None:
    expect_exactly_once(run(case, kafka_bootstrap, tmp_path))
