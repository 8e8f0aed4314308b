"""G1: an f that is one linear convolution, and noise that does not commute with it.

The noise's σ rises across the slice and the region lies in a fixed surround, so no transform makes both f and C diagonal: a
correction in a wrong metric shows. With circulant ones it would not (method §6).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.fibre.covariance import DenseNoise
from ctinv.validation.problems.gaussian import GaussianProblem
from ctinv.validation.problems.setup import (
    Setup,
    coloured_covariance,
    matrix_of,
    region_of,
    surrounded,
)
from ctinv.volume import Box

SLICE = Box(0, 0, 44, 0, 48)


def linear_denoiser() -> Denoiser:
    """A fixed anisotropic 5x5 smoothing: linear, with gains from about 1 down to almost 0."""
    kernel = torch.tensor(
        [[0, 1, 2, 1, 0], [1, 3, 5, 2, 0], [1, 6, 9, 5, 1], [0, 2, 5, 4, 1], [0, 1, 1, 1, 0]],
        dtype=torch.float32,
    )
    convolution = nn.Conv2d(1, 1, 5, padding=2, bias=False)
    convolution.weight.data = (kernel / kernel.sum())[None, None]
    return Denoiser(convolution, name="linear", mean=0.0, std=100.0)


def linear_problem(*, tolerance: float = 0.6, size: int = 12) -> GaussianProblem:
    """G1.

    Args:
        tolerance: ε in HU.
        size: Edge of the region in pixels.
    """
    rng = np.random.default_rng(5)
    box = Box(0, 10, 10 + size, 14, 14 + size)
    scan = torch.from_numpy((40 * rng.standard_normal(SLICE.shape)).astype(np.float32))
    clean = torch.from_numpy((5 * rng.standard_normal(SLICE.shape)).astype(np.float32))
    return gaussian_problem("G1", linear_denoiser(), scan[None], clean, box, tolerance)


def gaussian_problem(
    name: str, denoiser: Denoiser, scan: torch.Tensor, clean: torch.Tensor, box: Box, tolerance: float
) -> GaussianProblem:
    """The product's path and the closed form of an f that is affine where the law lives.

    Args:
        name: Name of the problem.
        denoiser: f.
        scan: (S, H, W) HU.
        clean: (H, W) HU, ŷ.
        box: The region.
        tolerance: ε in HU.
    """
    region = region_of(denoiser, scan, box)
    covariance = coloured_covariance(Box(0, 0, scan.shape[-2], 0, scan.shape[-1]))
    residual = (denoiser.middle(scan[None])[0, 0] - clean).double().numpy()
    setup = Setup.make(region, scan, clean, DenseNoise.given(covariance, box, residual), tolerance)
    mean, prior = surrounded(covariance, box, residual)
    centre = clean[box.slices].double().numpy().ravel() + mean
    return GaussianProblem(name, setup, covariance, residual, matrix_of(region, scan), centre, prior)
