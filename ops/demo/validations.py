"""Rules over the documents, with the bad cells known from the table itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas  # type: ignore[import-untyped]

from ops.demo.checks import Check, none_of
from ops.demo.documents import USER, Cells
from ops.demo.gateway import Json, data_of
from ops.demo.scenario import World
from ops.demo.tables import Sheet

Bad = Callable[[pandas.Series], "pandas.Series"]


@dataclass(frozen=True)
class Rule:
    """A rule on a column, and which records pandas says break it."""

    sheet: str
    column: str
    rule: Json
    bad: Bad


def _present(bad: Bad) -> Bad:
    """An empty cell breaks no rule but `required`."""
    return lambda column: column.notna() & bad(column)


RULES = (
    Rule("cars", "Miles_per_Gallon", {"type": "required"}, lambda column: column.isna()),
    Rule(
        "cars",
        "Weight_in_lbs",
        {"type": "range", "parameters": {"min": 2000, "max": 4500}},
        lambda column: ~column.between(2000, 4500),
    ),
    Rule(
        "cars",
        "Origin",
        {"type": "enum", "parameters": {"values": ["USA", "Europe"]}},
        lambda column: ~column.isin(["USA", "Europe"]),
    ),
    Rule("cars", "Name", {"type": "unique"}, lambda column: column.duplicated(keep=False)),
    Rule(
        "cars",
        "Name",
        {"type": "length", "parameters": {"max": 20}},
        lambda column: column.str.len() > 20,
    ),
    Rule(
        "cars",
        "Name",
        {"type": "regex", "parameters": {"pattern": "^[a-z]+ "}},
        lambda column: ~column.str.contains(r"^[a-z]+ ", regex=True),
    ),
    Rule(
        "cars",
        "Horsepower",
        {"type": "cross-cell", "parameters": {"formula": "={cell}<=2*AVERAGE(E2:E407)"}},
        lambda column: column > 2 * column.mean(),
    ),
    Rule(
        "burtin",
        "Penicillin",
        {"type": "type", "parameters": {"type": "integer"}},
        _present(lambda column: column % 1 != 0),
    ),
    Rule(
        "seattle_weather",
        "date",
        {"type": "date", "parameters": {"min": "2012-03-01"}},
        lambda column: column < pandas.Timestamp("2012-03-01"),
    ),
    Rule("barley", "site", {"type": "email"}, lambda column: column.notna()),
)


@dataclass
class Validations:
    """A job for each rule; the verdict on every cell is compared."""

    cells: Cells
    expected: dict[str, tuple[Rule, dict[str, bool]]] = field(default_factory=dict)

    async def send(self, world: World) -> None:
        """All in one batch."""
        by_name = {sheet.name: sheet for sheet in self.cells.sheets}
        jobs = [_job(by_name[rule.sheet], rule) for rule in RULES]
        for job_id, rule in zip(await world.gateway.jobs("robot", jobs), RULES, strict=True):
            sheet = by_name[rule.sheet]
            good = ~rule.bad(sheet.frame[rule.column])
            verdicts = zip(sheet.cells_of(rule.column), map(bool, good), strict=True)
            self.expected[job_id] = rule, dict(verdicts)

    async def check(self, world: World) -> list[Check]:
        """Exactly the bad cells are found."""
        shown = await world.gateway.shown(list(self.expected))
        wrong, cells, bad = [], 0, 0
        for job_id, (rule, expected) in self.expected.items():
            found = _verdicts(shown[job_id])
            cells += len(expected)
            bad += sum(not good for good in expected.values())
            wrong += [
                f"{rule.rule['type']} on {rule.sheet} {cell}: {found.get(cell)}"
                for cell, good in expected.items()
                if found.get(cell) is not good
            ]
        return [none_of(f"validation finds exactly the {bad} bad cells", "verdicts", wrong, cells)]


def _job(sheet: Sheet, rule: Rule) -> Json:
    data = {
        "documentId": sheet.document_id,
        "userId": USER,
        "cellIds": sheet.cells_of(rule.column),
        "rules": [rule.rule],
    }
    return {"type": "validation", "data": data}


def _verdicts(job: Mapping[str, object]) -> dict[str, bool]:
    data = data_of(dict(job)) or {}
    return {line["cellId"]: line["valid"] for line in data.get("results", [])}
