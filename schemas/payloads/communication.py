"""Queue `communication`: e-mail, SMS and push."""

from typing import Any
from uuid import UUID

from pydantic import EmailStr, Field

from schemas.payloads.contract import Contract, Name, Phone, Text


class SendEmail(Contract):
    """One e-mail from a template; the template brings a subject when none is given."""

    to: EmailStr
    template: Name
    subject: Name | None = None
    data: dict[str, Any] = {}
    from_: EmailStr | None = Field(None, alias="from")


class SendSms(Contract):
    """One text message; the phone number in E.164, for instance +4915112345678."""

    to: Phone
    message: Text
    template: Name | None = None
    from_: Phone | None = Field(None, alias="from")


class SendPush(Contract):
    """One push notification to every device of a user."""

    user_id: UUID
    title: Name
    body: Text
    data: dict[str, Any] = {}
