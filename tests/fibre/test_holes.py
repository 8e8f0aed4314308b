"""C of a CT says nowhere that there is no noise: holes of its spectrum are filled, and the provenance counts them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import ctinv
from ctinv.fibre import noise_ct
from ctinv.fibre.holes import BELOW, DEPTH, filled, radial_frequency
from ctinv.fibre.noise import noise_covariance
from ctinv.resources import ct_folder

BESIDE_THE_SPINE = ctinv.Box(11, 186, 262, 286, 362)
LIVER = ctinv.Box(8, 162, 222, 138, 198)


@pytest.fixture(scope="module")
def scan() -> ctinv.Volume:
    return ctinv.read(ct_folder() / "quarter_dose")


@pytest.fixture(scope="module")
def full_dose() -> NDArray[np.float32]:
    """The anatomy that the noise lies on; which denoiser gives it does not matter here."""
    return ctinv.read(ct_folder() / "full_dose").hu


def test_a_hole_of_the_products_own_c_is_filled(
    scan: ctinv.Volume, full_dose: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    z = BESIDE_THE_SPINE.z
    mended, source = noise_covariance(scan[z], full_dose[z], BESIDE_THE_SPINE)
    monkeypatch.setattr(noise_ct, "filled", lambda _: None)
    bare, _ = noise_covariance(scan[z], full_dose[z], BESIDE_THE_SPINE)
    found = filled(bare.spectrum)
    assert found is not None
    assert source["filled_bins"] == found[1].bins
    assert found[1].depth < DEPTH
    assert filled(mended.spectrum) is None
    assert mended.spectrum.mean() == pytest.approx(1.0)
    top = bare.spectrum.argmax()
    changed = ~np.isclose(
        mended.spectrum * bare.spectrum.flat[top] / mended.spectrum.flat[top], bare.spectrum
    )
    assert changed.sum() == found[1].bins
    assert radial_frequency(len(changed))[changed].max() < BELOW


def test_c_without_a_hole_is_left_as_it_is(
    scan: ctinv.Volume, full_dose: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    z = LIVER.z
    as_it_is, source = noise_covariance(scan[z], full_dose[z], LIVER)
    assert "filled_bins" not in source
    monkeypatch.setattr(noise_ct, "filled", lambda _: None)
    bare, _ = noise_covariance(scan[z], full_dose[z], LIVER)
    np.testing.assert_array_equal(as_it_is.spectrum, bare.spectrum)
