from ops.demo.figures import of_columns, of_groups
from ops.demo.ledger import lines, once
from ops.demo.observer import Observer, Seen
from ops.demo.tables import Sheet, sheets, table


def sheet(name: str) -> Sheet:
    return next(each for each in sheets("run") if each.name == name)


def test_a_table_becomes_cells_under_a_header() -> None:
    cells = sheet("iris").cells()
    assert len(cells) == 5 + 150 * 5
    assert (cells["A1"], cells["A2"], cells["E2"]) == ("sepalLength", 5.1, "setosa")


def test_missing_values_are_empty_cells() -> None:
    cars = sheet("cars")
    missing = [cell for cell in cars.cells_of("Miles_per_Gallon") if cell not in cars.cells()]
    assert len(missing) == table("cars")["Miles_per_Gallon"].isna().sum() > 0


def test_dates_are_iso_8601() -> None:
    assert sheet("stocks").cells()["B2"] == "2000-01-01"


def test_figures_cover_every_column_of_numbers() -> None:
    formulas = {figure.formula: figure.expected for figure in of_columns(sheet("wheat"))}
    assert len(formulas) == 3 * 8
    assert formulas["=COUNT(C2:C53)"] == table("wheat")["wages"].notna().sum()


def test_groups_are_computed_from_the_same_table() -> None:
    figures = list(of_groups(sheet("iris"), "species", "petalLength"))
    assert figures[2].formula == '=COUNTIF(E2:E151,"setosa")'
    assert figures[2].expected == 50


def observed(**jobs: Seen) -> Observer:
    observer = Observer.__new__(Observer)
    observer.jobs = jobs
    return observer


def test_a_job_without_an_end_is_lost_and_one_with_two_ends_is_doubled() -> None:
    fine = Seen(1, "t", 0, "completed", 5, 1)
    twice = Seen(1, "t", 0, "completed", 5, 2)
    running = Seen(1, "t", 0, "active")
    accepted = dict.fromkeys(("fine", "twice", "running", "unseen"), 1)
    lost, doubled = once(accepted, observed(fine=fine, twice=twice, running=running))
    assert (lost.ok, doubled.ok) == (False, False)
    assert lost.found.startswith("2 of 4")
    assert doubled.found.startswith("1 of 4")


def test_the_table_counts_what_is_pending_and_measures_what_completed() -> None:
    jobs = {f"j{n}": Seen(2, "t", 0, "completed", n, 1) for n in range(1, 101)}
    jobs["dead"] = Seen(2, "t", 0, "dead", 5, 1)
    accepted = dict.fromkeys((*jobs, "unseen"), 2)
    line = lines(accepted, observed(**jobs))[1]
    assert (line.accepted, line.completed, line.dead, line.pending) == (102, 100, 1, 1)
    assert line.p50_ms is not None
    assert 50 <= line.p50_ms <= 51
