"""The low-contrast phantom: its discs hold what they say, its noise is that of the dose, and it comes at once."""

from __future__ import annotations

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.simulate import (
    DEFAULT_PHOTONS,
    HU_PER_MU,
    ParallelGeometry,
    contrast_phantom,
    counts,
    fbp_variance,
    line_integrals,
    phantom_scan,
    scan_variance,
)
from ctinv.simulate.phantom import CONTRASTS_HU, RODS_HU
from ctinv.volume import Volume


def test_water_discs_and_rods_have_their_values() -> None:
    truth = contrast_phantom().hu[0]
    assert set(np.unique(truth)) >= {-1000.0, 0.0, *CONTRASTS_HU, *RODS_HU}
    assert truth[256, 256] == 0.0
    counted = {hu: int((truth == hu).sum()) * 0.25 for hu in (*CONTRASTS_HU, 120.0)}
    assert counted[120.0] == pytest.approx(np.pi * 36, rel=0.1), "mm² of a rod of 12 mm"
    for hu in CONTRASTS_HU:
        assert counted[hu] == pytest.approx(np.pi / 4 * (15**2 + 9**2 + 7**2 + 5**2 + 3**2), rel=0.15)


def test_noise_is_that_of_theory_and_doubles_at_a_quarter_of_the_dose() -> None:
    truth = contrast_phantom(slices=2)
    geometry = ParallelGeometry.of(truth)
    middle = np.s_[:, 246:266, 246:266]
    measured = []
    for dose in (1.0, 0.25):
        scan = phantom_scan(truth, dose=dose, seed=3)
        measured.append(float((scan.hu - truth.hu)[middle].std()))
        variance = scan_variance(
            counts(line_integrals(truth.hu[0], geometry), geometry, photons=DEFAULT_PHOTONS * dose)
        )
        theory = float(np.sqrt(fbp_variance(variance, geometry)[256, 256])) * HU_PER_MU
        assert measured[-1] == pytest.approx(theory, rel=0.12)
        assert scan.acquisition.photons == DEFAULT_PHOTONS * dose
    assert measured[1] / measured[0] == pytest.approx(2.0, rel=0.15)


def test_the_same_seed_gives_the_same_scan_and_each_slice_its_own_noise() -> None:
    truth = contrast_phantom(size=336, slices=2, pixel_mm=0.7)
    scan = phantom_scan(truth, dose=0.25, seed=1)
    assert np.array_equal(scan.hu, phantom_scan(truth, dose=0.25, seed=1).hu)
    assert not np.array_equal(scan.hu[0], scan.hu[1])
    assert np.array_equal(scan.hu[1], phantom_scan(truth[1], dose=0.25, seed=1).hu[0])
    assert scan.uid != truth.uid


def test_what_cannot_be_scanned_is_refused() -> None:
    truth = contrast_phantom(size=336, pixel_mm=0.7)
    with pytest.raises(InputError, match="above 0, up to 1"):
        phantom_scan(truth, dose=0.0)
    uneven = Volume(np.concatenate([truth.hu, truth.hu + 1]), truth.affine, truth.uid)
    with pytest.raises(InputError, match="slices of the phantom differ"):
        phantom_scan(uneven)
    with pytest.raises(InputError, match="at least 160 mm"):
        contrast_phantom(diameter_mm=100)
