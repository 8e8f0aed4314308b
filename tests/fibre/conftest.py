"""A small trained-like network and a scan for the engine's own tests."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctinv.denoiser import Denoiser
from ctinv.networks import CNN10, NETWORKS
from ctinv.simulate.dose import counts, line_integrals
from ctinv.simulate.geometry import ParallelGeometry
from ctinv.simulate.low_dose import noise_image, scan_variance
from ctinv.volume import Acquisition, Volume

PHOTONS = 6e3


@pytest.fixture(scope="session")
def small_denoiser() -> Denoiser:
    """CNN-10 with few channels and random weights: non-linear, local, fast."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = CNN10((6, 4))
    return Denoiser(network, name="small", mean=0.0, std=100.0, taps=NETWORKS["CNN10"].taps)


@pytest.fixture(scope="session")
def phantom_scan() -> Volume:
    """A water disc of 60 mm with two inserts, scanned with few photons: noise of about 20 HU, 3 slices of 96 x 96."""
    y, x = np.mgrid[:96, :96] - 47.5
    anatomy = np.where(np.hypot(y, x) < 40, 0.0, -1000.0)
    anatomy += np.where(np.hypot(y - 10, x) < 6, 60.0, 0.0) + np.where(
        np.hypot(y + 12, x - 8) < 4, 400.0, 0.0
    )
    clean = anatomy.astype(np.float32)
    geometry = ParallelGeometry((96, 96), 0.75)
    variance = scan_variance(counts(line_integrals(clean, geometry), geometry, photons=PHOTONS))
    noise = [noise_image(variance, geometry, np.random.default_rng(seed)) for seed in range(3)]
    affine = np.diag([2.0, 0.75, 0.75, 1.0])
    return Volume(
        np.round(clean + np.stack(noise)).astype(np.float32),
        affine,
        "1.2.3",
        acquisition=Acquisition(photons=PHOTONS),
    )
