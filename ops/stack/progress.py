"""One line of progress for each thing that is done, with its seconds, on standard error."""

import sys
import time
from collections.abc import Callable

Say = Callable[[str], None]


class Progress:
    """Says lines with the seconds since the start in front; usable as the `say` of all parts of the stack."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        """Print one line. A terminal that has gone away does not stop the stack."""
        try:
            print(f"[{time.monotonic() - self._began:5.1f} s] {line}", file=sys.stderr, flush=True)
        except OSError:
            return
