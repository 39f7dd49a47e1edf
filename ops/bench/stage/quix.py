"""The stage on Quix Streams, in an environment of its own.

`python -m ops.bench.stage.quix BOOTSTRAP SOURCE OUTPUT GROUP FOLDER GUARANTEE`, where the guarantee is
`at-least-once` (its default) or `exactly-once`.
"""

import sys
from typing import Any

from ops.bench.stage import work


def make_app(bootstrap: str, source: str, output: str, group: str, folder: str, guarantee: str) -> Any:
    """One dataframe with Quix Streams' defaults; its Avro serializers call the same fastavro functions."""
    from quixstreams import Application  # type: ignore[import-not-found]
    from quixstreams.models.serializers.avro import (  # type: ignore[import-not-found]
        AvroDeserializer,
        AvroSerializer,
    )

    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        processing_guarantee=guarantee,
        state_dir=folder,
        loglevel="WARNING",
    )
    changes = app.dataframe(app.topic(source, value_deserializer=AvroDeserializer(work.SCHEMA)))
    target = app.topic(output, value_serializer=AvroSerializer(work.SCHEMA))
    changes.apply(work.decide).to_topic(target, key=lambda change: change["document"].encode())
    return app


if __name__ == "__main__":
    make_app(*sys.argv[1:]).run()
