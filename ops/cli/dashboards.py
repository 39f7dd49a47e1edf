"""`tierflow dashboards`: writes dashboards, rules and docs/metrics.md from their declarations."""

from collections.abc import Mapping
from pathlib import Path

import click

from schemas.errors import ConfigError


@click.command("dashboards")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit status 1 when a file is not what it should be."
)
def command(check: bool) -> None:
    """Write ops/dashboards/*.json, ops/rules/tierflow.rules.yml and docs/metrics.md."""
    differing = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    for path in differing:
        if not check:
            path.write_text(files()[path])
        click.echo(f"{'differs' if check else 'written'}: {path.name}")
    if check and differing:
        raise SystemExit(1)


def files() -> Mapping[Path, str]:
    """Every file that is made, and what belongs into it. ConfigError without Grafana's library."""
    try:
        from ops.dashboards import grafana
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing: pip install 'tierflow[test]'") from error
    from ops.dashboards.boards import boards
    from ops.rules import file, reference

    made = {grafana.path(board): grafana.text(board) for board in boards()}
    return {**made, file.PATH: file.text(), reference.PATH: reference.text()}
