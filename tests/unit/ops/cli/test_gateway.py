"""Putting the gateway together from settings and handlers."""

from typing import Any

import pytest

from agents.handlers.registry import Handler
from ops import probe
from ops.cli.gateway import make_app, missing_setting
from schemas.errors import ConfigError
from streams.settings import ProviderSettings, load


async def nothing(context: Any, data: Any) -> None:
    """A handler."""


HANDLERS = {
    "payment-process": Handler("payment-process", nothing, needs="stripe_secret_key"),
    "formula_calculation": Handler("formula_calculation", nothing),
}


def test_a_missing_credential_is_named_as_its_environment_variable() -> None:
    without = missing_setting(HANDLERS, ProviderSettings.model_validate({}))
    given = missing_setting(HANDLERS, ProviderSettings.model_validate({"STRIPE_SECRET_KEY": "sk"}))
    assert without("payment-process") == "STRIPE_SECRET_KEY"
    assert given("payment-process") is None
    assert without("formula_calculation") is None
    assert without("no handler at all") is None


def test_making_the_application_connects_to_nothing() -> None:
    app = make_app(load({"TIERFLOW_AUTH": "open"}), HANDLERS, probe.registry())
    assert app.state["parts"].available == frozenset(HANDLERS)
    assert app.state["parts"].loopback_only


def test_without_keys_and_without_open_mode_it_does_not_start() -> None:
    with pytest.raises(ConfigError, match="JWT_PUBLIC_KEY"):
        make_app(load({}), HANDLERS, probe.registry())
