"""ε for one output and the error over all outputs: which of the two a wider layer changes."""

from __future__ import annotations

import math

import pytest
import torch

from ctinv.fibre.dimension import Spectrum

PIXELS = 64


def spectrum(copies: int = 1) -> Spectrum:
    """A layer whose singular values fall over three decades, with every channel there so many times."""
    values = copies * torch.logspace(2, -4, PIXELS, dtype=torch.float64)
    return Spectrum(values, torch.eye(PIXELS), (8, 8))


@pytest.mark.parametrize("rms", [1e-3, 0.05, 1.0])
def test_samples_of_the_law_have_the_error_that_was_asked(rms: float) -> None:
    found = spectrum().tolerance_at(rms, PIXELS)
    error = math.sqrt(float((spectrum().values * spectrum().free(found)).sum()) / PIXELS)
    assert error == pytest.approx(rms, rel=1e-6)
    assert found >= rms


def test_doubling_every_channel_changes_the_one_and_not_the_other() -> None:
    once, twice = spectrum(), spectrum(copies=2)
    assert twice.d_eff(0.1) > 1.02 * once.d_eff(0.1)  # stricter for being wider
    at_rms = [one.tolerance_at(0.1, copies * PIXELS) for copies, one in ((1, once), (2, twice))]
    assert twice.d_eff(at_rms[1]) == pytest.approx(once.d_eff(at_rms[0]), rel=1e-6)
    assert twice.spread(at_rms[1]) == pytest.approx(once.spread(at_rms[0]), rel=1e-6)


def test_beyond_the_noise_everything_is_free() -> None:
    assert math.isinf(spectrum().tolerance_at(1e3, PIXELS))
    assert spectrum().spread(1e9) == pytest.approx(spectrum().noise_spread)
