"""`tierflow`: finds each command's module by its name and imports it only when it is asked for.

A command NAME is the object `command` of `ops/cli/NAME.py` (`-` in the name is `_` in the file). A module
with several top-level commands is listed in `SHARED`: there each command is the object of its own name.
"""

import pkgutil
from importlib import import_module
from pathlib import Path

import click

from ops.compiled import overlay
from schemas.errors import TierflowError

SHARED = {"up": "stack", "down": "stack", "status": "stack", "reset": "stack"}
_FOLDER = Path(__file__).parent


class LazyGroup(click.Group):
    """A group whose commands are modules beside this one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, without importing any."""
        modules = {module.name for module in pkgutil.iter_modules([str(_FOLDER)])}
        own = modules - {"main"} - set(SHARED.values())
        return sorted({name.replace("_", "-") for name in own} | set(SHARED))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command; None when there is none of that name."""
        if name not in self.list_commands(ctx):
            return None
        try:
            module = import_module(f"ops.cli.{SHARED.get(name, name.replace('-', '_'))}")
        except ModuleNotFoundError as error:
            return _not_installed(name, error.name or "")
        found = getattr(module, name if name in SHARED else "command")
        return found if isinstance(found, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error of ours is one message and exit status 1, not a stack trace."""
        try:
            return super().invoke(ctx)
        except TierflowError as error:
            raise click.ClickException(str(error)) from error


def _not_installed(name: str, package: str) -> click.Command:
    """Stands for a command whose optional packages are missing: it says so, and the others work."""
    if package.partition(".")[0] in {"schemas", "streams", "connectors", "agents", "ops"}:
        raise ImportError(f"{package} is missing from this installation")
    text = f"Not installed here: needs the package {package}."

    @click.command(name, help=text, context_settings={"ignore_unknown_options": True})
    @click.argument("ignored", nargs=-1)
    def command(ignored: tuple[str, ...]) -> None:
        raise click.ClickException(f"{text} It comes with `pip install 'tierflow[stack,demo]'`.")

    return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tierflow")
def main() -> None:
    """Event streams and jobs on Apache Kafka, each processed at the durability its tier promises."""


def start() -> None:
    """The command as a process of its own: on the compiled modules, where there are any."""
    overlay.use()
    main()


if __name__ == "__main__":
    start()
