"""Writes what the core decided: lifecycle, tables, dead letters and live updates of one job, in one step."""

import msgspec

from agents.document import Carried
from agents.letters import fitting
from agents.tables import IdempotencyTable, ParkedTable
from schemas.records import Control, DeadLetter, Failure, Job, Lifecycle, LiveUpdate
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.entry import Entry
from streams.core.orders import key_of
from streams.core.outcome import Writes, fingerprint, series_key
from streams.core.ports import Unwritable
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.errors import StepClosed
from streams.transport.step import Step

log = get("tierflow.worker")


class Recording:
    """The writing hand of one tier's worker."""

    def __init__(
        self,
        app: EngineApp,
        topology: Topology,
        tier: Tier,
        codec: Codec,
        worker: str,
        metrics: WorkerMetrics,
    ) -> None:
        self.parked = ParkedTable(app, topology, tier, codec)
        self.idempotency = IdempotencyTable(app, topology, tier, codec)
        self._app, self._topology, self._tier, self._codec = app, topology, tier, codec
        self.worker, self._metrics = worker, metrics
        self._lifecycle, self._dead_letters = topology.lifecycle(tier), topology.dead_letters(tier)

    def write(self, entry: Entry, writes: Writes) -> Step:
        """One step with everything that follows; after it the entry's source offset is complete.

        Raises LookupError when the partition is no longer ours, Unwritable when no record can hold it:
        nothing is written then.
        """
        for move in writes.bad:
            self._metrics.illegal.labels(move).inc()
            log.error("illegal transition refused", job_id=entry.job.job_id, move=move)
        step: Step = entry.step if entry.step is not None else self._app.step(entry.partition)
        try:
            with step:
                self._fill(step, entry, writes)
        except StepClosed:
            raise
        except Exception as error:
            log.exception("what no record can hold", job_id=entry.job.job_id)
            raise Unwritable(str(error)) from error
        return step

    def _fill(self, step: Step, entry: Entry, writes: Writes) -> None:
        if writes.parked is not None:
            self.parked.put(entry.position, writes.parked)
        elif entry.step is None:
            self.parked.remove(entry.position)
        if writes.idempotency is not None and entry.job.idempotency is not None:
            self.idempotency.put(entry.job.idempotency, writes.idempotency)
        if writes.series is not None:
            self.idempotency.put(series_key(entry.job), writes.series)
        if writes.carried is not None:
            writes.carried.document.save(writes.at)
            self._live(step, entry, writes.carried, writes.at)
            self._children(step, entry.job, writes.carried)
        self._history(step, entry, writes)

    def _history(self, step: Step, entry: Entry, writes: Writes) -> None:
        job, key = entry.job, entry.job.ordering_key.encode()
        headers = headers_of(job)
        if writes.transitions:
            lifecycle = Lifecycle(
                job.job_id, job.series, job.queue, job.type, job.tier, self.worker, writes.transitions,
                job.accepted_at, job.document_id, job.user_id, job.tenant_id, job.request_id,
            )  # fmt: skip
            step.send(self._lifecycle, self._codec.encode(lifecycle), key, entry.partition, headers)
        if writes.dead_letter is not None:
            value = self._codec.encode(writes.dead_letter)
            step.send(self._dead_letters, value, key, entry.partition, headers)

    def _live(self, step: Step, entry: Entry, carried: Carried, now: int) -> None:
        job = entry.job
        if job.document_id is None or not carried.updates:
            return
        sequence = int.from_bytes(entry.position[17:], "big")
        for kind, payload in carried.updates:
            text = msgspec.json.encode(payload).decode()
            update = LiveUpdate(kind, job.document_id, sequence, now, text, job.tenant_id)
            step.send(self._topology.live_updates, self._codec.encode(update), job.document_id.encode())

    def _children(self, step: Step, job: Job, carried: Carried) -> None:
        for child in carried.submitted:
            headers = dict(headers_of(job)) | {"job-id": child.job_id.encode()}
            # As the gateway does it: a document's requests stay in one partition.
            key = (child.document_id or child.job_id).encode()
            value = self._codec.encode(child)
            step.send(self._topology.job_requests, value, key, headers=list(headers.items()))

    def order(self, entry: Entry, order: Control) -> None:
        """An order to all workers, in a step of its own; LookupError when the partition is no longer ours."""
        with self._app.step(entry.partition) as step:
            step.send(self._topology.control, self._codec.encode(order), key_of(order).encode(), 0)

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """The dead letter of a job, with the bytes of its tier record and every error kept."""
        job = entry.job
        letter = DeadLetter(
            letter_id=f"{job.job_id}:{job.series}", tier=job.tier, source_topic=job.source_topic,
            source_partition=job.source_partition, source_offset=job.source_offset,
            key=job.ordering_key.encode(), value=self._codec.encode(job), headers=dict(headers_of(job)),
            error_class=failure.error_class, message=failure.message,
            fingerprint=fingerprint(job.type, failure),
            first_failed_at=entry.errors[0].at if entry.errors else now,
            last_failed_at=now, errors=list(entry.errors), job_id=job.job_id, series=job.series,
            queue=job.queue, type=job.type, data=job.data, document_id=job.document_id, user_id=job.user_id,
            tenant_id=job.tenant_id, request_id=job.request_id, traceparent=job.traceparent,
        )  # fmt: skip
        return fitting(letter)


def headers_of(job: Job) -> list[tuple[str, bytes]]:
    """The headers of every record about a job."""
    headers = [("job-id", job.job_id.encode())]
    if job.request_id:
        headers.append(("request-id", job.request_id.encode()))
    if job.tenant_id:
        headers.append(("tenant", job.tenant_id.encode()))
    if job.traceparent:
        headers.append(("traceparent", job.traceparent.encode()))
    return headers
