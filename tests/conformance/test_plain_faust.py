"""The suite can fail: plain Faust on aiokafka, under the same faults, breaks the invariants."""

from pathlib import Path

import pytest

from tests.conformance.run import PLAIN_FAUST, Case, run


@pytest.mark.timeout(300)
def test_plain_faust_loses_or_doubles_records(kafka_bootstrap: str, tmp_path: Path) -> None:
    reports = []
    for seed in (1, 2, 3):
        case = Case(
            scenario="kill",
            seed=seed,
            mode="plain",
            protocol="classic",
            records=10_000,
            span_s=8,
            limit_s=45,
            module=PLAIN_FAUST,
        )
        reports.append(run(case, kafka_bootstrap, tmp_path))
        print(reports[-1])
        if not reports[-1].proof.holds:
            return
    pytest.fail(f"plain Faust held in {len(reports)} runs, so the suite proves nothing: {reports}")
