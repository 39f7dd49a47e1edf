"""What the C library does with memory that was given back, in a process whose work comes in bursts.

glibc gives each thread a pool of its own (a role has some forty, most of them of librdkafka) and, once a
large buffer was given back, keeps larger ones: after a burst of 10,000 jobs a worker held 16 MB of nothing.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _ARENA_MAX = -1, -8
_ARENAS = 2
# glibc's own default; but set, it stays, and so does the size from which buffers are apart.
_KEPT_BYTES = 128 << 10


def settle() -> None:
    """Call before the first thread is started. Nothing happens where the C library is another."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_ARENA_MAX, _ARENAS)
    library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
