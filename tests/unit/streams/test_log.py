"""One line per event, in one format, for our loggers and the libraries' alike."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from streams import log
from streams.settings import ProcessSettings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {
        name: logging.getLogger(name).level for name in ("httpx", "httpcore", "faust", "mode", "aiokafka")
    }
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def a_process(**given: str) -> ProcessSettings:
    return ProcessSettings.model_validate({"TIERFLOW_INSTANCE": "test", **given})


def test_an_event_is_one_json_line_with_its_members(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(a_process())
    log.get("tierflow.test").info("job finished", job_id="j-1", attempt=2)
    (line,) = lines(capsys)
    assert {"event": "job finished", "job_id": "j-1", "attempt": 2, "level": "info"}.items() <= line.items()
    assert line["logger"] == "tierflow.test"
    assert str(line["timestamp"]).endswith("Z")


def test_an_exception_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(a_process())
    try:
        raise ValueError("of no use")
    except ValueError:
        log.get("tierflow.test").exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: of no use" in str(line["exception"])


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(a_process())
    logging.getLogger("some.library").warning("odd: %s", 7)
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("odd: 7", "warning", "some.library")


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(a_process(TIERFLOW_LOG_LEVEL="WARNING"))
    log.get("tierflow.test").info("quiet")
    logging.getLogger("httpx").info("quiet")
    log.get("tierflow.test").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_chatty_libraries_say_only_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(a_process(TIERFLOW_LOG_LEVEL="DEBUG"))
    for name in ("httpx", "faust", "mode"):
        logging.getLogger(name).info("request done")
    assert lines(capsys) == []


def test_for_people_a_line_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(a_process(TIERFLOW_LOG_FORMAT="console"))
    log.get("tierflow.test").info("job finished", job_id="j-1")
    text = capsys.readouterr().err
    assert "job finished" in text
    assert "job_id=j-1" in text
