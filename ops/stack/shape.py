"""What a data folder remembers of its stack: chosen at the first start, the same at every later one."""

import os
from pathlib import Path

import msgspec

from ops.stack.errors import StackError
from ops.stack.kafka import new_cluster_id
from ops.stack.postgres import new_password


class Shape(msgspec.Struct):
    """Number of brokers, partitions per keyed topic, Kafka's cluster id, PostgreSQL's password, the ports."""

    brokers: int = 1
    partitions: int = 4
    cluster_id: str = msgspec.field(default_factory=new_cluster_id)
    postgres_password: str = msgspec.field(default_factory=new_password)
    ports: dict[str, int] = msgspec.field(default_factory=dict)


def load_shape(path: Path, brokers: int | None, partitions: int | None) -> Shape:
    """Return the remembered shape, or a new one of these numbers; StackError when they contradict it."""
    if not path.exists():
        return Shape(brokers or 1, partitions or 4)
    try:
        shape = msgspec.json.decode(path.read_bytes(), type=Shape)
    except msgspec.DecodeError as error:
        raise StackError(f"{path} cannot be read: {error}", "`tierflow reset` starts afresh") from error
    for word, asked, kept in (
        ("brokers", brokers, shape.brokers),
        ("partitions", partitions, shape.partitions),
    ):
        if asked is not None and asked != kept:
            raise StackError(
                f"the data in {path.parent} was made with {kept} {word}, not {asked}",
                "`tierflow reset` throws the data away, `--data DIR` starts another stack beside it",
            )
    return shape


def save_shape(path: Path, shape: Shape) -> None:
    """Write it for the next start, for the owner's eyes."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(shape)))
    fresh.replace(path)
