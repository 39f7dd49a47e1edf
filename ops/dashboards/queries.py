"""PromQL that the dashboards share."""

from streams.metric import Metric

RATE = "[$__rate_interval]"


def rate(metric: Metric, by: str, matching: str = "", suffix: str = "") -> str:
    """How often a second, summed by labels."""
    return f"sum by ({by}) (rate({metric.name}{suffix}{{{matching}}}{RATE}))"


def quantile(share: float, metric: Metric, by: str = "", matching: str = "") -> str:
    """A percentile of a histogram; nothing where nothing was measured."""
    labels = f"le,{by}" if by else "le"
    return f"histogram_quantile({share}, {rate(metric, labels, matching, '_bucket')}) >= 0"
