"""What became of the jobs, read from the topics like any consumer would."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents.memory.topics import Topics
from schemas.records import DeadLetter, Failure, Lifecycle, Transition
from schemas.states import TERMINAL, State
from schemas.tiers import Tier
from streams.codec import Codec
from streams.topics import Topology


@dataclass(slots=True)
class SeenJob:
    """A job as its history shows it; `history` is every transition in its order."""

    job_id: str
    type: str
    history: list[Transition] = field(default_factory=list)

    @property
    def state(self) -> State:
        """Where it stands."""
        return State(self.history[-1].to_state) if self.history else State.WAITING

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return self.state in TERMINAL

    @property
    def attempts(self) -> int:
        """The number of its last attempt; 0 before the first."""
        return max((move.attempt for move in self.history if move.to_state == State.ACTIVE), default=0)

    @property
    def states(self) -> list[str]:
        """The states that it went through."""
        return [move.to_state for move in self.history]

    @property
    def result(self) -> Any:
        """What its handler returned, or that of the job whose duplicate it is."""
        text = self.history[-1].result if self.history else None
        return None if text is None else msgspec.json.decode(text)["data"]

    @property
    def error(self) -> Failure | None:
        """Why its last failed attempt failed."""
        return next((move.error for move in reversed(self.history) if move.error is not None), None)

    @property
    def due(self) -> int | None:
        """When it goes on, in ms since the epoch, while it is delayed."""
        return self.history[-1].due if self.state is State.DELAYED else None

    @property
    def progress(self) -> list[tuple[int, str | None, str | None]]:
        """What its handlers reported, as far as it was written: percentage, stage, message."""
        moves = [move for move in self.history if move.to_state == State.ACTIVE]
        return [(move.progress, move.stage, move.message) for move in moves if move.progress is not None]


class Seen:
    """Reads histories and dead letters as they come."""

    def __init__(self, topics: Topics, topology: Topology, codec: Codec) -> None:
        self._topics, self._codec = topics, codec
        self._histories = dict.fromkeys(map(topology.lifecycle, Tier), 0)
        self._dead = dict.fromkeys(topology.all_dead_letters, 0)
        self.jobs: dict[str, SeenJob] = {}
        self.lifecycles: list[Lifecycle] = []
        self.letters: list[DeadLetter] = []

    def read(self) -> None:
        """Take in what was written since."""
        for topic, offset in self._histories.items():
            for record in self._topics.since(topic, offset):
                self._take(self._codec.decode(Lifecycle, record.value() or b""))
                self._histories[topic] += 1
        for topic, offset in self._dead.items():
            for record in self._topics.since(topic, offset):
                self.letters.append(self._codec.decode(DeadLetter, record.value() or b""))
                self._dead[topic] += 1

    def _take(self, record: Lifecycle) -> None:
        self.lifecycles.append(record)
        seen = self.jobs.setdefault(record.job_id, SeenJob(record.job_id, record.type))
        seen.history += record.transitions
