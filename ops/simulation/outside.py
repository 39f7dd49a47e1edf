"""The provider: deduplicates by key, and keeps what really happened."""


class Provider:
    """`effects[key]`: how many requests came under one key; the first had the effect."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}

    def call(self, key: str) -> None:
        """A request with a deduplication key; its answer may still be lost."""
        self.requests[key] = self.requests.get(key, 0) + 1
