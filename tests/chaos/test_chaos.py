"""The short form of the chaos suite: one seed, one broker; `make chaos` runs more of them.

The naive sink and the naive worker run under the same faults and must be found wrong, else nothing is proved.
"""

from pathlib import Path

import pytest

from tests.chaos.faults import DISKS, plan
from tests.chaos.run import Case, run


@pytest.mark.timeout(420)
def test_nothing_is_lost_doubled_or_reordered_under_faults(tmp_path: Path) -> None:
    report = run(Case(seed=3, jobs=3_000, faults=14, span_s=60.0), tmp_path)
    print("\n".join((*report.log, report.line())))
    assert report.holds, report.line()
    assert report.accepted > 2_900
    assert report.verdict.naive_sink > 0
    assert report.verdict.naive_worker > 0


def test_a_seed_is_always_the_same_plan() -> None:
    assert plan(5, 40, 60.0, 3) == plan(5, 40, 60.0, 3)
    assert plan(5, 40, 60.0, 3) != plan(6, 40, 60.0, 3)


def test_a_wide_plan_also_fills_disks_parts_roles_from_brokers_and_kills_between_effect_and_record() -> None:
    faults = plan(5, 400, 60.0, 3, wide=True)
    targets = {fault.target for fault in faults if fault.kind == "fill"}
    assert targets == {*DISKS, "kafka-1-disk", "kafka-2-disk", "kafka-3-disk"}
    assert {fault.target for fault in faults if fault.kind == "cut"} >= {"kafka-1-link", "kafka-3-link"}
    assert "effect" in {fault.kind for fault in faults}
