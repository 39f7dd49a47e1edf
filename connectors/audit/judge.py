"""Judges one job, or one record that came in, by all that is known of it; pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from schemas.records import Transition
from schemas.states import TERMINAL, State, is_allowed

Where = tuple[str, int, int]
"""A topic, a partition and an offset."""
Home = Literal["lane", "parked", "done"]
Fate = Literal["ended", "retry", "pending", "missing"]
_ENDS = {state.value for state in TERMINAL}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", order=True):
    """Something that should not be: `kind` missing, extra or differing, at `stage`, where it stands."""

    kind: str
    stage: str
    what: str
    job_id: str | None = None
    series: int | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None

    @property
    def name(self) -> tuple[str, ...]:
        """What two looks at the same thing have in common."""
        return tuple(str(getattr(self, name)) for name in self.__struct_fields__ if name != "what")

    def __str__(self) -> str:
        job = f" job {self.job_id} series {self.series}" if self.job_id is not None else ""
        place = f" at {self.topic}/{self.partition}/{self.offset}" if self.topic is not None else ""
        return f"{self.kind} [{self.stage}]{job}{place}: {self.what}"


@dataclass(slots=True)
class Case:
    """One attempt series of a job: its tier records and its transitions, each with its place."""

    job_id: str
    series: int
    records: list[Where] = field(default_factory=list)
    changes: list[tuple[Transition, Where]] = field(default_factory=list)

    def finding(self, kind: str, what: str, where: Where | None) -> Finding:
        """Something about this job."""
        return Finding(kind, "jobs", what, self.job_id, self.series, *(where or (None, None, None)))


@dataclass(slots=True)
class Judgement:
    """What became of a job, and what is wrong. `repeats`: tier records of it beyond the first."""

    fate: Fate
    repeats: int = 0
    findings: list[Finding] = field(default_factory=list)


def judge(case: Case, home: Callable[[Where], Home]) -> Judgement:
    """`home` says where a tier record is: before its worker, in the table of parked jobs, or done."""
    made = Judgement("ended", max(0, len(case.records) - 1))
    changes = sorted(case.changes, key=lambda change: (change[0].number, change[1]))
    if not case.records and changes:
        what = "transitions of a job that stands in no lane"
        made.findings.append(case.finding("extra", what, changes[0][1]))
    made.findings += _broken(case, changes)
    if any(change.to_state in _ENDS for change, _ in changes) or not case.records:
        return made
    homes = {home(record) for record in case.records}
    if homes == {"done"}:
        made.fate = "missing"
        what = "no end: its record was completed, and it is not parked"
        made.findings.append(case.finding("missing", what, case.records[0]))
    else:
        made.fate = "retry" if changes and _is_retry(changes[-1][0]) else "pending"
    return made


def _broken(case: Case, changes: list[tuple[Transition, Where]]) -> list[Finding]:
    """Where the chain does not hold."""
    found: list[Finding] = []
    number, state = 0, State.WAITING.value
    for change, where in changes:
        move = f"transition {change.number} {change.from_state} -> {change.to_state}"
        if change.number == number:
            found.append(case.finding("extra", f"{move} stands twice or in two versions", where))
            continue
        if state in _ENDS:
            found.append(case.finding("extra", f"{move} after the end ({state})", where))
        elif change.number > number + 1:
            what = f"transitions {number + 1} to {change.number - 1} before {move}"
            found.append(case.finding("missing", what, where))
        elif change.from_state != state:
            found.append(case.finding("differing", f"{move}, but the job was {state}", where))
        elif not is_allowed(State(change.from_state), State(change.to_state)):
            found.append(case.finding("differing", f"{move} is no legal move", where))
        number, state = change.number, change.to_state
    return found


def _is_retry(last: Transition) -> bool:
    return last.to_state == State.DELAYED and last.attempt >= 1 and last.from_state == State.FAILED


@dataclass(slots=True)
class Arrived:
    """A record that came in, and what the router made of it."""

    what: tuple[str, str] | None = None
    outputs: list[tuple[Where, tuple[str, str]]] = field(default_factory=list)


def judge_arrival(source: Where, arrived: Arrived, *, passed: bool) -> tuple[Finding | None, bool]:
    """What is wrong with a record that came in, and whether it is pending. `passed`: the router is beyond."""
    outputs, what = arrived.outputs, arrived.what
    wrong: tuple[str, str, Where] | None = None
    if what is None:
        if outputs:
            wrong = "extra", f"made from {_text(source)}, where no record came in", outputs[0][0]
    elif not outputs:
        if not passed:
            return None, True
        wrong = "missing", "it came in, and became neither a job nor a dead letter", source
    elif len(outputs) > 1:
        wrong = "extra", f"made {len(outputs)} times from {_text(source)}", outputs[-1][0]
    elif outputs[0][1] != what:
        wrong = "differing", f"its id or data are not those of {_text(source)}", outputs[0][0]
    if wrong is None:
        return None, False
    job_id = what[0] if what is not None else outputs[0][1][0]
    return Finding(wrong[0], "ingress", wrong[1], job_id or None, None, *wrong[2]), False


def _text(where: Where) -> str:
    return "/".join(map(str, where))
