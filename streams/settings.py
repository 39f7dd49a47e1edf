"""Settings from the environment: typed, frozen, a section per part, all that is wrong reported at once.

`NAME_FILE` names a file that holds the value of `NAME` (mounted secrets). Read by hand because
pydantic-settings knows neither that convention nor where each value came from.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from schemas.errors import ConfigError
from schemas.limits import GROUPS, ProviderLimit
from streams.core.blast import HoldRule


class Section(BaseModel):
    """A part's settings; each field's alias is its environment variable."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


Port = Annotated[int, Field(ge=0, le=65535)]


class KafkaSettings(Section):
    """How to reach Kafka, and the shape of the topics."""

    bootstrap_servers: str = Field("127.0.0.1:9092", alias="KAFKA_BOOTSTRAP_SERVERS")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", alias="KAFKA_SECURITY_PROTOCOL"
    )
    sasl_mechanism: str | None = Field(None, alias="KAFKA_SASL_MECHANISM")
    sasl_username: str | None = Field(None, alias="KAFKA_SASL_USERNAME")
    sasl_password: SecretStr | None = Field(None, alias="KAFKA_SASL_PASSWORD")
    ssl_ca_location: str | None = Field(None, alias="KAFKA_SSL_CA_LOCATION")
    schema_registry_url: str | None = Field(None, alias="SCHEMA_REGISTRY_URL")
    group_protocol: Literal["consumer", "classic"] = Field("consumer", alias="TIERFLOW_GROUP_PROTOCOL")
    topic_prefix: str = Field("tierflow.", alias="TIERFLOW_TOPIC_PREFIX", pattern=r"^[a-zA-Z0-9._-]*$")
    partitions: int = Field(12, alias="TIERFLOW_PARTITIONS", ge=1, le=1000)
    replication: int = Field(3, alias="TIERFLOW_REPLICATION", ge=1, le=7)

    @property
    def min_in_sync(self) -> int:
        """Replicas that must hold a record before it is acknowledged."""
        return max(1, self.replication - 1)

    def client(self) -> dict[str, Any]:
        """What every librdkafka client needs to connect."""
        given = {
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            "ssl.ca.location": self.ssl_ca_location,
        }
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            **{name: value for name, value in given.items() if value is not None},
        }

    def lone_reader(self) -> dict[str, Any]:
        """What a consumer needs that reads all of a topic for itself, from its beginning, in no group."""
        return {
            **self.client(),
            "group.id": "none",  # the client wants one; it is neither joined nor committed to
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,
        }


class PostgresSettings(Section):
    """Where tier-1 records are kept."""

    url: SecretStr = Field(SecretStr("postgresql://127.0.0.1:5432/tierflow"), alias="DATABASE_URL")
    writers: int = Field(2, alias="TIERFLOW_SINK_WRITERS", ge=1, le=32)


class RedisSettings(Section):
    """Where the status of jobs is kept for reading."""

    url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), alias="REDIS_URL")


class AuthSettings(Section):
    """Who may call the gateway. Exactly one of PEM, JWKS URL and shared secret, unless the mode is open."""

    mode: Literal["jwt", "open"] = Field("jwt", alias="TIERFLOW_AUTH")
    public_key: str | None = Field(None, alias="JWT_PUBLIC_KEY")
    jwks_url: str | None = Field(None, alias="JWT_JWKS_URL")
    secret: SecretStr | None = Field(None, alias="JWT_SECRET", min_length=32)
    algorithms: str = Field("RS256,ES256", alias="JWT_ALGORITHMS")
    audience: str | None = Field(None, alias="JWT_AUDIENCE")
    issuer: str | None = Field(None, alias="JWT_ISSUER")

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> "AuthSettings":
        given = [name for name in ("public_key", "jwks_url", "secret") if getattr(self, name)]
        if self.mode == "jwt" and len(given) > 1:
            raise ValueError("set only one of JWT_PUBLIC_KEY, JWT_JWKS_URL, JWT_SECRET")
        return self


class GatewaySettings(Section):
    """The HTTP gateway."""

    host: str | None = Field(None, alias="TIERFLOW_HOST")
    port: Port = Field(3020, alias="TIERFLOW_PORT")
    shared_port: bool = Field(
        False, alias="TIERFLOW_SHARED_PORT", description="several gateways may listen on it"
    )
    body_limit: int = Field(1_000_000, alias="TIERFLOW_BODY_LIMIT", ge=1_000)
    cors_origins: str = Field("", alias="TIERFLOW_CORS_ORIGINS", description="origins, comma-separated")
    batch_body_limit: int = Field(10_000_000, alias="TIERFLOW_BATCH_BODY_LIMIT", ge=1_000)


class ProviderSettings(Section):
    """Outside providers. A job of a type whose provider lacks its credentials is refused at submit."""

    stripe_secret_key: SecretStr | None = Field(None, alias="STRIPE_SECRET_KEY")
    stripe_api_base: str = Field("https://api.stripe.com", alias="STRIPE_API_BASE")
    smtp_url: SecretStr | None = Field(None, alias="SMTP_URL")
    mail_from: str = Field("no-reply@localhost", alias="TIERFLOW_MAIL_FROM")
    coding_command: str | None = Field(None, alias="TIERFLOW_CODING_COMMAND")
    coding_root: Path | None = Field(None, alias="TIERFLOW_CODING_ROOT")


