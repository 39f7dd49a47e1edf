"""A batch of records as the script takes it: what each job gains, the first record of each field first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors.redis import keys
from connectors.redis.stored import envelope_field, pack, subject_field, transition_field
from connectors.views import accepted, envelope_of, rank, subject_of
from schemas.catalogue import JOB_TYPES
from schemas.records import Job, Lifecycle, Transition
from schemas.tiers import DAY_MS

Record = Job | Lifecycle
Argument = str | int | bytes

_DEFAULT_KEY_DAYS = 7
# Lua cannot hand more than some thousand values to a command: a longer history goes in pieces.
_MAX_TRANSITIONS = 500


@dataclass(slots=True)
class Gain:
    """What a batch adds to one job."""

    queue: str
    type: str
    tier: int
    parts: dict[str, Argument] = field(default_factory=dict)
    transitions: dict[str, tuple[Argument, ...]] = field(default_factory=dict)


def arguments(records: Iterable[Record]) -> list[Argument]:
    """The number of jobs, and of each what it gains."""
    gains: dict[str, Gain] = {}
    for record in records:
        gain = gains.get(record.job_id)
        if gain is None:
            gain = gains[record.job_id] = Gain(record.queue, record.type, record.tier)
        _add(gain, record)
    flat: list[Argument] = []
    pieces = 0
    for job_id, gain in gains.items():
        for parts, transitions in _pieces(gain):
            pieces += 1
            flat += (job_id, gain.queue, keys.keep_ms(gain.tier), _key_keep_ms(gain.type), len(parts))
            for part in parts.items():
                flat += part
            flat.append(len(transitions))
            for place, values in transitions:
                flat.append(place)
                flat += values
    return [pieces, *flat]


def _add(gain: Gain, record: Record) -> None:
    series = record.series
    if (subject := subject_field(series)) not in gain.parts:
        gain.parts[subject] = pack(subject_of(record))
    changes: Iterable[Transition]
    if isinstance(record, Job):
        gain.parts.setdefault(envelope_field(series), pack(envelope_of(record)))
        if record.idempotency is not None:
            gain.parts.setdefault("digest", record.idempotency.hex())
            gain.parts.setdefault("hash", record.data_hash.hex())
        changes = (accepted(record),)
    else:
        changes = record.transitions
    for change in changes:
        place = transition_field(series, change.number)
        if place not in gain.transitions:
            order = rank(series, change.number, change.to_state)
            gain.transitions[place] = (pack(change), order, change.to_state, change.at)


def _pieces(
    gain: Gain,
) -> Iterator[tuple[dict[str, Argument], list[tuple[str, tuple[Argument, ...]]]]]:
    every = list(gain.transitions.items())
    yield gain.parts, every[:_MAX_TRANSITIONS]
    for start in range(_MAX_TRANSITIONS, len(every), _MAX_TRANSITIONS):
        yield {}, every[start : start + _MAX_TRANSITIONS]


def _key_keep_ms(kind: str) -> int:
    job_type = JOB_TYPES.get(kind)
    return (job_type.idempotency_days if job_type else _DEFAULT_KEY_DAYS) * DAY_MS
