"""`python -m tests.where MODULE ...`: the files that the modules come from, a line each."""

import sys
from importlib import import_module

if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(import_module(name).__file__)
