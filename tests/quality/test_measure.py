"""All figures together: the full dose against itself, blur, noise, and places that do not exist."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from ctinv.quality.fidelity import AIR_HU, Scale, body_rmse, fidelity
from ctinv.quality.measure import find_places, measure

SPACING = 0.7


@pytest.fixture(scope="module")
def scan() -> NDArray[np.float32]:
    """(2, 160, 160) HU: a noisy body of soft tissue with discs of lung and of fat, in air."""
    y, x = (np.mgrid[:160, :160] - 79.6) * SPACING
    image = np.full(y.shape, -1000.0)
    for centre, radius, height in (
        ((0, 0), 52, 1060),
        ((-24, 0), 16, -850),
        ((24, -24), 13, -160),
        ((24, 24), 13, -160),
    ):
        image += height * ndtr((radius - np.hypot(y - centre[0], x - centre[1])) / 0.8)
    generator = np.random.default_rng(0)
    noise = gaussian_filter(generator.normal(size=(2, *y.shape)), (0, 0.7, 0.7))
    return (image + 5 * noise / noise.std()).astype(np.float32)


def test_the_full_dose_is_perfect_beside_itself(scan: NDArray[np.float32]):
    found = measure(scan, {"same": lambda z: scan[z]}, [0, 1], spacing_mm=SPACING)
    assert min(found["places"].values()) >= 4
    same = found["same"]
    assert same["rmse_hu"] == 0
    assert same["ssim"] == 1
    assert same["psnr_db"] is None  # infinite
    assert [same[key] for key in ("nps_peak_ratio", "nps_mean_ratio", "edge_ratio", "low_edge_ratio")] == [
        1
    ] * 4
    assert same["nps_distance"] == 0
    assert found["full"]["noise_std_hu"] == pytest.approx(5, rel=0.15)
    assert found["full"]["edge_mm"] == pytest.approx(2.563 * 0.8, rel=0.1)


def test_blur_lowers_noise_and_spectrum_and_widens_edges(scan: NDArray[np.float32]):
    noisier = scan + np.random.default_rng(1).normal(0, 20, scan.shape).astype(np.float32)
    blurred = gaussian_filter(noisier, (0, 1.5, 1.5))
    images = {"low": lambda z: noisier[z], "denoised": lambda z: blurred[z]}
    found = measure(scan, images, [0, 1], spacing_mm=SPACING)
    low, denoised = found["low"], found["denoised"]
    assert denoised["noise_std_hu"] < 0.5 * low["noise_std_hu"]
    assert denoised["nps_mean_ratio"] < 0.8 < low["nps_mean_ratio"]
    assert denoised["edge_ratio"] > 1.2 > 1.02 > low["edge_ratio"] > 0.98
    assert denoised["low_edge_ratio"] > 1.2
    json.dumps(found, allow_nan=False)


def test_what_cannot_be_measured_is_null(scan: NDArray[np.float32]):
    for found in (
        measure(scan, {"low": lambda z: scan[z]}, [0], spacing_mm=float("nan")),
        measure(scan, {"low": lambda z: scan[z]}, [0], spacing_mm=SPACING, scale=Scale(air=-950)),
        measure(
            np.full((1, 64, 64), -1000, np.float32),
            {"low": lambda z: np.zeros((64, 64), np.float32)},
            [0],
            spacing_mm=SPACING,
        ),
    ):
        assert set(found["places"].values()) == {0}
        assert found["low"]["noise_std_hu"] is None
        assert found["low"]["edge_ratio"] is None
        json.dumps(found, allow_nan=False)


def test_places_come_from_the_full_dose_alone(scan: NDArray[np.float32]):
    one, two = (find_places(scan, [0, 1], spacing_mm=SPACING) for _ in range(2))
    assert one.squares == two.squares
    assert [edge.distance.tolist() for edge in one.edges] == [edge.distance.tolist() for edge in two.edges]


def test_rmse_counts_the_body_and_psnr_and_ssim_the_window():
    full = np.full((16, 16), -1000, np.float32)
    full[:8] = 40
    image = full + 10
    image[8:] += 500  # air does not count
    assert body_rmse(image, full) == pytest.approx(10)
    assert np.isnan(body_rmse(full, np.full_like(full, AIR_HU)))
    bright = np.full((16, 16), 2000, np.float32)
    assert fidelity(bright + 300, bright)["ssim"] == 1  # beyond the window
    assert fidelity(full + 20, full)["psnr_db"] == pytest.approx(20 * np.log10(2000 / 20), abs=1e-4)
    other = Scale(air=0.0, window=(0.0, 100.0))
    assert fidelity(bright / 40 + 1, bright / 40, scale=other)["psnr_db"] == pytest.approx(40, abs=1e-3)
