"""The noise power spectrum: Parseval, spectra that are known, and squares that are flat."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctinv.quality.noise import detrended, flat_squares, noise_power, noise_power_2d, nps_distance

SPACING = 0.7


def ramp_noise(
    count: int, n: int, *, seed: int, cut: float = 0.25, sigma: float = 10.0
) -> NDArray[np.float64]:
    """(count, n, n) noise with NPS ∝ f exp(−f²/cut²), like filtered back-projection, cut from larger fields."""
    generator = np.random.default_rng(seed)
    side = 8 * n
    f = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, SPACING)] * 2))
    amplitude = np.sqrt(f * np.exp(-((f / cut) ** 2)))
    fields = []
    for _ in range(-(-count // 64)):
        white = np.fft.fft2(generator.normal(size=(side, side)))
        field = np.fft.ifft2(white * amplitude).real * sigma / np.sqrt((amplitude**2).mean())
        fields.append(field.reshape(8, n, 8, n).swapaxes(1, 2).reshape(-1, n, n))
    return np.concatenate(fields)[:count]


def test_the_variance_is_the_integral_of_the_nps():
    noise = detrended(ramp_noise(20, 32, seed=0))
    power = noise_power_2d(noise, spacing_mm=SPACING)
    assert power.sum() / (32 * SPACING) ** 2 == pytest.approx((noise**2).mean(), rel=1e-12)


def test_a_known_spectrum_is_found_within_five_per_cent():
    """n = 32 as in the measurement; the theory is the ring mean of the same density, without the lowest ring (trend)."""
    cut = 0.25
    found = noise_power(ramp_noise(640, 32, seed=1, cut=cut), spacing_mm=SPACING)
    f = np.linspace(1e-4, 0.5 / SPACING, 4000)
    density = f * np.exp(-((f / cut) ** 2))
    assert found.std_hu == pytest.approx(10, rel=0.05)
    assert found.mean_per_mm == pytest.approx((f * density).sum() / density.sum(), rel=0.05)
    assert found.peak_per_mm == pytest.approx(cut / np.sqrt(2), rel=0.05)
    strong = (found.frequency > 0.06) & (found.frequency < 0.4)
    expected = np.interp(found.frequency, f, density)
    expected *= 100 / (2 * np.pi * (f * density).sum() * (f[1] - f[0]))
    assert found.power[strong] / expected[strong] == pytest.approx(1, abs=0.15)
    assert np.mean(found.power[strong] / expected[strong]) == pytest.approx(1, abs=0.05)


def test_blur_moves_the_spectrum_down_and_the_distance_up():
    noise = ramp_noise(64, 32, seed=2)
    full = noise_power(noise, spacing_mm=SPACING)
    blurred = noise_power(gaussian_filter(noise, (0, 1, 1)), spacing_mm=SPACING)
    half = noise_power(noise / 2, spacing_mm=SPACING)
    assert blurred.mean_per_mm < 0.8 * full.mean_per_mm
    assert blurred.peak_per_mm < 0.9 * full.peak_per_mm
    assert half.mean_per_mm == pytest.approx(full.mean_per_mm)  # level is not texture
    assert nps_distance(full, full) == 0
    assert nps_distance(half, full) == pytest.approx(np.log10(4))
    assert nps_distance(blurred, full) > 0.3


def test_a_quadratic_trend_is_no_noise_and_a_cubic_one_is():
    y, x = np.mgrid[:32, :32] / 32.0
    assert np.abs(detrended((40 + 3 * x - 90 * x * y + 70 * y**2)[None])).max() < 1e-9
    assert np.abs(detrended((100 * x**3)[None])).max() > 1


def test_no_square_gives_no_number():
    found = noise_power(np.zeros((0, 32, 32)), spacing_mm=SPACING)
    assert np.isnan([found.std_hu, found.mean_per_mm, found.peak_per_mm, nps_distance(found, found)]).all()
    assert np.isnan(noise_power(np.zeros((3, 32, 32)), spacing_mm=SPACING).mean_per_mm)  # a black image


def test_squares_lie_in_flat_soft_tissue_only_and_do_not_overlap():
    generator = np.random.default_rng(3)
    image = generator.normal(60, 10, size=(128, 128))
    image[:, 64:] += 400  # bone
    image[:64, :64] += 80 * (np.hypot(*np.mgrid[-32:32, -32:32]) % 16 < 8)  # structure
    found = flat_squares(image.astype(np.float32), 32, spacing_mm=SPACING, tissue=(0.0, 250.0), z=5)
    assert found
    for square in found:
        assert square.z == 5
        assert square.y >= 56
        assert square.x + 32 <= 68  # the smoothed border of bone begins here
    covered = np.zeros(image.shape, int)
    for square in found:
        covered[square.y : square.y + 32, square.x : square.x + 32] += 1
    assert covered.max() == 1
    assert flat_squares(image[:20].astype(np.float32), 32, spacing_mm=SPACING, tissue=(0.0, 250.0)) == []
