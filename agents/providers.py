"""The outside providers of a worker, each there when its credentials are."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import ConfigError
from streams.settings import ProviderSettings

if TYPE_CHECKING:
    # A client's library takes megabytes and is imported when its credentials are there: see below.
    from connectors.child_process import CodingCommand
    from connectors.smtp import Mailer
    from connectors.stripe import Stripe


@dataclass(frozen=True, slots=True)
class Providers:
    """One client per provider. None: its credentials are not set, and its jobs are refused at submit."""

    stripe: "Stripe | None" = None
    mail: "Mailer | None" = None
    coding: "CodingCommand | None" = None

    async def aclose(self) -> None:
        """Close what is open; call it when no job runs any more."""
        if self.stripe is not None:
            await self.stripe.aclose()


def build(settings: ProviderSettings) -> Providers:
    """The providers that the settings allow. Opens no connection; ConfigError when one does not hold."""
    return Providers(stripe=_stripe(settings), mail=_mail(settings), coding=_coding(settings))


def _stripe(settings: ProviderSettings) -> "Stripe | None":
    if settings.stripe_secret_key is None:
        return None
    from connectors.stripe import Stripe

    return Stripe(settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base)


def _mail(settings: ProviderSettings) -> "Mailer | None":
    if settings.smtp_url is None:
        return None
    from connectors.smtp import Mailer

    return Mailer(settings.smtp_url.get_secret_value(), settings.mail_from)


def _coding(settings: ProviderSettings) -> "CodingCommand | None":
    if settings.coding_command is None:
        return None
    from connectors.child_process import CodingCommand

    if settings.coding_root is None:
        raise ConfigError("TIERFLOW_CODING_ROOT: set the folder in which coding tasks may work")
    search_path = os.environ.get("PATH", os.defpath)
    return CodingCommand(settings.coding_command, settings.coding_root, search_path=search_path)
