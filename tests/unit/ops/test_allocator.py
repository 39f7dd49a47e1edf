"""glibc is told what to keep; any other C library is left alone."""

import ctypes
import platform
from typing import Any

import pytest

from ops import allocator


class Library:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: dict[int, int] = {}

    def mallopt(self, name: int, value: int) -> int:
        self.told[name] = value
        return 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()

    def load(name: Any) -> Library:
        return made

    monkeypatch.setattr(ctypes, "CDLL", load)
    return made


def test_glibc_keeps_few_pools_and_little_that_is_free(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    allocator.settle()
    assert library.told == {-8: 2, -1: 131_072}


def test_another_library_is_left_alone(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    allocator.settle()
    assert not library.told
