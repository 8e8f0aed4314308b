"""What the stages minimise, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.training.generator.losses import nfe_squared, perceptual
from ctinv.training.objectives.features import VggFeatures


def identity() -> Denoiser:
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    convolution.weight.data.fill_(0.5)
    return Denoiser(convolution, name="half", mean=0.0, std=100.0)


def test_nfe_of_a_known_error() -> None:
    """f halves, so an error of 8 HU at the input is one of 4 HU at the output."""
    x = 50.0 * torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    denoiser = identity()
    found = nfe_squared(denoiser, x + 8.0, denoiser(x), radius=3, sigma_out=2.0)
    assert float(found) == pytest.approx((4.0 / (math.sqrt(2) * 2.0)) ** 2, rel=1e-5)
    assert float(nfe_squared(denoiser, x, denoiser(x), radius=0, sigma_out=2.0)) == 0.0


def test_nfe_leaves_out_the_border_that_f_sees_wrongly() -> None:
    x = torch.zeros(1, 1, 16, 16)
    moved = x.clone()
    moved[..., :3, :] = 100.0
    denoiser = identity()
    assert float(nfe_squared(denoiser, moved, denoiser(x), radius=3, sigma_out=1.0)) == 0.0
    assert float(nfe_squared(denoiser, moved, denoiser(x), radius=2, sigma_out=1.0)) > 0.0


def test_perceptual_distance_is_zero_for_equals_and_has_a_gradient() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = VggFeatures(13).eval().requires_grad_(False)
    x = 100.0 * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    other = (x + 30.0 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))).requires_grad_(True)
    assert float(perceptual(features, x, x)) == 0.0
    distance = perceptual(features, other, x)
    distance.backward()
    assert float(distance.detach()) > 0.0
    assert float(other.grad.abs().sum()) > 0.0
