import pytest

from connectors.kafka.murmur import partition_of


# What the Java client's Utils.murmur2 gives, made positive, modulo 1,000.
@pytest.mark.parametrize(
    ("key", "positive"),
    [
        (b"21", 1173551340),
        (b"foobar", 1357151166),
        (b"a-little-bit-long-string", 1161502112),
        (b"a-little-bit-longer-string", 661178819),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 2088585677),
        (b"abc", 479470107),
    ],
)
def test_a_key_lies_where_the_java_client_puts_it(key: bytes, positive: int) -> None:
    assert partition_of(key, 1 << 31) == positive
    assert partition_of(key, 12) == positive % 12
