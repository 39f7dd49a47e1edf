"""The same work as `worker`, as plain Faust on aiokafka: what the engine is there to replace."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import faust


def build(settings: dict[str, Any]) -> faust.App:
    """The app, with Faust's usual settings but a session as short as the engine's."""
    raw = {"key_serializer": "raw", "value_serializer": "raw", "key_type": bytes, "value_type": bytes}
    Path(settings["state_dir"]).mkdir(parents=True, exist_ok=True)
    app = faust.App(
        settings["group"],
        broker="kafka://" + settings["bootstrap"],
        store="memory://",
        topic_partitions=settings["partitions"],
        topic_allow_declare=False,
        topic_disable_leader=True,
        datadir=settings["state_dir"],
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        web_enabled=False,
    )
    changelog = app.topic(settings["changelog"], internal=True, acks=False, allow_empty=True, **raw)
    table = app.Table("seen", key_type=bytes, value_type=bytes, changelog_topic=changelog)
    for source, output in zip(settings["sources"], settings["outputs"], strict=True):
        target = app.topic(output, key_serializer="raw", value_serializer="raw")

        async def process(stream: Any, target: Any = target) -> None:
            async for event in stream.events():
                key, number = event.message.key, int(event.message.value.split(b":")[1])
                count, last = (int(part) for part in (table.get(key) or b"0,-1").split(b","))
                table[key] = b"%d,%d" % (count + 1, number)
                reply = b"%s:%d:%d:%d" % (key, number, count + 1, last)
                await target.send(key=key, value=reply, partition=event.message.partition)

        app.agent(app.topic(source, **raw), name=f"plain-{source}")(process)
    return app


def main() -> None:
    """`python -m tests.conformance.plain_faust SETTINGS_AS_JSON`."""
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = build(settings)
    sys.argv = ["worker", "worker", "-l", "info", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
