"""`coding-task`: runs the coding command with the prompt, in a folder under the root.

| exit status | outcome |
| --- | --- |
| 0 | completed |
| 64-68, 77, 78 (usage, data, input, host, user, permission, configuration) | PermanentError |
| 126, 127 (the command itself cannot run) | PermanentError |
| any other, also 128 + n: ended by signal n | TransientError |
"""

from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from connectors.child_process import CodingCommand, Finished
from schemas.errors import PermanentError, TransientError
from schemas.payloads.agent_tasks import CodingTask

# What sysexits.h says cannot get better by itself, and what a shell says of a command that it cannot run.
PERMANENT_STATUSES = frozenset({64, 65, 66, 67, 68, 77, 78, 126, 127})


@handles("coding-task", needs="coding_command")
async def coding_task(ctx: Context, data: CodingTask) -> dict[str, Any]:
    """What the command wrote, at most 64 KiB of it.

    TransientError `timeout` when it takes longer than the task's own time limit; its processes are gone then,
    as they are when the job is cancelled.
    """
    ctx.progress(0, "initializing")
    command = ctx.providers.coding
    if command is None:
        raise PermanentError("TIERFLOW_CODING_COMMAND is not set", code="configuration")
    finished = await _run(ctx, command, data)
    ctx.progress(80, "processing_output", f"{len(finished.output)} characters of output")
    refuse_failed(finished)
    ctx.progress(95, "finalizing")
    result = {
        "taskId": str(data.task_id),
        "exitCode": finished.exit_code,
        "output": finished.output,
        "durationMs": finished.duration_ms,
    }
    ctx.progress(100, "completed")
    return result | ({"truncated": True} if finished.truncated else {})


async def _run(ctx: Context, command: CodingCommand, data: CodingTask) -> Finished:
    ctx.progress(5, "validating")
    folder = command.working_directory(data.config.working_directory)
    environment = command.environment(data.config.environment, home=folder)
    ctx.progress(10, "executing")
    return await command.run(
        data.prompt,
        folder=folder,
        environment=environment,
        timeout_s=data.config.timeout,
        on_output=lambda total: ctx.progress(50, "executing", f"{total} bytes of output"),
    )


def refuse_failed(finished: Finished) -> None:
    """Raise unless the command ended well; the error says what it wrote last."""
    code = finished.exit_code
    if code == 0:
        return
    said = finished.error_tail.strip() or finished.output[-1000:].strip() or "(it wrote nothing)"
    text = f"the command ended with status {code}: {said}"
    if code in PERMANENT_STATUSES:
        raise PermanentError(text, code=f"exit_{code}")
    raise TransientError(text, code=f"exit_{code}")
