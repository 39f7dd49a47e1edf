"""Makes fresh services ours: tables by the migrations, topics by the topology. Blocking, repeatable."""

from collections.abc import Mapping


def migrate(environment: Mapping[str, str]) -> list[str]:
    """Apply the migrations that the database lacks; return their names."""
    from connectors.postgres.migrate import migrate as apply

    return list(apply(environment["DATABASE_URL"]))


def create_topics(environment: Mapping[str, str]) -> list[str]:
    """Create the topics that Kafka lacks; return their names."""
    from connectors.kafka.admin import create_topics as create
    from streams.settings import load

    return create(load(environment).kafka)
