"""Several records or none: a producer of its own that writes a batch in one Kafka transaction.

The transactional.id is fixed per process name, so a restarted process ends what its predecessor left open,
and a second process of the same name is fenced off.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Client

from schemas.errors import ContractError, UnavailableError
from streams.acknowledgement import Reports, unmasked
from streams.log import get

log = get(__name__)

Record = tuple[str, bytes | None, bytes, Mapping[str, bytes]]

DEADLINE_S = 4.5
# Whatever happens, the broker ends an open transaction after this and its readers go on.
_TRANSACTION_TIMEOUT_MS = 10_000
_RETRY_AFTER_S = 2.0


class TransactionalBatch:
    """Writes one batch at a time; a second one waits for its turn."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = {
            **config,
            "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
            # The commit itself waits for the records; lingering would only add to it.
            "linger.ms": 0,
            # librdkafka asks again after this when the commit's marker is still on its way: 20 ms would show.
            "retry.backoff.ms": 2,
        }
        self._turn = asyncio.Lock()
        self._session = _Session(self._config)

    async def send(self, records: Sequence[Record]) -> None:
        """Return when all records are committed.

        Raises UnavailableError when they are not, or when that is not known (the commit was sent, the answer
        lost): then a repeat with the same ids or keys is safe. ContractError for a record that is too large.
        """
        try:
            async with asyncio.timeout(DEADLINE_S), self._turn:
                await self._run(records)
        except TimeoutError as error:
            raise UnavailableError("Kafka did not commit in time", retry_after_s=_RETRY_AFTER_S) from error

    async def warm(self) -> None:
        """Take the transactional id now, if Kafka is there: the first batch need not wait a second for it."""
        with contextlib.suppress(UnavailableError):
            await self.send(())

    async def close(self) -> None:
        """Stop; an open transaction is left to the broker."""
        self._session.leave()

    async def _run(self, records: Sequence[Record]) -> None:
        running = self._session.submit(records)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            # A transactional call can hang for good (librdkafka #5456): leave it its thread, start anew.
            # The new client's init_transactions fences the old one.
            self._session.leave()
            self._session = _Session(self._config)
            running.add_done_callback(_forget)
            raise


class _Session:
    """A client and the one thread that may call it; thrown away together when a call does not return."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = dict(config)
        self._client: Client | None = None
        self._thread = ThreadPoolExecutor(1, "batch-transaction")

    def submit(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Write the records in the session's thread."""
        deadline = time.monotonic() + DEADLINE_S
        return asyncio.get_running_loop().run_in_executor(self._thread, self._write, records, deadline)

    def leave(self) -> None:
        """Start nothing more; a call that runs is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _write(self, records: Sequence[Record], deadline: float) -> None:
        """One transaction. The client is dropped when its state is not known."""
        client = self._client or self._opened(deadline)
        self._client = None
        if not records:
            self._client = client
            return
        reports = Reports()
        try:
            with unmasked():
                client.begin_transaction()
                for topic, key, value, headers in records:
                    client.produce(topic, value, key, headers=list(headers.items()), on_delivery=reports.note)
                if client.flush(_left(deadline)):
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records are not acknowledged"))
                reports.check()
                client.commit_transaction(_left(deadline))
        except BufferError as error:
            raise UnavailableError("the batch is larger than the send buffer") from error
        except KafkaException as error:
            raise self._given_up(client, reports, error.args[0], deadline) from error
        self._client = client

    def _opened(self, deadline: float) -> Client:
        client = Client(self._config)
        try:
            client.init_transactions(_left(deadline))
        except KafkaException as error:
            raise UnavailableError(
                f"Kafka does not open a transaction: {error.args[0].str()}", retry_after_s=_RETRY_AFTER_S
            ) from error
        return client

    def _given_up(self, client: Client, reports: Reports, error: KafkaError, deadline: float) -> Exception:
        if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD):
            self._abort(client, reports, deadline)
            return ContractError.of("data", "larger than a Kafka record may be (1 MB)")
        if error.txn_requires_abort():
            self._abort(client, reports, deadline)
        return UnavailableError(
            f"Kafka did not commit the batch: {error.str()}", retry_after_s=_RETRY_AFTER_S
        )

    def _abort(self, client: Client, reports: Reports, deadline: float) -> None:
        """Abort, and keep the client only if that worked and no record was thrown away."""
        try:
            with unmasked():
                left = client.flush(_left(deadline))
                client.abort_transaction(_left(deadline))
        except KafkaException as error:
            log.warning("batch transaction not aborted; the broker ends it", error=error.args[0].str())
        else:
            self._client = None if left or reports.has_failures else client


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())


def _forget(running: "asyncio.Future[None]") -> None:
    """Take the result of a call that nobody waits for any more."""
    if not running.cancelled():
        running.exception()
