"""The eight messaging queues of the chat product."""

from typing import Any, Literal, Self

from pydantic import model_validator

from schemas.payloads.contract import Contract, Name, Text


class ChatMessage(Contract):
    """A message of a user for an agent."""

    user_id: Name
    conversation_id: Name
    message: Text
    force_agent: Name | None = None


class Message(Contract):
    """Any other message: it belongs to a conversation or at least to a user."""

    conversation_id: Name | None = None
    user_id: Name | None = None
    payload: dict[str, Any] = {}

    @model_validator(mode="after")
    def _belongs_somewhere(self) -> Self:
        if self.conversation_id is None and self.user_id is None:
            raise ValueError("give conversationId or userId")
        return self


class ProactiveAction(Message):
    """Something an agent wants to do of its own accord."""

    action_type: Name
    agent_type: Name
    message: Text
    timing: Literal["immediate", "delayed"] = "immediate"
    delay_ms: int | None = None
