"""Rician noise has the moments of theory, from no signal to a strong one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctinv.errors import InputError
from ctinv.simulate import add_rician_noise, rician_mean, rician_variance, simulate_low_dose
from ctinv.simulate.rician import RAYLEIGH_STD
from ctinv.volume import Volume

SIGMA = 12.5


def flat(value: float, shape: tuple[int, int, int] = (2, 200, 200)) -> Volume:
    return Volume(np.full(shape, value, np.float32), np.diag([3.0, 1.0, 1.0, 1.0]), "flat", modality="MR")


def test_moments_are_those_of_scipys_distribution() -> None:
    ratio = np.array([0.0, 0.1, 0.7, 1.0, 2.0, 3.0, 5.0, 12.0, 25.0])
    expected = stats.rice(b=ratio, scale=SIGMA)
    np.testing.assert_allclose(rician_mean(SIGMA * ratio, SIGMA), expected.mean(), rtol=1e-9)
    np.testing.assert_allclose(rician_variance(SIGMA * ratio, SIGMA), expected.var(), rtol=1e-7)
    assert rician_variance(np.zeros(1), 1.0)[0] == pytest.approx(RAYLEIGH_STD**2)
    # Gaussian with constant sigma above a ratio of 3, and no step where the series takes over.
    assert rician_variance(np.array([3.0]), 1.0)[0] > 0.93
    around = rician_variance(np.array([29.999, 30.001, 1e4]), 1.0)
    assert abs(around[0] - around[1]) < 1e-6
    assert around[2] == pytest.approx(1.0)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 3.0, 10.0])
def test_inserted_noise_has_these_moments(ratio: float) -> None:
    noisy = add_rician_noise(flat(ratio * SIGMA), sigma=SIGMA, seed=1)
    law = stats.rice(b=ratio, scale=SIGMA)
    assert noisy.hu.mean() == pytest.approx(law.mean(), abs=0.1)
    assert noisy.hu.std() == pytest.approx(law.std(), rel=0.01)
    assert stats.kstest(noisy.hu.ravel()[::20], law.cdf).pvalue > 1e-3
    # A Gaussian of the same mean and spread is another law where there is little signal.
    gauss = stats.kstest(noisy.hu.ravel(), stats.norm(law.mean(), law.std()).cdf).pvalue
    assert (gauss < 1e-3) == (ratio < 2.0)


def test_a_slice_has_its_own_noise_wherever_it_was_cut() -> None:
    whole = add_rician_noise(flat(100.0), sigma=SIGMA, seed=3)
    alone = add_rician_noise(flat(100.0)[1], sigma=SIGMA, seed=3)
    assert np.array_equal(whole.hu[1:], alone.hu)
    assert not np.array_equal(whole.hu[0], whole.hu[1])
    assert not np.array_equal(whole.hu, add_rician_noise(flat(100.0), sigma=SIGMA, seed=4).hu)
    assert whole.modality == "MR"
    assert whole.uid != "flat"


def test_what_is_no_magnitude_is_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        add_rician_noise(flat(1.0), sigma=0.0, seed=0)
    with pytest.raises(InputError, match="magnitudes"):
        add_rician_noise(flat(-1.0), sigma=1.0, seed=0)
    with pytest.raises(InputError, match="for CT in HU; this volume is MR"):
        simulate_low_dose(flat(1.0), dose=0.5, seed=0)
