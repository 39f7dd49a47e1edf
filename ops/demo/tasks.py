"""Coding tasks: programs that do real work in a child process, one that fails and one that never ends."""

import uuid
from collections import Counter
from dataclasses import dataclass, field

from ops.demo.checks import Check, close, equal
from ops.demo.gateway import Json, data_of
from ops.demo.scenario import World
from ops.demo.tables import table

STATISTICS = """
import csv, io, statistics
rows = list(csv.DictReader(io.StringIO({text!r})))
print(statistics.stdev(float(row["sepalLength"]) for row in rows))
"""
WORDS = """
import collections, re
words = re.findall(r"[a-z]+", {text!r})
for word, count in sorted(collections.Counter(words).items(), key=lambda item: (-item[1], item[0]))[:5]:
    print(word, count)
"""
PRIMES = """
import sys
limit = 200_000
sieve = bytearray([1]) * limit
for number in range(2, 448):
    if sieve[number]:
        sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
print("counting", file=sys.stderr)
print(sum(sieve[2:]))
"""
FAILS = "import sys; print('the input is wrong', file=sys.stderr); sys.exit(65)"
STAGES = ("initializing", "validating", "executing", "processing_output", "finalizing", "completed")
PRIMES_BELOW_200_000 = "17984"


@dataclass
class Tasks:
    """The command is the Python interpreter in isolated mode, which reads its program from standard input."""

    run: str
    ids: list[str] = field(default_factory=list)

    async def send(self, world: World) -> None:
        """Five tasks."""
        iris = table("iris").to_csv(index=False)
        names = " ".join(table("airports")["name"].head(500)).lower()
        jobs = [
            _job(STATISTICS.format(text=iris)),
            _job(WORDS.format(text=names)),
            _job(PRIMES),
            _job(FAILS),
            _job("while True: pass", timeout_s=1, attempts=1),
        ]
        self.ids = await world.gateway.jobs("agent-tasks", jobs)

    async def check(self, world: World) -> list[Check]:
        """What the programs printed is right; the failing ones say why."""
        shown = await world.gateway.shown(self.ids)
        spread, words, primes, failed, endless = (shown[job_id] for job_id in self.ids)
        names = " ".join(table("airports")["name"].head(500)).lower()
        deviation = float(table("iris")["sepalLength"].std())
        stages = {change.get("progress", {}).get("stage") for change in primes["timeline"]}
        return [
            equal("a coding task computes", close(_number(_output(spread)), deviation), True),
            equal("another counts words", _output(words).split("\n")[:5], _top_words(names)),
            equal("a third counts primes", _output(primes).strip(), PRIMES_BELOW_200_000),
            equal("exit status 65 is final", _ending(failed), ("dead", 1, "exit_65")),
            equal("an endless task is killed", _ending(endless), ("dead", 1, "timeout")),
            equal("a task tells its stages", sorted(set(STAGES) & stages), sorted(STAGES)),
        ]


def _job(program: str, *, timeout_s: int = 30, attempts: int = 3) -> Json:
    data = {
        "taskId": str(uuid.uuid4()),
        "prompt": program,
        "userId": "demo-coder",
        "config": {"timeout": timeout_s, "environment": {"TASK_NAME": "demo"}},
    }
    return {"type": "coding-task", "data": data, "options": {"attempts": attempts}}


def _output(job: Json) -> str:
    return str((data_of(job) or {}).get("output", ""))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _ending(job: Json) -> tuple[str, int, str | None]:
    return job["state"], job["attempts"], (job.get("error") or {}).get("class")


def _top_words(text: str) -> list[str]:
    counts = Counter("".join(letter if "a" <= letter <= "z" else " " for letter in text).split())
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    return [f"{word} {count}" for word, count in top]
