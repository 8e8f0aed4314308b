"""The noise of MR: its level within 5 % of the truth, its fall towards the background, its spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from modality_scans import AFFINE, SIGMA, head, mr_scan, zero_filled

from ctinv.errors import InputError
from ctinv.fibre.covariance import Known
from ctinv.fibre.noise import noise_covariance
from ctinv.fibre.noise_mr import background_sigma, support, tissue_sigma
from ctinv.simulate.rician import RAYLEIGH_STD
from ctinv.volume import Box, Volume

AREA = Box(0, 40, 90, 40, 90)


@pytest.mark.parametrize("sigma", [10.0, 20.0, 50.0])
def test_sigma_is_measured_in_the_tissue(sigma: float) -> None:
    scan = mr_scan(sigma)
    for plane in scan.hu:
        assert tissue_sigma(plane, head()) == pytest.approx(sigma, rel=0.05)
        assert background_sigma(plane, head(), sigma) == pytest.approx(sigma, rel=0.05)
        assert support(plane) == (0.5, 0.5)


@pytest.mark.parametrize("edges", [(0.33, 0.40), (0.25, 0.5), (0.45, 0.30)])
def test_zero_filled_images_have_empty_outer_frequencies(edges: tuple[float, float]) -> None:
    image = zero_filled(SIGMA, edges)
    found = support(image)
    np.testing.assert_allclose(found, edges, atol=0.02)
    assert tissue_sigma(image, head(), found) == pytest.approx(SIGMA, rel=0.06)
    # Taken for white, the same image would seem to have far less noise than it has.
    assert tissue_sigma(image, head()) < 0.8 * SIGMA
    covariance, source = noise_covariance(Volume(image[None], AFFINE, "z", modality="MR"), head(), AREA)
    assert "k-space" in source["spectrum"]
    assert covariance.spectrum.mean() == pytest.approx(1.0)
    assert covariance.spectrum[0, covariance.spectrum.shape[1] // 2] < (0.01 if edges[1] < 0.5 else 4)


def test_the_sigma_map_is_that_of_the_rician_law() -> None:
    clean = head()
    covariance, source = noise_covariance(
        mr_scan()[0], clean, Box(0, 0, 128, 0, 128), known=Known(sigma=20.0)
    )
    assert source["sigma_from"] == "given"
    assert source["sigma"] == 20.0
    # 500 is 25 sigma; the corner has no signal.
    assert covariance.sigma[64, 64] == pytest.approx(20.0, rel=1e-3)
    assert covariance.sigma[2, 2] == pytest.approx(20.0 * RAYLEIGH_STD, rel=1e-3)
    assert 0.2 < source["share_below_3_sigma"] < 0.6
    # It agrees with repeated scans, point for point.
    repeats = np.stack([mr_scan(slices=1, seed=seed).hu[0] for seed in range(200)])
    ratio = repeats.std(axis=0, ddof=1) / covariance.sigma
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert np.abs(ratio - 1).max() < 5.5 / np.sqrt(400)


def test_what_cannot_be_measured_is_refused() -> None:
    empty = Volume(
        np.abs(np.random.default_rng(0).standard_normal((1, 64, 64))).astype(np.float32),
        AFFINE,
        "e",
        modality="MR",
    )
    with pytest.raises(InputError, match="too little tissue"):
        noise_covariance(empty, np.zeros((64, 64), np.float32), Box(0, 0, 32, 0, 32))
    with pytest.raises(InputError, match="magnitudes"):
        noise_covariance(empty.with_hu(empty.hu - 5), empty.hu[0], Box(0, 0, 32, 0, 32))
    with pytest.raises(InputError, match="no photons"):
        noise_covariance(mr_scan()[0], head(), AREA, known=Known(photons=1e5))
    with pytest.raises(InputError, match="above 0"):
        noise_covariance(mr_scan()[0], head(), AREA, known=Known(sigma=-1.0))
