"""`tierflow config`: every setting with its value and where that came from; secrets are masked."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
from pydantic import SecretStr

from streams.settings import Section, Settings, load

MASK = "********"


@dataclass(frozen=True, slots=True)
class Line:
    """One setting as it is shown."""

    section: str
    name: str
    value: str | None
    source: str


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def command(as_json: bool) -> None:
    """Show every setting, its value and its source."""
    lines = list(shown(load(), os.environ))
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    width = max(len(line.name) for line in lines)
    section = ""
    for line in lines:
        if line.section != section:
            section = line.section
            click.echo(f"[{section}]")
        click.echo(f"  {line.name:{width}}  {line.value or '-'}  ({line.source})")


def shown(settings: Settings, environment: Mapping[str, str]) -> Iterator[Line]:
    """The settings line by line."""
    for section in type(settings).model_fields:
        part: Section = getattr(settings, section)
        for field, about in type(part).model_fields.items():
            name = str(about.alias)
            yield Line(section, name, masked(getattr(part, field)), _source(name, environment))


def masked(value: Any) -> str | None:
    """A value as text. Of a secret address only the password is hidden, of any other secret all."""
    if value is None:
        return None
    if not isinstance(value, SecretStr):
        return str(value)
    secret = value.get_secret_value()
    parts = urlsplit(secret)
    if not parts.scheme or not parts.hostname:
        return MASK
    if parts.password is None and not parts.query:
        return secret
    place = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}:{MASK}@" if parts.password is not None else ""
    return urlunsplit((parts.scheme, f"{user}{place}", parts.path, MASK if parts.query else "", ""))


def _source(name: str, environment: Mapping[str, str]) -> str:
    """A file wins over the variable itself, as in `streams.settings`."""
    if environment.get(f"{name}_FILE"):
        return f"file {environment[f'{name}_FILE']}"
    return "environment" if environment.get(name) else "default"
