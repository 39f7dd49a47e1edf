"""`python -m ops.compiled.run MODULE ARGUMENTS`: a module as a process on the compiled modules."""

import runpy
import sys

from ops.compiled import overlay

if __name__ == "__main__":
    overlay.use()
    del sys.argv[0]
    if not sys.argv:
        sys.exit(__doc__)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
