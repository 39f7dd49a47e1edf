"""What the simulator raises when a promise is broken."""


class Violation(Exception):  # noqa: N818
    """An invariant does not hold: `rule` is its short name, the message what was seen."""

    def __init__(self, rule: str, seen: str) -> None:
        super().__init__(f"{rule}: {seen}")
        self.rule = rule
