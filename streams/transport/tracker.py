"""Which offsets of one partition are complete, in whatever order they complete."""


class Tracker:
    """Everything below `base` is complete, and so are the bits of `mask` above it.

    `next` is the offset after the last delivered record. Not thread-safe: the loop owns it; other
    threads may read `used`.
    """

    __slots__ = ("base", "mask", "next", "partition", "start", "topic", "topic_id")

    def __init__(self, topic: str, partition: int, base: int, mask: int = 0, topic_id: str = "") -> None:
        self.topic, self.partition, self.topic_id = topic, partition, topic_id
        self.base, self.mask, self.next = base, 0, base
        if mask:
            self.mask = mask
            self._advance()
        self.start = self.base

    @property
    def used(self) -> int:
        """Size of the window: delivered offsets from the lowest incomplete one on."""
        return max(0, self.next - self.base)

    def complete(self, low: int, high: int) -> None:
        """Offsets low <= offset < high are complete; completing an offset again changes nothing."""
        low = max(low, self.base)
        if high <= low:
            return
        self.mask |= ((1 << (high - low)) - 1) << (low - self.base)
        if self.mask & 1:
            self._advance()

    def is_complete(self, offset: int) -> bool:
        """Whether the offset was completed, in this life or in one before."""
        return offset < self.base or bool(self.mask >> (offset - self.base) & 1)

    def _advance(self) -> None:
        ones = (~self.mask & (self.mask + 1)).bit_length() - 1
        self.mask >>= ones
        self.base += ones
