"""The noise of PET: level, power of the activity and width within 15 % on a volume with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from modality_scans import AFFINE, activity, pet_scan

from ctinv.errors import InputError
from ctinv.fibre.covariance import Known
from ctinv.fibre.noise import noise_covariance
from ctinv.volume import Box, Volume

AREA = Box(0, 30, 94, 30, 94)


@pytest.mark.parametrize("width", [0.8, 1.2, 1.6])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_level_and_width_are_those_of_the_truth(power: float, width: float) -> None:
    clean = activity()
    covariance, source = noise_covariance(pet_scan(power, width=width), clean, AREA)
    true = 0.1 * 4000.0 ** (1 - power) * clean[AREA.slices] ** power
    assert source["power"] == power
    assert source["filter_std_px"] == pytest.approx(width, rel=0.15)
    np.testing.assert_allclose(covariance.sigma, true, rtol=0.15)
    assert "iterative reconstruction" in source["warning"]
    assert covariance.spectrum.mean() == pytest.approx(1.0)


def test_the_scan_is_plausible_under_its_own_c_and_not_under_a_white_one() -> None:
    scan, clean = pet_scan(seed=3), activity()
    covariance, _ = noise_covariance(scan, clean, AREA)
    whitened = ((scan.hu[0] - clean)[AREA.slices] / covariance.sigma).ravel()
    assert np.mean(whitened**2) == pytest.approx(1.0, abs=0.3)
    neighbours = np.corrcoef(whitened[1:], whitened[:-1])[0, 1]
    correlation = np.real(np.fft.ifft2(covariance.spectrum))
    assert neighbours == pytest.approx(correlation[0, 1] / correlation[0, 0], abs=0.1)
    assert neighbours > 0.6


def test_what_cannot_be_measured_is_refused() -> None:
    small = Volume(activity()[None, :20, :20].copy(), AFFINE, "s", modality="PT")
    with pytest.raises(InputError, match="homogeneous patches"):
        noise_covariance(small, small.hu[0], Box(0, 0, 16, 0, 16))
    with pytest.raises(InputError, match="wider than"):
        noise_covariance(pet_scan(width=5.0), activity(), AREA)
    with pytest.raises(InputError, match="do not apply"):
        noise_covariance(pet_scan(), activity(), AREA, known=Known(sigma=3.0))
