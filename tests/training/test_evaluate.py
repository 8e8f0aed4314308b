"""A network is measured in HU beside the low and the full dose, on whatever stack of slices it sees."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ctinv.quality.fidelity import Scale
from ctinv.training.data import Pair
from ctinv.training.evaluate import compare, spread_slices


@pytest.fixture(scope="module")
def pair() -> Pair:
    generator = np.random.default_rng(0)
    full = 60 + 4 * gaussian_filter(generator.normal(size=(3, 96, 96)), (0, 1, 1)) / 0.28
    low = full + 20 * generator.normal(size=full.shape)
    return Pair("p", low.astype(np.float32), full.astype(np.float32), "p", 0.7)


class Blur(nn.Module):
    """Mean of 3 x 3 pixels of the middle slice, plus what is added; must see normalised values."""

    def __init__(self, plus: float = 0.0) -> None:
        super().__init__()
        self.plus = nn.Parameter(torch.tensor(plus))

    def forward(self, x: Tensor) -> Tensor:
        assert x.abs().max() < 5
        middle = x[:, x.shape[1] // 2 : x.shape[1] // 2 + 1]
        return nn.functional.avg_pool2d(nn.functional.pad(middle, [1] * 4, mode="reflect"), 3, 1) + self.plus


def test_a_blur_is_measured_as_one(pair: Pair):
    found = compare(Blur(), pair, [0, 1, 2], mean=-350.0, std=500.0)
    low, denoised = found["low"], found["denoised"]
    assert found["places"]["squares"] > 3
    assert low["rmse_hu"] == pytest.approx(20, rel=0.02)
    assert denoised["rmse_hu"] < 0.6 * low["rmse_hu"]
    assert denoised["nps_mean_ratio"] < low["nps_mean_ratio"]
    assert low["noise_std_hu"] == pytest.approx(np.hypot(20, found["full"]["noise_std_hu"]), rel=0.05)
    json.dumps(found, allow_nan=False)  # no edge here: null, not NaN
    assert denoised["edge_ratio"] is None


def test_mean_and_std_are_undone(pair: Pair):
    shifted = compare(Blur(plus=0.1), pair, [1], mean=-350.0, std=500.0)["denoised"]
    assert shifted["rmse_hu"] == pytest.approx(np.hypot(50, 20 / 3), rel=0.03)


def test_a_stack_reaches_the_network_whole(pair: Pair):
    one, three = (compare(Blur(), pair, [0, 2], mean=0.0, std=100.0, stack=stack) for stack in (1, 3))
    assert one == three  # the middle slice is the same one, at the ends of the scan too


def test_another_unit_has_no_hounsfield_figures(pair: Pair):
    found = compare(Blur(), pair, [1], mean=0.0, std=100.0, scale=Scale(air=0.0))
    assert found["denoised"]["rmse_hu"] > 0
    assert found["denoised"]["ssim"] > found["low"]["ssim"]
    assert found["full"]["noise_std_hu"] is None


def test_slices_are_spread_over_the_scan():
    assert spread_slices(31, 3) == [5, 15, 25]
    assert spread_slices(2, 5) == [0, 1]
