"""Noise of several images is read in the very same squares."""

from __future__ import annotations

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.quality.fidelity import Scale
from ctinv.quality.noise import noise_power
from ctinv.quality.same_noise import homogeneous, read, same_noise
from ctinv.quality.squares import Squares, filling

SPACING = 0.7


def scan(std: float, *, slices: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(60, std, (slices, 96, 96)).astype(np.float32)


def test_squares_are_chosen_once_and_a_halved_noise_is_half() -> None:
    before = scan(12.0)
    squares = homogeneous(before, spacing_mm=SPACING)
    assert squares.size == 32
    assert 3 <= len(squares.places) <= 40
    after = (60 + (before - 60) / 2).astype(np.float32)
    one, other = same_noise([before, after], squares, spacing_mm=SPACING)
    assert one.std_hu == pytest.approx(12, rel=0.03)
    assert other.std_hu == pytest.approx(one.std_hu / 2, rel=1e-5)
    assert np.allclose(other.power, one.power / 4)
    by_hand = noise_power(read(squares, before), spacing_mm=SPACING)
    assert one.std_hu == by_hand.std_hu


def test_a_small_image_takes_smaller_squares() -> None:
    assert homogeneous(scan(5.0)[:1, :40, :40], spacing_mm=SPACING).size < 32


def test_where_nothing_is_homogeneous_there_is_one_sentence() -> None:
    bone = np.full((1, 64, 64), 900, np.float32)
    with pytest.raises(InputError, match="no homogeneous square"):
        homogeneous(bone, spacing_mm=SPACING)
    with pytest.raises(InputError, match="draw a region"):
        homogeneous(bone, spacing_mm=SPACING, scale=Scale(air=0.0))


def test_a_drawn_region_is_filled_with_the_largest_squares_that_fit() -> None:
    mask = np.zeros((96, 96), bool)
    mask[5:70, 10:45] = True
    found = filling({1: mask})
    assert found == Squares(32, ((1, 5, 10), (1, 37, 10)))
    for z, y, x in found.places:
        assert mask[y : y + 32, x : x + 32].all()
        assert z == 1
    with pytest.raises(InputError, match="draw it larger"):
        filling({1: np.pad(np.ones((8, 8), bool), 20)})
