"""The stage on our engine, exactly once.

`python -m ops.bench.stage.ours BOOTSTRAP SOURCE OUTPUT GROUP FOLDER`
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import uvloop

from ops.bench.stage import work
from streams.transport.app import EngineApp
from streams.transport.config import EngineConfig

PARTITIONS = 4


def make_app(bootstrap: str, source: str, output: str, group: str, folder: str) -> EngineApp:
    """One agent, as an engineer would write it."""
    engine = EngineConfig(bootstrap_servers=bootstrap, instance="bench", state_dir=Path(folder))
    app = EngineApp(group, engine=engine, partitions=PARTITIONS)

    async def agent(stream: Any) -> None:
        async for chunk in stream:
            for message in chunk.records:
                key, value = work.stage(message.value())
                chunk.send(output, value, key)

    app.agent(app.chunks(source), name="stage")(agent)
    return app


async def _serve() -> None:
    app = make_app(*sys.argv[1:])
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
