"""Edges: the known rise of a blurred edge, at any angle, under noise, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from ctinv.quality.edges import Edge, edge_spread, find_edges, rise_mm

SPACING = 0.7
RISE = 2 * 1.2815515655446004  # 10-90 % of a normal distribution of σ = 1


def disc(sigma_mm: float, *, contrast: float = 800.0, radius_mm: float = 25.0) -> NDArray[np.float32]:
    """A disc in (128, 128) pixels whose border is a Gaussian-blurred step, sampled at points."""
    y, x = (np.mgrid[:128, :128] - 63.3) * SPACING
    return (-850 + contrast * ndtr((radius_mm - np.hypot(y, x)) / sigma_mm)).astype(np.float32)


def rise(image: NDArray[np.float32], edges: list[Edge]) -> float:
    return rise_mm(*edge_spread([image[e.rows, e.columns].astype(np.float64) for e in edges], edges))


@pytest.mark.parametrize("sigma", [0.6, 0.9, 1.3])
def test_a_blurred_edge_has_its_known_rise(sigma: float):
    image = disc(sigma)
    edges = find_edges(image, spacing_mm=SPACING, z=3)
    assert len(edges) >= 6
    assert {edge.z for edge in edges} == {3}
    assert rise(image, edges) == pytest.approx(RISE * sigma, rel=0.05)
    assert np.mean([edge.contrast_hu for edge in edges]) == pytest.approx(800, rel=0.02)


def test_blur_adds_in_squares_and_noise_changes_little():
    generator = np.random.default_rng(0)
    image = disc(0.8, contrast=150.0)
    noisy = image + generator.normal(0, 6, image.shape).astype(np.float32)
    edges = find_edges(noisy, spacing_mm=SPACING)
    assert len(edges) >= 6
    assert rise(noisy, edges) == pytest.approx(RISE * 0.8, rel=0.08)
    blurred = gaussian_filter(image, 1.0 / SPACING)
    assert rise(blurred, edges) == pytest.approx(RISE * np.hypot(0.8, 1.0), rel=0.08)


def test_fat_beside_tissue_is_told_from_a_couch_in_air():
    fat, couch, skin = (
        disc(0.8, contrast=contrast) + lift for contrast, lift in ((150, 750), (150, 0), (900, 0))
    )
    for image, high, low in ((fat, False, True), (couch, False, False), (skin, True, False)):
        edges = find_edges(image.astype(np.float32), spacing_mm=SPACING)
        assert len(edges) >= 6
        assert {edge.high_contrast for edge in edges} == {high}
        assert {edge.low_contrast for edge in edges} == {low}


def test_a_rescaled_or_shifted_image_has_the_same_rise():
    image = disc(0.8)
    edges = find_edges(image, spacing_mm=SPACING)
    assert rise(0.3 * image + 40, edges) == pytest.approx(rise(image, edges), rel=1e-4)


def test_corners_thin_walls_and_noise_are_no_edges():
    y, x = np.mgrid[:128, :128] * SPACING
    wall = (800 * np.exp(-(((x - 45) / 1.5) ** 2))).astype(np.float32)
    assert find_edges(wall, spacing_mm=SPACING) == []
    corner = gaussian_filter(800.0 * ((x > 45) & (y > 45)), 1).astype(np.float32)
    middle = np.hypot(x - 45, y - 45) < 4
    assert not any(
        middle[e.rows, e.columns][np.abs(e.distance) < 0.5].all()
        for e in find_edges(corner, spacing_mm=SPACING)
    )
    noise = np.random.default_rng(1).normal(0, 20, (128, 128)).astype(np.float32)
    assert find_edges(noise, spacing_mm=SPACING) == []


def test_a_curve_that_does_not_rise_has_no_number():
    distance = np.linspace(-5, 5, 50)
    assert np.isnan(rise_mm(distance, np.full(50, 0.5)))
    assert np.isnan(rise_mm(distance[:1], np.ones(1)))
    assert rise_mm(distance, ndtr(distance)) == pytest.approx(RISE, rel=0.01)
