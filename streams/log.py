"""Logging: one JSON line per event (or a readable line in development), set up once by an entry point."""

import logging
import sys
from typing import Any

import structlog

from streams.settings import ProcessSettings


def get(name: str) -> Any:
    """A logger: `log.info("job finished", job_id=...)`. Nothing is configured by asking for one."""
    return structlog.stdlib.get_logger(name)


def configure(process: ProcessSettings) -> None:
    """Send every logger of this process, ours and the libraries', to standard error in one format."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if process.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(process.log_level)
    # Their INFO is one line per request or rebalance step; ours says the same with the job's name.
    for noisy in ("httpx", "httpcore", "faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
