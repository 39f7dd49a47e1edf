"""PromQL that is easily written wrong, once."""

from streams.metric import Metric


def grown(counter: Metric, window: str, by: str) -> str:
    """By how much a counter grew, by a label or several, from its very first event on.

    A labelled series begins with that event, and `increase` sees no growth from nothing to one.
    """
    name = counter.name
    return (
        f"sum by ({by}) ((increase({name}[{window}]) and {name} offset {window})"
        f" or ({name} unless {name} offset {window}))"
    )
