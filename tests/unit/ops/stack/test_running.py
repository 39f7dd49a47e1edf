from pathlib import Path

from ops.stack.running import settings_of_running


def test_a_kafka_that_is_named_is_used_with_the_settings_of_the_environment(tmp_path: Path) -> None:
    found = settings_of_running({"KAFKA_BOOTSTRAP_SERVERS": "there:9092", "TIERFLOW_DATA": str(tmp_path)})
    assert found.kafka.bootstrap_servers == "there:9092"


def test_where_nothing_runs_the_defaults_hold(tmp_path: Path) -> None:
    assert settings_of_running({"TIERFLOW_DATA": str(tmp_path)}).kafka.bootstrap_servers == "127.0.0.1:9092"
