"""`send-email`: fills a template and hands the message to an SMTP server."""

import datetime as dt
from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from agents.spreadsheet.edits import accepted
from schemas.errors import PermanentError
from schemas.payloads.communication import SendEmail


@handles("send-email", needs="smtp_url")
async def send_email(ctx: Context, data: SendEmail) -> dict[str, Any]:
    """The message as it was handed over. Every attempt's message has the same Message-ID and date.

    PermanentError for an unknown template, a missing value or an address that is refused.
    """
    if ctx.providers.mail is None:
        raise PermanentError("SMTP_URL is not set", code="authentication")
    # Every worker has this handler, few ever send: templates and SMTP are imported for the first mail.
    from connectors import mail_templates
    from connectors.smtp import Mail

    filled = mail_templates.fill(data.template, data.data)
    message_id = await ctx.providers.mail.send(
        Mail(
            to=data.to,
            sender=data.from_,
            subject=data.subject or filled.subject,
            text=filled.text,
            html=filled.html,
            message_key=ctx.idempotency_key,
            at=accepted(ctx),
        )
    )
    return {
        "messageId": message_id,
        "to": data.to,
        "template": data.template,
        "sentAt": dt.datetime.now(dt.UTC).isoformat(),
    }
