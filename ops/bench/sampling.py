"""A sampling profiler of the loop's thread: which of its functions stands at the top, and which below it.

A thread looks every few milliseconds. It must wait for the interpreter's lock, so time in a C function
counts for the Python line that called it. Cost: 1 to 2 % of the process.
"""

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

EVERY_S = 0.005
_ROOT = Path(__file__).parents[2]
# The loop at rest, or in its own C code: not ours to improve.
_LOOP = ("asyncio/runners.py", "uvloop/__init__.py", "asyncio/base_events.py", "selectors.py")


class Sampler:
    """Samples the thread that constructs it while it is on, from `start` to `stop`."""

    def __init__(self) -> None:
        self._target = threading.get_ident()
        self._stop = threading.Event()
        self._own: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._samples = 0
        self.on = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the figures stay."""
        self._stop.set()
        self._thread.join()

    def figures(self) -> dict[str, Any]:
        """Samples in all, in our code, and by function: at the top (`own`) and anywhere (`within`)."""
        busy = self._samples - self._own["loop"]
        return {
            "samples": self._samples,
            "busy": busy,
            "own": dict(self._own.most_common(40)),
            "within": dict(self._within.most_common(60)),
        }

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            if not self.on.is_set():
                continue
            frame = sys._current_frames().get(self._target)
            if frame is not None:
                self._take(frame)

    def _take(self, frame: FrameType) -> None:
        self._samples += 1
        top = name_of(frame)
        self._own["loop" if frame.f_code.co_filename.endswith(_LOOP) else top] += 1
        seen: set[str] = set()
        at: FrameType | None = frame
        while at is not None:
            seen.add(name_of(at))
            at = at.f_back
        self._within.update(seen)


def name_of(frame: FrameType) -> str:
    """`agents/executor.py:Executor.run`; a library's file begins with its package."""
    path = Path(frame.f_code.co_filename)
    if path.is_relative_to(_ROOT) and "site-packages" not in path.parts:
        return f"{path.relative_to(_ROOT)}:{frame.f_code.co_qualname}"
    return f"{'/'.join(path.parts[-2:])}:{frame.f_code.co_qualname}"
