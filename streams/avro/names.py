"""Texts that are the same in very many records: of each there is one, however many records are in memory."""

MOST = 4_096
LONGEST = 100
NAMES: dict[bytes, str] = {}
"""What was read so far, by its bytes. Bounded, as a producer may write what it likes."""


def share(raw: bytes) -> str:
    """The text of bytes that are not in `NAMES` yet; from now on they are, if there is room."""
    text = raw.decode()
    if len(NAMES) < MOST and len(raw) <= LONGEST:
        NAMES[raw] = text
    return text
