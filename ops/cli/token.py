"""`tierflow token`: a development token for the gateway."""

import re
import time
from pathlib import Path

import click

from connectors.gateway.identity import Role
from connectors.gateway.tokens import make_token
from schemas.errors import ConfigError
from streams.settings import load

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Read `90`, `15m`, `8h`, `30d`."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", value)
    if match is None:
        raise click.BadParameter("use a number of seconds, or one with s, m, h or d: 15m, 8h, 30d")
    return int(match[1]) * _UNITS[match[2]]


@click.command("token")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="user", show_default=True)
@click.option("--user", default="dev", show_default=True, help="The token's subject.")
@click.option("--tenant", "tenants", multiple=True, help="A tenant (venue) of the user; may be repeated.")
@click.option(
    "--ttl", callback=_seconds, default="8h", show_default=True, help="Valid for: 90, 15m, 8h, 30d."
)
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A private key in PEM; without it the token is signed with JWT_SECRET.",
)
def command(role: str, user: str, tenants: tuple[str, ...], ttl: int, key_file: Path | None) -> None:
    """Print a development token for the gateway."""
    auth = load().auth
    key = key_file.read_text() if key_file else auth.secret.get_secret_value() if auth.secret else None
    if key is None:
        raise ConfigError("set JWT_SECRET (as for the gateway) or name a private key with --key-file")
    click.echo(
        make_token(
            key,
            subject=user,
            role=Role(role),
            tenants=tenants,
            now_s=int(time.time()),
            ttl_s=ttl,
            audience=auth.audience,
            issuer=auth.issuer,
        )
    )
