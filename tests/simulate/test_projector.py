"""The projector against integrals known in closed form, and its noise theory against noise."""

from __future__ import annotations

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.simulate import ParallelGeometry, fbp, fbp_autocovariance, fbp_variance, forward_project
from ctinv.volume import Box

GEOMETRY = ParallelGeometry((97, 128), 1.5, views=180)
DISCS = ((40.0, 70.0, 30.0, 0.02), (48.0, 60.0, 10.0, 0.01))  # row, column, radius in pixels, 1/mm


def discs() -> np.ndarray:
    fine = 8
    rows, columns = (np.arange(n * fine) / fine + (0.5 / fine - 0.5) for n in GEOMETRY.shape)
    image = np.zeros((rows.size, columns.size))
    for y, x, radius, mu in DISCS:
        image += mu * (np.hypot(rows[:, None] - y, columns[None, :] - x) < radius)
    h, w = GEOMETRY.shape
    return image.reshape(h, fine, w, fine).mean(axis=(1, 3)).astype(np.float32)


def disc_integrals() -> np.ndarray:
    cy, cx = GEOMETRY.centre
    angle = GEOMETRY.angles[:, None]
    t = np.arange(GEOMETRY.rays)[None, :] - GEOMETRY.rays // 2
    total = np.zeros((GEOMETRY.views, GEOMETRY.rays))
    for y, x, radius, mu in DISCS:
        centre = (x - cx) * np.cos(angle) - (y - cy) * np.sin(angle)
        total += 2 * mu * GEOMETRY.pixel_mm * np.sqrt(np.maximum(radius**2 - (t - centre) ** 2, 0))
    return total.astype(np.float32)


@pytest.mark.parametrize("projector", ["scikit-image", "astra"])
def test_line_integrals_of_discs_are_chords(projector: str) -> None:
    if projector == "astra":
        pytest.importorskip("astra", exc_type=ImportError)
    error = forward_project(discs(), GEOMETRY, projector=projector) - disc_integrals()
    assert np.sqrt(np.mean(error**2)) < 0.03  # of 2.1; half resolution rounds the discs' rims
    assert abs(error.mean()) < 1e-3


def test_reconstruction_of_chords_is_the_disc() -> None:
    error = fbp(disc_integrals(), GEOMETRY, kernel="ramp") - discs()
    y, x, radius, mu = DISCS[0]
    inside = np.hypot(*(np.indices(GEOMETRY.shape) - np.array([y, x])[:, None, None])) < radius - 4
    inside &= np.hypot(*(np.indices(GEOMETRY.shape) - np.array([48, 60])[:, None, None])) > 14
    assert abs(error[inside].mean()) < 0.002 * mu
    assert error[inside].std() < 0.03 * mu


def test_a_box_is_cut_from_the_whole_slice() -> None:
    sinogram = np.random.default_rng(0).standard_normal((GEOMETRY.views, GEOMETRY.rays), dtype=np.float32)
    box = Box(0, 11, 40, 50, 128)
    np.testing.assert_array_equal(fbp(sinogram, GEOMETRY, box=box), fbp(sinogram, GEOMETRY)[box.slices])


@pytest.mark.parametrize("kernel", ["hann", "ramp"])
def test_variance_is_that_of_the_linear_operator(kernel: str) -> None:
    """Row by row of the operator: the response to unit rays, squared and summed, at single pixels."""
    geometry = ParallelGeometry((12, 12), 1.0, views=4)
    variance = np.random.default_rng(1).uniform(0.5, 2, (geometry.views, geometry.rays)).astype(np.float32)
    expected = np.zeros(geometry.shape)
    for index in np.ndindex(variance.shape):
        unit = np.zeros_like(variance)
        unit[index] = 1
        expected += fbp(unit, geometry, kernel=kernel).astype(np.float64) ** 2 * variance[index]
    np.testing.assert_allclose(fbp_variance(variance, geometry, kernel=kernel), expected, rtol=1e-5)


def test_autocovariance_is_that_of_drawn_noise() -> None:
    geometry = ParallelGeometry((64, 64), 1.0, views=120)
    # Views differ in noise threefold, as behind an elongated body, so the covariance is not isotropic.
    variance = np.repeat(2 + np.cos(2 * geometry.angles)[:, None], geometry.rays, axis=1).astype(np.float32)
    generator, box = np.random.default_rng(2), Box(0, 20, 44, 20, 44)
    draws = np.stack(
        [
            fbp(np.sqrt(variance) * generator.standard_normal(variance.shape, np.float32), geometry, box=box)
            for _ in range(400)
        ]
    )
    theory = fbp_autocovariance(variance, geometry, at=(32, 32), radius=4)
    assert theory[4, 4] == pytest.approx(float(fbp_variance(variance, geometry)[32, 32]), rel=0.02)
    assert theory[4, 5] < 0.8 * theory[5, 4]
    for dy, dx in [(0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (2, 0), (0, 3)]:
        first, second = draws[:, 4:20, 4:20], draws[:, 4 + dy : 20 + dy, 4 + dx : 20 + dx]
        assert np.mean(first * second) / theory[4, 4] == pytest.approx(
            theory[4 + dy, 4 + dx] / theory[4, 4], abs=0.03
        )


def test_refusals() -> None:
    image = np.zeros(GEOMETRY.shape, np.float32)
    sinogram = np.zeros((GEOMETRY.views, GEOMETRY.rays), np.float32)
    with pytest.raises(InputError, match="expected a slice of shape"):
        forward_project(image[:-1], GEOMETRY)
    with pytest.raises(InputError, match="scikit-image, astra"):
        forward_project(image, GEOMETRY, projector="rtk")
    with pytest.raises(InputError, match="hann, ramp"):
        fbp(sinogram, GEOMETRY, kernel="soft")
    with pytest.raises(InputError, match="outside"):
        fbp(sinogram, GEOMETRY, box=Box(0, 0, 200, 0, 10))
    with pytest.raises(InputError, match="largest lag"):
        fbp_autocovariance(sinogram, GEOMETRY, at=(3, 3), radius=500)
    with pytest.raises(InputError, match="even number of views"):
        ParallelGeometry((8, 8), 1.0, views=3)
