"""The stage as a plain Faust agent on aiokafka.

`python -m ops.bench.stage.plain_faust BOOTSTRAP SOURCE OUTPUT GROUP FOLDER`
"""

import asyncio
import sys
from typing import Any

import faust
import uvloop

from ops.bench.stage import work

PARTITIONS = 4


def make_app(bootstrap: str, source: str, output: str, group: str, folder: str) -> Any:
    """One agent with Faust's defaults: at least once in its own words, offsets committed every 2.8 s."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap.split(',', maxsplit=1)[0]}",
        topic_partitions=PARTITIONS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        datadir=folder,
        store="memory://",
    )
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    target = app.topic(output, **raw)

    async def agent(stream: Any) -> None:
        async for value in stream:
            key, changed = work.stage(value)
            await target.send(key=key, value=changed)

    app.agent(app.topic(source, **raw), name="stage")(agent)
    return app


async def _serve() -> None:
    app = make_app(*sys.argv[1:])
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
