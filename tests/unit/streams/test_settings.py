"""Settings come from the environment, are typed, and are all reported at once when they do not hold."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.errors import ConfigError
from schemas.limits import GROUPS
from streams.settings import KafkaSettings, load, sections


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = load({})
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert (settings.gateway.port, settings.kafka.partitions, settings.auth.mode) == (3020, 12, "jwt")
    assert settings.providers.stripe_secret_key is None
    assert settings.process.instance


def test_an_empty_value_counts_as_unset() -> None:
    assert load({"TIERFLOW_PORT": "", "STRIPE_SECRET_KEY": ""}).gateway.port == 3020


def test_values_are_typed() -> None:
    settings = load({"TIERFLOW_PARTITIONS": "24", "TIERFLOW_DATA_DIR": "/srv/x", "TIERFLOW_PORT": "0"})
    assert (settings.kafka.partitions, settings.process.data_dir, settings.gateway.port) == (
        24, Path("/srv/x"), 0,
    )  # fmt: skip


def test_everything_wrong_is_told_at_once() -> None:
    wrong = {
        "TIERFLOW_PARTITIONS": "0", "TIERFLOW_PORT": "http", "TIERFLOW_LOG_LEVEL": "LOUD",
        "JWT_SECRET": "hunter2", "TIERFLOW_TOPIC_PREFIX": "a b", "STRIPE_SECRET_KEY_FILE": "/nowhere/key",
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        load(wrong)
    for name in wrong:
        assert f"  {name}: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_test_1\n")
    settings = load({"STRIPE_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert settings.providers.stripe_secret_key is not None
    assert settings.providers.stripe_secret_key.get_secret_value() == "sk_test_1"
    assert "sk_test_1" not in repr(settings)


def test_a_variable_that_only_looks_like_one_of_ours_is_left_alone() -> None:
    assert load({"SSL_CERT_FILE": "/nowhere", "HOME_FILE": "/nowhere"})


def test_two_sources_of_keys_are_refused_unless_nobody_is_asked() -> None:
    two = {"JWT_JWKS_URL": "https://x", "JWT_SECRET": "s" * 32}
    with pytest.raises(ConfigError, match="Auth: Value error, set only one of"):
        load(two)
    assert load({**two, "TIERFLOW_AUTH": "open"}).auth.mode == "open"


def test_a_client_gets_only_what_is_set() -> None:
    assert load({}).kafka.client() == {
        "bootstrap.servers": "127.0.0.1:9092", "security.protocol": "PLAINTEXT",
    }  # fmt: skip
    secure = {"KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "p", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    client = load(secure).kafka.client()
    assert (client["sasl.username"], client["sasl.password"]) == ("u", "p")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load({}).kafka.partitions = 3


def test_no_two_sections_read_one_variable() -> None:
    aliases = [field.alias for section in sections().values() for field in section.model_fields.values()]
    assert len(aliases) == len(set(aliases))
    assert sections()["kafka"] is KafkaSettings


def test_a_providers_limit_may_be_set_in_part() -> None:
    groups = load(
        {"RATE_LIMIT_STRIPE": "40", "RATE_LIMIT_AGENT_CLI": "concurrent=3, burst=4"}
    ).limits.groups()
    assert (groups["stripe"].per_second, groups["stripe"].burst) == (40, 50)
    assert (groups["agent-cli"].per_second, groups["agent-cli"].concurrent) == (2, 3)
    assert groups.keys() == GROUPS.keys()


@pytest.mark.parametrize(
    "text", ["fast", "speed=3", "concurrent=0", "burst=10", "per_second=0", "requests=0"]
)
def test_a_limit_that_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="RATE_LIMIT_STRIPE"):
        load({"RATE_LIMIT_STRIPE": text})
