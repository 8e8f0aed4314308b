"""C, given the surroundings: the textbook conditional, no seam, the torus form equal to the dense one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ctinv.fibre.covariance import Covariance, DenseNoise, mask_of
from ctinv.fibre.factor import Factor
from ctinv.fibre.iterative import IterativeGain, TorusNoise
from ctinv.fibre.jacobian import SparseJacobian
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.representation import Representation
from ctinv.volume import Box

AREA = Box(0, 0, 64, 0, 60)
REGION = Box(0, 22, 40, 20, 38)


@pytest.fixture(scope="module")
def covariance() -> Covariance:
    size = 80
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    power = (0.02 + radius) * np.exp(-((radius / 0.3) ** 2)) + 0.002
    sigma = 10 + 6 * np.linspace(0, 1, 60)[None, :] * np.ones((64, 1))
    return Covariance(AREA, sigma, power / power.mean(), 1.0 / 12.0)


@pytest.fixture(scope="module")
def residual(covariance: Covariance) -> NDArray[np.float64]:
    return covariance.draw(range(1), RowSeeds(7, "s", "b"))[0].astype(np.float64)


def test_draws_have_the_covariance(covariance: Covariance) -> None:
    images = covariance.draw(range(4000), RowSeeds(0, "s", "b"))
    part = images[:, 10:13, 10:13].reshape(len(images), -1)
    exact = covariance.dense(Box(0, 10, 13, 10, 13))
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.abs((np.cov(part.T) - exact) / scale).max() < 5 / np.sqrt(4000)


def test_conditional_is_the_textbook_one(covariance: Covariance, residual: NDArray[np.float64]) -> None:
    noise = DenseNoise.given(covariance, REGION, residual, ring=4)
    frame = Box(0, 18, 44, 16, 42)
    whole, inside = covariance.dense(frame), mask_of(REGION, frame)
    cross = whole[np.ix_(inside, ~inside)]
    known = residual[frame.slices].ravel()[~inside]
    weights = cross @ np.linalg.inv(whole[np.ix_(~inside, ~inside)])
    np.testing.assert_allclose(noise.mean.numpy(), weights @ known, atol=1e-3)
    expected = whole[np.ix_(inside, inside)] - weights @ cross.T
    np.testing.assert_allclose((noise.root @ noise.root.T).numpy(), expected, atol=1e-6 * expected.max())


def test_there_is_no_seam(covariance: Covariance) -> None:
    """Across the border neighbouring pixels differ as much as anywhere; independent draws differ visibly more."""
    smooth = (
        np.exp(-((np.hypot(np.fft.fftfreq(80)[:, None], np.fft.fftfreq(80)[None, :]) / 0.12) ** 2)) + 1e-3
    )
    covariance = replace(covariance, spectrum=smooth / smooth.mean())
    residual = covariance.draw(range(1), RowSeeds(7, "s", "b"))[0].astype(np.float64)
    noise = DenseNoise.given(covariance, REGION, residual)
    drawn = noise.draw(torch.randn(noise.latent, 400, generator=torch.Generator().manual_seed(0)))
    images = drawn.T.reshape(-1, *REGION.shape).numpy()
    outside = residual[REGION.y0 : REGION.y1, REGION.x0 - 1]
    across = np.mean((images[:, :, 0] - outside) ** 2)
    expected = covariance.dense(Box(0, 30, 31, 19, 21))
    usual = expected[0, 0] + expected[1, 1] - 2 * expected[0, 1]
    independent = expected[0, 0] + expected[1, 1]
    assert across < 1.6 * usual
    assert independent > 2.5 * usual


def test_scan_and_samples_are_exchangeable(covariance: Covariance) -> None:
    """χ²/n of fresh noise given its own surroundings is 1."""
    values = []
    for row in range(20):
        image = covariance.draw(range(row, row + 1), RowSeeds(3, "s", "b"))[0].astype(np.float64)
        noise = DenseNoise.given(covariance, REGION, image)
        values.append(
            float(noise.chi2(torch.from_numpy(image[REGION.slices].reshape(-1, 1)).float())[0]) / noise.latent
        )
    assert np.mean(values) == pytest.approx(1.0, abs=4 * np.sqrt(2 / (20 * 18 * 18)))


def test_the_torus_form_is_the_dense_one(covariance: Covariance, residual: NDArray[np.float64]) -> None:
    dense = DenseNoise.given(covariance, REGION, residual, ring=16)
    torus = TorusNoise.given(covariance, REGION, residual, torch.device("cpu"))
    scale = float(dense.root.diagonal().mean())
    assert float((dense.mean - torus.mean).square().mean().sqrt()) < 0.02 * scale
    fresh = torch.randn(dense.latent, 6, generator=torch.Generator().manual_seed(2))
    noise = dense.draw(fresh)
    torch.testing.assert_close(dense.chi2(noise), torus.chi2(noise), rtol=0.03, atol=0.0)
    drawn = torus.draw(torch.randn(torus.latent, 200, generator=torch.Generator().manual_seed(3)))
    assert float(dense.chi2(drawn).mean()) / dense.latent == pytest.approx(1.0, abs=0.03)


def test_the_iterative_gain_is_the_dense_one(
    covariance: Covariance, residual: NDArray[np.float64], small_denoiser
) -> None:  # type: ignore[no-untyped-def]
    scan = torch.from_numpy((20 + residual).astype(np.float32))
    region = Region.in_slice(Representation(small_denoiser), scan, REGION)
    jacobian: SparseJacobian = probe(region)
    dense = Factor.build(jacobian, DenseNoise.given(covariance, REGION, residual, ring=16), 0.4)
    torus = IterativeGain.build(
        jacobian, TorusNoise.given(covariance, REGION, residual, torch.device("cpu")), 0.4
    )
    target = jacobian.apply(torch.randn(dense.pixels, 4, generator=torch.Generator().manual_seed(0)) * 10)
    one, other = dense.gain(target), torus.gain(target)
    assert float((one - other).norm() / one.norm()) < 0.03
    assert torus.d_eff == pytest.approx(dense.d_eff, rel=0.03)
    assert float(torus.spread.square().mean().sqrt()) == pytest.approx(
        float(dense.spread.square().mean().sqrt()), rel=0.08
    )
    signals = torch.zeros(dense.pixels, 1)
    signals.view(18, 18)[6:10, 6:10] = 1.0
    torch.testing.assert_close(
        dense.detectability(signals), torus.detectability(signals), atol=0.02, rtol=0.0
    )
