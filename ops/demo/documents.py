"""The spreadsheets: every cell of the tables as an event, formulas over them, edits that must reach them."""

from dataclasses import dataclass, field

from ops.demo.checks import Check, close, equal, none_of
from ops.demo.figures import Figure, of_columns, of_groups
from ops.demo.gateway import Json, data_of
from ops.demo.scenario import World
from ops.demo.tables import Sheet, plain, sheets

GROUPED = {"iris": ("species", "petalLength"), "cars": ("Origin", "Horsepower"), "barley": ("site", "yield")}
USER = "demo-editor"


@dataclass
class Cells:
    """Cell events of all documents, each document's followed by formulas in the same stream."""

    run: str
    sheets: list[Sheet] = field(init=False)
    events: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sheets = sheets(self.run)

    async def send(self, world: World) -> None:
        """A document after the other, so that each is worked on while the next arrives."""
        for sheet in self.sheets:
            cells = [_update(sheet, cell, value) for cell, value in sheet.cells().items()]
            figures = list(of_columns(sheet))
            formulas = [_formula(sheet, number, figure) for number, figure in enumerate(figures)]
            ids = await world.gateway.events([*cells, *formulas])
            self.events += ids
            self.figures |= dict(zip(ids[len(cells) :], figures, strict=True))

    async def check(self, world: World) -> list[Check]:
        """Every figure is what pandas says: every cell is in its place, before the formula."""
        shown = await world.gateway.shown(list(self.figures))
        wrong = [
            f"{figure.formula} = {value}, pandas: {figure.expected}"
            for job_id, figure in self.figures.items()
            if not close(value := (data_of(shown[job_id]) or {}).get("value"), figure.expected)
        ]
        return [none_of("formulas equal pandas", "formulas over columns", wrong, len(self.figures))]


@dataclass
class Edits:
    """A second round, when the documents are complete: formula jobs, then an edit, then the same formula."""

    cells: Cells
    figures: dict[str, Figure] = field(default_factory=dict)
    circle: str = ""
    zero: str = ""
    edited: dict[str, float] = field(default_factory=dict)

    async def send(self, world: World) -> None:
        """Groups as jobs; in each sheet the first number changes after its sum was entered."""
        for sheet in self.cells.sheets:
            await self._groups(world, sheet)
            await self._edit(world, sheet)
        sheet = self.cells.sheets[0]
        one, other = sheet.free_cell(300), sheet.free_cell(301)
        ids = await world.gateway.events(
            [
                _update(sheet, sheet.free_cell(302), "=1/(2-2)"),
                _update(sheet, one, f"={other}+1"),
                _update(sheet, other, f"={one}+1"),
            ]
        )
        self.zero, self.circle = ids[0], ids[2]

    async def _groups(self, world: World, sheet: Sheet) -> None:
        if sheet.name not in GROUPED:
            return
        figures = list(of_groups(sheet, *GROUPED[sheet.name]))
        jobs = [_job(sheet, 200 + number, figure) for number, figure in enumerate(figures)]
        self.figures |= dict(zip(await world.gateway.jobs("robot", jobs), figures, strict=True))

    async def _edit(self, world: World, sheet: Sheet) -> None:
        column = sheet.numbers()[0]
        cell, values = sheet.cells_of(column)[0], sheet.frame[column]
        before = 0 if values.isna().iloc[0] else plain(values.iloc[0])
        total = sheet.free_cell(310)
        formula = f"=SUM({sheet.range_of(column)})"
        ids = await world.gateway.events(
            [
                _update(sheet, total, formula),
                _update(sheet, cell, 1_000_000),
                _update(sheet, sheet.free_cell(311), f"={total}"),
                _update(sheet, cell, before or None),
            ]
        )
        self.edited[ids[2]] = float(values.sum()) - float(before or 0) + 1_000_000

    async def check(self, world: World) -> list[Check]:
        """Groups equal pandas; an edit reached its dependents; a circle and a division by zero say so."""
        shown = await world.gateway.shown([*self.figures, *self.edited, self.circle, self.zero])
        wrong = [
            f"{figure.formula} = {value}, pandas: {figure.expected}"
            for job_id, figure in self.figures.items()
            if not close(value := (data_of(shown[job_id]) or {}).get("result"), figure.expected)
        ]
        stale = [
            f"{value}, expected {expected}"
            for job_id, expected in self.edited.items()
            if not close(value := (data_of(shown[job_id]) or {}).get("value"), expected)
        ]
        return [
            none_of("grouped formulas equal pandas", "formula jobs", wrong, len(self.figures)),
            none_of("an edit reaches its dependents", "edited documents", stale, len(self.edited)),
            equal("a circle shows #CIRC!", (data_of(shown[self.circle]) or {}).get("value"), "#CIRC!"),
            equal(
                "a division by zero shows #DIV/0!", (data_of(shown[self.zero]) or {}).get("value"), "#DIV/0!"
            ),
        ]


def _update(sheet: Sheet, cell: str, value: object) -> Json:
    return _event(sheet, "cell_update", {"cellId": cell, "newValue": value})


def _formula(sheet: Sheet, number: int, figure: Figure) -> Json:
    return _event(sheet, "formula_change", {"cellId": sheet.free_cell(number), "formula": figure.formula})


def _event(sheet: Sheet, kind: str, data: Json) -> Json:
    return {"type": kind, "documentId": sheet.document_id, "userId": USER, "data": data}


def _job(sheet: Sheet, number: int, figure: Figure) -> Json:
    data = {
        "documentId": sheet.document_id,
        "userId": USER,
        "cellId": sheet.free_cell(number),
        "formula": figure.formula,
        "dependencies": [],
    }
    return {"type": "formula_calculation", "data": data}
