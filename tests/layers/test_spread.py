"""The spread of samples and its standard error, against samples of which both are known."""

from __future__ import annotations

import math

import pytest
import torch

from ctinv.layer_study.series import Spread


@pytest.mark.parametrize("on_a_line", [False, True])
def test_the_standard_error_is_that_of_repetition(on_a_line: bool) -> None:
    """Also where all pixels move together, and every sample says one number only."""
    generator = torch.Generator().manual_seed(0)
    n, pixels = 100, (1, 1) if on_a_line else (8, 8)
    found = [
        Spread.of(3.0 * torch.randn(n, 1, *pixels, generator=generator).expand(n, 1, 8, 8))
        for _ in range(300)
    ]
    spreads = torch.tensor([one.hu for one in found])
    assert float(spreads.mean()) == pytest.approx(3.0, rel=0.02)
    said = sum(one.error for one in found) / len(found)
    assert said == pytest.approx(float(spreads.std()), rel=0.15)
    if on_a_line:
        assert said == pytest.approx(3.0 / math.sqrt(2 * n), rel=0.1)


def test_a_difference_within_the_sampling_error_is_none() -> None:
    assert not Spread(1.05, 0.05).exceeds(Spread(1.0, 0.0))
    assert Spread(1.2, 0.05).exceeds(Spread(1.0, 0.05))
    assert not Spread(1.0, 0.0).exceeds(Spread(1.2, 0.0))


def test_one_sample_has_no_spread() -> None:
    assert math.isnan(Spread.of(torch.zeros(1, 1, 4, 4)).hu)
    assert not Spread().exceeds(Spread(1.0, 0.1))
    assert Spread.of(torch.ones(5, 1, 4, 4)) == Spread(0.0, 0.0)
