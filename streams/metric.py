"""A metric as a declaration: name, unit, help, and labels that cannot take any number of values.

Prometheus keeps a series per combination of label values for as long as it runs. So each label says which
values it may have; any other becomes `other`, whoever calls: a job type that is not in the catalogue, a code
that a provider made up, an id that somebody put there by mistake.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

OTHER = "other"
T = TypeVar("T", bound=MetricWrapperBase)


class Kind(StrEnum):
    """What a value does over time."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its values: a closed set that is asked anew each time, or the first `limit` that come."""

    name: str
    about: str
    known: Callable[[], Collection[str]] | None = None
    limit: int = 0

    @property
    def most(self) -> int:
        """How many values it can have at most, `other` included."""
        return 1 + (self.limit if self.known is None else len(self.known()))


@dataclass(frozen=True)
class Metric:
    """One declared metric. The three makers refuse a kind that is not the declared one."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = field(default=(), repr=False)

    def counter(self, registry: CollectorRegistry) -> Counter:
        """The counter in a registry."""
        return self._make(Counter, Kind.COUNTER, registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """The gauge in a registry."""
        return self._make(Gauge, Kind.GAUGE, registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """The histogram in a registry."""
        return self._make(Histogram, Kind.HISTOGRAM, registry, buckets=self.buckets)

    @property
    def most_series(self) -> int:
        """How many combinations of label values a process can have at most."""
        return math.prod(label.most for label in self.labels)

    def _make(self, library: type[T], kind: Kind, registry: CollectorRegistry, **more: Any) -> T:
        if kind is not self.kind:
            raise TypeError(f"{self.name} is declared as a {self.kind}, not a {kind}")
        # A second series for each counter, with the time it was made at, that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        names = [label.name for label in self.labels]
        made: T = _bounded(library)(self.name, self.help, names, registry=registry, **more)
        made._bounds = [_Bound(label) for label in self.labels]  # type: ignore[attr-defined]
        made._children_found = {}  # type: ignore[attr-defined]
        return made


class _Bound:
    """Lets the values of one label through that it may have."""

    def __init__(self, label: Label) -> None:
        self._label = label
        self._seen: set[str] = set()

    def pass_on(self, value: object) -> str:
        text = str(value)
        known = self._label.known
        if known is not None:
            return text if text in known() else OTHER
        if text in self._seen:
            return text
        if len(self._seen) < self._label.limit:
            self._seen.add(text)
            return text
        return OTHER


@cache
def _bounded(library: type[T]) -> type[T]:
    """The library's class with labels that are bounded, by position or by name."""

    def passed(metric: Any, values: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
        given = values or tuple(named[name] for name in metric._labelnames if name in named)
        if len(given) != len(metric._bounds):
            return given  # the library says what is wrong
        return tuple(bound.pass_on(value) for bound, value in zip(metric._bounds, given, strict=True))

    class Bounded(library):  # type: ignore[valid-type,misc]
        def labels(self, *values: object, **named: object) -> Any:
            # The hot path: a look into a dictionary, where the library would take its lock.
            child = self._children_found.get(values)
            if child is None or named:
                bounded = passed(self, values, named)
                child = super().labels(*bounded)
                if bounded == values:
                    self._children_found[values] = child
            return child

        def observe(self, amount: float, *exemplar: Any) -> None:
            # Of a histogram, several times a job: the library asks one bound after the other.
            if exemplar:
                super().observe(amount, *exemplar)
                return
            self._raise_if_not_observable()
            self._sum.inc(amount)
            self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)

        def remove(self, *values: object) -> None:
            self._children_found.clear()
            super().remove(*passed(self, values, {}))

        def clear(self) -> None:
            self._children_found.clear()
            super().clear()

    Bounded.__name__ = library.__name__
    return Bounded
