"""`tierflow topics create|check|diff`: the cluster's topics against the declared topology."""

import json

import click

from connectors.kafka.admin import Difference, create_topics, differences
from streams.settings import load

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


@click.group()
def command() -> None:
    """Create Kafka's topics, or compare them with what is declared."""


@command.command()
@_json
def create(as_json: bool) -> None:
    """Create the topics that are missing; then check them all."""
    settings = load().kafka
    created = create_topics(settings)
    if not as_json:
        for name in created:
            click.echo(f"created {name}")
    _report(differences(settings), as_json, created=created)


@command.command()
@_json
def check(as_json: bool) -> None:
    """Exit status 0 when every topic is as declared, else 1 and a sentence per difference."""
    _report(differences(load().kafka), as_json)


@command.command()
@_json
def diff(as_json: bool) -> None:
    """Show what differs, grouped by topic. Exit status as for check."""
    found = differences(load().kafka)
    if as_json:
        _report(found, as_json)
    for topic in dict.fromkeys(difference.topic for difference in found):
        click.echo(topic)
        for difference in found:
            if difference.topic == topic:
                sign = {"missing": "+", "partitions": "!", "config": "~"}[difference.kind]
                click.echo(f"  {sign} {difference.sentence}")
    raise SystemExit(1 if found else 0)


def _report(found: list[Difference], as_json: bool, *, created: list[str] | None = None) -> None:
    if as_json:
        members = [{"topic": d.topic, "kind": d.kind, "message": d.sentence} for d in found]
        click.echo(json.dumps({"created": created or [], "differences": members}, indent=2))
    else:
        for difference in found:
            click.echo(difference.sentence)
    if not found and not as_json:
        click.echo("every topic is as declared", err=True)
    raise SystemExit(1 if found else 0)
