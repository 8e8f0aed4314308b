"""A small trained-like network and a scan for the engine's own tests."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctinv.denoiser import Denoiser
from ctinv.networks import CNN10, NETWORKS
from ctinv.volume import Acquisition, Volume


@pytest.fixture(scope="session")
def small_denoiser() -> Denoiser:
    """CNN-10 with few channels and smoothing weights: non-linear, local, fast."""
    torch.manual_seed(3)
    network = CNN10((6, 4))
    return Denoiser(network, name="small", mean=0.0, std=100.0, taps=NETWORKS["CNN10"].taps)


@pytest.fixture(scope="session")
def phantom_scan() -> Volume:
    """A 96 x 96 water disc of 60 mm with two inserts and noise, 3 slices."""
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:96, :96] - 47.5
    radius = np.hypot(y, x)
    slice_hu = np.where(radius < 40, 0.0, -1000.0)
    slice_hu += np.where(np.hypot(y - 10, x) < 6, 60.0, 0.0) + np.where(
        np.hypot(y + 12, x - 8) < 4, 400.0, 0.0
    )
    hu = slice_hu[None] + 15 * rng.standard_normal((3, 96, 96))
    affine = np.diag([2.0, 0.75, 0.75, 1.0])
    return Volume(np.round(hu).astype(np.float32), affine, "1.2.3", acquisition=Acquisition(photons=2e5))
