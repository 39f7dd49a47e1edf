"""Texts that are the same in very many records: of each there is one, however many records are in memory."""

from streams.avro.numbers import NUMBER

MOST = 4_096
LONGEST = 100
RECURRING = frozenset({"queue", "type", "backoff", "source_topic", "worker", "from_state", "to_state"})
"""Where such a text stands: found at hand for the price of making another."""
NAMES: dict[bytes, str] = {}
"""What was read so far, by its bytes. Bounded, as a producer may write what it likes."""
WRITTEN: dict[str, bytes] = {}
"""What was written so far: a text as it stands in a record, its length before it. Bounded like `NAMES`."""


def share(raw: bytes) -> str:
    """The text of bytes that are not in `NAMES` yet; from now on they are, if there is room."""
    text = raw.decode()
    if len(NAMES) < MOST and len(raw) <= LONGEST:
        NAMES[raw] = text
    return text


def written(text: str) -> bytes:
    """As a text that is not in `WRITTEN` yet is written; from now on it is there, if there is room."""
    raw = text.encode()
    made = NUMBER[len(raw)] + raw
    if len(WRITTEN) < MOST and len(raw) <= LONGEST:
        WRITTEN[text] = made
    return made