def _limit(given: object, info: ValidationInfo) -> ProviderLimit:
    """A provider's limit: `25` calls a second, or `per_second=25,burst=60`; what is not named stays."""
    default = GROUPS[str(info.field_name).replace("_", "-")]
    if isinstance(given, ProviderLimit):
        return given
    parts = [part.strip() for part in str(given).split(",")]
    pairs = {name.strip() or "per_second": value for name, _, value in (p.rpartition("=") for p in parts)}
    kinds = {"per_second": float, "concurrent": int, "burst": int, "cooldown_ms": int, "requests": int}
    if unknown := pairs.keys() - kinds.keys():
        raise ValueError(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(kinds)}")
    return replace(default, **{name: kinds[name](value) for name, value in pairs.items()})


Limit = Annotated[ProviderLimit, BeforeValidator(_limit)]


class LimitSettings(Section):
    """How many calls a provider may get, from all workers together: `25`, or `per_second=25,burst=60`."""

    stripe: Limit = Field(GROUPS["stripe"], alias="RATE_LIMIT_STRIPE")
    square: Limit = Field(GROUPS["square"], alias="RATE_LIMIT_SQUARE")
    sendgrid: Limit = Field(GROUPS["sendgrid"], alias="RATE_LIMIT_SENDGRID")
    twilio: Limit = Field(GROUPS["twilio"], alias="RATE_LIMIT_TWILIO")
    solana: Limit = Field(GROUPS["solana"], alias="RATE_LIMIT_SOLANA")
    quickbooks: Limit = Field(GROUPS["quickbooks"], alias="RATE_LIMIT_QUICKBOOKS")
    internal: Limit = Field(GROUPS["internal"], alias="RATE_LIMIT_INTERNAL")
    push: Limit = Field(GROUPS["push"], alias="RATE_LIMIT_PUSH")
    agent_cli: Limit = Field(GROUPS["agent-cli"], alias="RATE_LIMIT_AGENT_CLI")

    def groups(self) -> dict[str, ProviderLimit]:
        """Every limit by its group."""
        limits: list[ProviderLimit] = [getattr(self, name) for name in type(self).model_fields]
        return {limit.group: limit for limit in limits}


class HandlerSettings(Section):
    """Job authors' own handlers, and how many processes run those that compute."""

    packages: str = Field("", alias="TIERFLOW_HANDLERS", description="modules or packages, comma-separated")
    cpu_processes: int = Field(2, alias="TIERFLOW_CPU_PROCESSES", ge=1, le=1000)
    hung_threads: int = Field(
        20, alias="TIERFLOW_HUNG_THREADS", ge=1,
        description="so many functions that hang, or half of the slots, end a worker for a new one",
    )  # fmt: skip


class HoldSettings(Section):
    """When a job type is held because its jobs die: `streams/core/blast.py`, counted in each worker."""

    share: float = Field(
        0.5,
        alias="TIERFLOW_HOLD_SHARE",
        gt=0,
        le=1,
        description="1 holds none: more than this share must die",
    )
    least: int = Field(20, alias="TIERFLOW_HOLD_LEAST", ge=1, description="of at least so many that ended")
    window_s: float = Field(60, alias="TIERFLOW_HOLD_WINDOW_S", ge=1, le=86_400)

    def rule(self) -> HoldRule:
        """What the core is given."""
        return HoldRule(self.share, self.least, self.window_s)


class ProcessSettings(Section):
    """This process: its fixed name, its own metrics port, its folder, its log."""

    instance: str = Field(default_factory=socket.gethostname, alias="TIERFLOW_INSTANCE", min_length=1)
    metrics_port: Port = Field(0, alias="TIERFLOW_METRICS_PORT")
    metrics_host: str = Field("127.0.0.1", alias="TIERFLOW_METRICS_HOST")
    data_dir: Path = Field(Path(".tierflow"), alias="TIERFLOW_DATA_DIR")
    concurrency: int = Field(200, alias="TIERFLOW_CONCURRENCY", ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="TIERFLOW_LOG_LEVEL")
    log_format: Literal["json", "console"] = Field("json", alias="TIERFLOW_LOG_FORMAT")


class Settings(Section):
    """Every section."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    redis: RedisSettings
    auth: AuthSettings
    gateway: GatewaySettings
    providers: ProviderSettings
    limits: LimitSettings
    handlers: HandlerSettings
    hold: HoldSettings
    process: ProcessSettings


def sections() -> dict[str, type[Section]]:
    """The sections by name."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment (this process's by default); ConfigError names all that is wrong."""
    values, wrong = _with_files(os.environ if environment is None else environment)
    made: dict[str, Section] = {}
    for name, section in sections().items():
        try:
            made[name] = section.model_validate(values)
        except ValidationError as error:
            wrong += [_explain(item["loc"], item["msg"], section) for item in error.errors()]
    if wrong:
        raise ConfigError("settings that do not hold:\n" + "\n".join(f"  {line}" for line in wrong))
    return Settings.model_validate(made)


def _with_files(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values = {name: value for name, value in environment.items() if value}
    wrong = []
    known = {str(field.alias) for section in sections().values() for field in section.model_fields.values()}
    for name in known & {key.removesuffix("_FILE") for key in values if key.endswith("_FILE")}:
        try:
            values[name] = Path(values[f"{name}_FILE"]).read_text().strip()
        except OSError as error:
            wrong.append(f"{name}_FILE: {error.strerror}: {values[f'{name}_FILE']}")
    return values, wrong


def _explain(location: tuple[int | str, ...], message: str, section: type[Section]) -> str:
    return f"{location[0] if location else section.__name__.removesuffix('Settings')}: {message}"
