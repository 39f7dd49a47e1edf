import pytest

from connectors.postgres.migrate import Migration, check, plan, read
from schemas.errors import ConfigError

ONE, TWO = Migration(1, "one", "create 1", "drop 1"), Migration(2, "two", "create 2", "drop 2")
FILES = [
    ("0002_two.up.sql", "create 2"),
    ("0001_one.down.sql", "drop 1"),
    ("0001_one.up.sql", "create 1"),
    ("0002_two.down.sql", "drop 2"),
    ("notes.txt", "ignored"),
]


def test_files_are_read_in_the_order_of_their_numbers() -> None:
    assert read(FILES) == [ONE, TWO]


def test_a_migration_needs_a_way_back() -> None:
    with pytest.raises(ConfigError, match=r"0001_one needs an .up.sql and a .down.sql"):
        read([("0001_one.up.sql", "")])


def test_two_migrations_of_one_number_are_refused() -> None:
    with pytest.raises(ConfigError, match="a number of its own"):
        read([*FILES, ("0002_other.up.sql", ""), ("0002_other.down.sql", "")])


def test_numbers_may_have_gaps() -> None:
    four = Migration(4, "four", "create 4", "drop 4")
    assert plan([ONE, four], {4: four.sha256}, None) == [(ONE, True)]


def test_forward_goes_from_what_is_applied_to_the_last() -> None:
    assert plan([ONE, TWO], {1: ONE.sha256}, None) == [(TWO, True)]


def test_back_undoes_the_latest_first() -> None:
    assert plan([ONE, TWO], {1: ONE.sha256, 2: TWO.sha256}, 0) == [(TWO, False), (ONE, False)]


def test_a_goal_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of 0, 1, 2"):
        plan([ONE, TWO], {}, 3)


def test_a_file_changed_after_it_was_applied_is_refused() -> None:
    with pytest.raises(ConfigError, match="0001_one was changed"):
        check([ONE], {1: "another"})


def test_a_database_ahead_of_the_release_is_refused() -> None:
    with pytest.raises(ConfigError, match="0002, which this release does not know"):
        check([ONE], {1: ONE.sha256, 2: TWO.sha256})
