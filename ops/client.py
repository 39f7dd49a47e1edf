"""The gateway as the command line sees it: one call, one answer, or one sentence and an exit status.

Exit status 1: the gateway refuses (not found, conflict, not allowed). 2: it cannot be reached, or is not able
to now.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import httpx

from ops.stack.folder import data_folder
from ops.stack.state import read

API = "/api/v1/queue"
REFUSED, AWAY = 1, 2
_DEFAULT = "http://127.0.0.1:3020"
_TIMEOUT_S = 15.0


class NotServed(click.ClickException):
    """The gateway did not do it."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.exit_code = status


class Client:
    """Calls the gateway's API."""

    def __init__(self, url: str, token: str | None, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=url.rstrip("/") + API, headers=headers, timeout=_TIMEOUT_S, transport=transport
        )

    def call(self, method: str, path: str, **query: Any) -> Any:
        """The answer; NotServed when it is a refusal, or none."""
        given = {name: value for name, value in query.items() if value is not None}
        try:
            answer = self._http.request(method, path, params=given)
        except httpx.HTTPError as error:
            raise NotServed(f"{self._http.base_url}: {error or type(error).__name__}", AWAY) from error
        if answer.is_success:
            return answer.json()
        raise NotServed(_sentence(answer), AWAY if answer.status_code >= 500 else REFUSED)


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options `--url`, `--token`, `--json`; it gets a `client` and `as_json`."""

    @click.option("--url", envvar="TIERFLOW_URL", help="The gateway (default: the local stack's).")
    @click.option(
        "--token", envvar="TIERFLOW_TOKEN", help="A token (`tierflow token`); better as TIERFLOW_TOKEN."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
    def called(url: str | None, token: str | None, **rest: Any) -> Any:
        return command(client=Client(url or _local_url(), token), **rest)

    called.__doc__ = command.__doc__
    called.__name__ = command.__name__
    called.__click_params__ = [*called.__click_params__, *getattr(command, "__click_params__", [])]  # type: ignore[attr-defined]
    return called


def show(answer: Any, as_json: bool, lines: Sequence[str]) -> None:
    """Print the answer as JSON, or what it says in lines."""
    for line in [json.dumps(answer, indent=2)] if as_json else lines:
        click.echo(line)


def _local_url() -> str:
    state = read(data_folder(None, os.environ, Path.cwd()).state)
    return state.gateway_url if state and state.runs() and state.gateway_url else _DEFAULT


def _sentence(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return f"{problem['detail']} ({answer.status_code} {problem['code']})"
    except (ValueError, KeyError, TypeError):
        return f"the gateway answers {answer.status_code}"
