"""The bitmap of completed offsets as offset metadata of the consumer group.

The broker takes 4,096 characters. The bitmap of the largest window (16,000 offsets) is 2,000 bytes, so
2,668 characters in base64: always under `MAX_CHARS`, compressed or not.
"""

import base64
import binascii
import zlib

MAX_WINDOW = 16_000
MAX_CHARS = 2_700

_PLAIN, _DEFLATED = "b", "z"


def encode(mask: int) -> str:
    """The completed offsets above the committed one; '' when there are none."""
    if not mask:
        return ""
    raw = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    packed = zlib.compress(raw, 1)
    if len(packed) < len(raw):
        return _DEFLATED + base64.b64encode(packed).decode()
    return _PLAIN + base64.b64encode(raw).decode()


def decode(text: str | None) -> int:
    """The mask back; 0 for metadata that another program wrote: its records then come again, none is lost."""
    if not text or text[0] not in (_PLAIN, _DEFLATED):
        return 0
    try:
        raw = base64.b64decode(text[1:], validate=True)
        return int.from_bytes(zlib.decompress(raw) if text[0] == _DEFLATED else raw, "little")
    except (binascii.Error, zlib.error, ValueError):
        return 0
