"""Settings for a command typed beside a stack that runs here: its addresses need no exporting."""

import os
from collections.abc import Mapping
from pathlib import Path

from ops.stack.folder import data_folder
from ops.stack.services import KAFKA_VARIABLE, POSTGRES_VARIABLE, REDIS_VARIABLE
from ops.stack.shape import load_shape
from ops.stack.state import read
from streams.settings import Settings, load


def settings_of_running(environment: Mapping[str, str] | None = None, here: Path | None = None) -> Settings:
    """The settings; what the environment does not name is that of the stack that runs on the data folder."""
    given = os.environ if environment is None else environment
    return load(
        {**_local(given, here or Path.cwd()), **{name: value for name, value in given.items() if value}}
    )


def _local(environment: Mapping[str, str], here: Path) -> dict[str, str]:
    """What the running stack tells. Nothing once Kafka is named: its addresses belong together."""
    if environment.get(KAFKA_VARIABLE) or environment.get(f"{KAFKA_VARIABLE}_FILE"):
        return {}
    folder = data_folder(None, environment, here)
    now = read(folder.state)
    if now is None or not now.runs():
        return {}
    shape = load_shape(folder.shape, None, None)
    return {
        KAFKA_VARIABLE: now.kafka_bootstrap,
        POSTGRES_VARIABLE: now.database_url,
        REDIS_VARIABLE: now.redis_url,
        "TIERFLOW_PARTITIONS": str(shape.partitions),
        "TIERFLOW_REPLICATION": str(min(3, shape.brokers)),
    }
