"""Queue `agent-tasks`: coding tasks that run as a child process."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from schemas.payloads.contract import Contract, Name

Prompt = Annotated[str, Field(min_length=1, max_length=100_000)]


class CodingTaskConfig(Contract):
    """How the child process runs; `timeout` in seconds."""

    timeout: Annotated[int, Field(ge=1, le=3600)] = 300
    retry_attempts: Annotated[int, Field(ge=0, le=5)] | None = None
    working_directory: Name | None = None
    environment: dict[str, str] = {}


class CodingTask(Contract):
    """A prompt for the coding command."""

    task_id: UUID
    prompt: Prompt
    user_id: Name
    config: CodingTaskConfig = CodingTaskConfig()
    project_id: UUID | None = None

    def own_timeout_s(self) -> float | None:
        """Its own limit and a little more: the command is ended by the handler, which knows how."""
        return self.config.timeout + 10 if "timeout" in self.config.model_fields_set else None

    def own_attempts(self) -> int | None:
        """The first attempt and the retries asked for."""
        retries = self.config.retry_attempts
        return None if retries is None else retries + 1
