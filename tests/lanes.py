"""All tests in two lanes side by side: one starts the whole product, the other computes and tries connectors.

`python -m tests.lanes [what pytest takes]`. Each lane is a pytest of its own with servers of its own. Much of
their time is waiting: two take little longer than the longer one. Arguments that name tests run in one lane.
"""

import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ops.stack.leash import leashed

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# All else is in front: a new directory is run without being named here.
BESIDE = (
    "tests/unit", "tests/simulation", "tests/conformance", "tests/integration/connectors",
    "tests/integration/streams", "tests/integration/ops/test_stack.py",
    "tests/integration/ops/test_supervisor.py",
)  # fmt: skip
NO_TESTS = 5
# It gives way: what stands in front kills processes and waits for time-outs.
NICE = ("nice", "-n", "5")


def main(arguments: list[str]) -> int:
    """Run both lanes; pytest's exit status, 0 when both lanes' is. Blocks."""
    pytest = (sys.executable, "-m", "pytest", *arguments)
    if any(_names_tests(argument) for argument in arguments):
        return subprocess.call(pytest, cwd=ROOT)
    print(f"beside, shown at the end: {', '.join(BESIDE)}", flush=True)
    with tempfile.TemporaryFile() as said:
        command = leashed((*NICE, *pytest, *BESIDE), signal.SIGINT)
        beside = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        in_front = subprocess.call((*pytest, *(f"--ignore={path}" for path in BESIDE)), cwd=ROOT)
        statuses = in_front, beside.wait()
        said.seek(0)
        print(f"\nbeside: {', '.join(BESIDE)}", flush=True)
        print(said.read().decode(errors="replace"), flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"lanes: in front {_word(statuses[0])}, beside {_word(statuses[1])};"
        f" {used.ru_utime + used.ru_stime:.0f} s of CPU"
    )
    return together(*statuses)


def together(in_front: int, beside: int) -> int:
    """One exit status for both. A lane in which no test was selected says nothing, unless neither had any."""
    return next(
        (status for status in (in_front, beside) if status not in (0, NO_TESTS)), min(in_front, beside)
    )


def _names_tests(argument: str) -> bool:
    path = ROOT / argument.partition("::")[0]
    return path.is_relative_to(TESTS) and path.exists()


def _word(status: int) -> str:
    return {0: "passed", NO_TESTS: "had nothing to do"}.get(status, f"FAILED ({status})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
