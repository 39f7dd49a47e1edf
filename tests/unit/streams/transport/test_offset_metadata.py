"""The codec of the bitmap fits into the broker's limit and loses nothing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.transport import offset_metadata
from streams.transport.offset_metadata import MAX_CHARS, MAX_WINDOW


@given(st.integers(0, (1 << 2_000) - 1))
def test_decoding_gives_the_mask_back(mask: int) -> None:
    assert offset_metadata.decode(offset_metadata.encode(mask)) == mask


@pytest.mark.parametrize("density", [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_the_largest_window_fits_whatever_is_complete(density: float) -> None:
    dice = random.Random(7)
    mask = sum(1 << bit for bit in range(1, MAX_WINDOW) if dice.random() < density) | 1 << (MAX_WINDOW - 1)
    text = offset_metadata.encode(mask)
    assert len(text) < MAX_CHARS
    assert offset_metadata.decode(text) == mask


def test_incompressible_masks_are_not_made_longer() -> None:
    mask = random.Random(1).getrandbits(MAX_WINDOW)
    assert len(offset_metadata.encode(mask)) < MAX_CHARS


def test_nothing_complete_is_no_metadata() -> None:
    assert offset_metadata.encode(0) == ""


@pytest.mark.parametrize("text", [None, "", "hello", "z!!!", "b", "zAAAA", "b====", "{}"])
def test_foreign_metadata_is_read_as_nothing_complete(text: str | None) -> None:
    assert offset_metadata.decode(text) == 0
