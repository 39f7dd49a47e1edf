"""The limiter with a circuit that is open for `SHORT_S`, run as a process by the tests.

The 30 s of the product would only be waiting; they are tested beside the breaker.
"""

from ops.cli.main import main
from streams.core import breaker, limiter

SHORT_S = 6.0

if __name__ == "__main__":
    for module in (breaker, limiter):
        vars(module)["OPEN_S"] = SHORT_S
    main(["limiter"])
