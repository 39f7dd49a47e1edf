"""`tierflow recover`: after Kafka is gone for good, hands in again what Postgres holds as not ended."""

import json
import time
from collections import Counter
from typing import Any

import click

from agents.handlers import registry
from connectors.kafka.recovering import Recovery
from connectors.kafka.registry import codec as make_codec
from connectors.kafka.topic_ids import TopicIds
from connectors.postgres.left_open import alone, open_jobs, still_there, used_keys
from schemas.errors import ConfigError
from schemas.tiers import Tier
from streams.log import configure
from streams.settings import Settings, load
from streams.topics import Topology


@click.command("recover")
@click.option("--execute", is_flag=True, help="Really hand them in; without it only say which.")
@click.option("--same-cluster", is_flag=True, help="Go on although the topics are those of before.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output.")
def command(execute: bool, same_cluster: bool, as_json: bool) -> None:
    """Run it on a new Kafka after `tierflow topics create`, before the workers start.

    Each job keeps its id and its idempotency key and gets its next attempt series. What the new Kafka has a
    record of already is left alone, so a second run does nothing. Idempotency keys under which jobs completed
    are remembered anew. Exit status 1 when a job's data are not known to Postgres.
    """
    settings = load()
    configure(settings.process)
    registry.declare(settings.handlers.packages)
    with alone(settings.postgres.url.get_secret_value()) as connection:
        if connection is None:
            raise ConfigError("another process recovers now")
        topology = Topology.of(settings.kafka)
        ids = TopicIds(settings.kafka).of([*topology.lanes(Tier.CRITICAL), topology.lifecycle(Tier.CRITICAL)])
        if not ids:
            raise ConfigError("the topics are missing: run `tierflow topics create` first")
        if still_there(connection, ids) and not same_cluster:
            raise ConfigError(
                "the topics are those that the rows in Postgres came from: nothing is lost, the workers go on"
                " by themselves (--same-cluster hands in what no record of the topics names)"
            )
        report = _recover(settings, connection, execute)
    _tell(report, as_json)


def _recover(settings: Settings, connection: Any, execute: bool) -> dict[str, Any]:
    now = round(time.time() * 1000)
    recovery = Recovery(settings.kafka, make_codec(settings.kafka))
    try:
        known, remembered = recovery.known_jobs(), recovery.known_keys()
        found = list(open_jobs(connection, now))
        lost = [job for job in found if job.job_id not in known]
        keys = [key for key in used_keys(connection, now) if key.key not in remembered]
        # The keys first: a job that is handed in again must meet them.
        kept = recovery.remember(keys) if execute else 0
        submitted = recovery.submit(lost) if execute else 0
    finally:
        recovery.close()
    return {
        "executed": execute,
        "not_ended": len(found),
        "already_there": len(found) - len(lost),
        "lost": len(lost),
        "submitted": submitted,
        "keys_lost": len(keys),
        "keys_remembered": kept,
        "by_type": Counter(f"{job.type} {job.state}" for job in lost),
        "without_data": [job.job_id for job in lost if job.request is None],
    }


def _tell(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(f"{report['not_ended']} jobs not ended, {report['already_there']} of them known here")
        for kind, count in sorted(report["by_type"].items()):
            click.echo(f"  {kind}: {count}")
        verb = "handed in again" if report["executed"] else "would be handed in again"
        click.echo(f"{report['lost'] - len(report['without_data'])} {verb}, {report['keys_lost']} keys")
        for job_id in report["without_data"]:
            click.echo(f"  data not known: {job_id}")
        if not report["executed"]:
            click.echo("say --execute to do it", err=True)
    raise SystemExit(1 if report["without_data"] else 0)
