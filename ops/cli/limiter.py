"""`tierflow limiter`: grants the workers their calls to limited providers."""

import click

from ops import compose, probe, role
from streams.settings import load


@click.command("limiter")
def command() -> None:
    """Hold the providers' limits for all workers together."""
    settings = load()
    metrics = probe.registry()
    role.run(lambda: compose.limiter(settings, metrics), settings.process, metrics)
