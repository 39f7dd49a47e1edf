"""A gauge whose series are exactly those of the last reading."""

from collections.abc import Mapping

from prometheus_client import Gauge

Labels = tuple[str, ...]


class Series:
    """Sets what was read and removes what is no longer there, without a moment in which all is gone."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._shown: set[Labels] = set()

    def show(self, values: Mapping[Labels, float]) -> None:
        """Export these series and no others."""
        for labels, value in values.items():
            self._gauge.labels(*labels).set(value)
        for gone in self._shown - values.keys():
            self._gauge.remove(*gone)
        self._shown = set(values)
