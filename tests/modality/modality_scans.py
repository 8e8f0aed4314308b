"""Synthetic MR and PET slices with a known truth, and linear denoisers for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.simulate import add_rician_noise
from ctinv.volume import Volume

AFFINE = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [4.0, 0, 0, 0], [0, 0, 0, 1]])
SIGMA = 20.0


def head(size: int = 128) -> NDArray[np.float32]:
    """(Y, X) magnitudes of a head: tissue of 500, a bright spot, dark ventricles, no signal outside."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = np.where(np.hypot(y / 1.15, x) < 0.4 * size, 500.0, 0.0)
    image += np.where(np.hypot(y - 14, x - 9) < 7, 260.0, 0.0)
    image -= np.where(np.hypot((y + 14) / 1.6, x + 12) < 7, 280.0, 0.0)
    return ndimage.gaussian_filter(image, 0.8).astype(np.float32)


def mr_scan(sigma: float = SIGMA, slices: int = 2, seed: int = 0) -> Volume:
    """The head as it is measured: float magnitudes with Rician noise."""
    clean = Volume(np.stack([head()] * slices), AFFINE, "head", modality="MR")
    return add_rician_noise(clean, sigma=sigma, seed=seed)


def zero_filled(sigma: float, edges: tuple[float, float], seed: int = 0) -> NDArray[np.float32]:
    """The head from a smaller k-space, interpolated: no signal and no noise beyond the edges (cycles per pixel)."""
    clean, rng = head(), np.random.default_rng(seed)
    frequency = np.abs(fft.fftfreq(len(clean)))
    mask = (frequency[:, None] <= edges[0]) & (frequency[None, :] <= edges[1])
    noise = rng.standard_normal((2, *clean.shape))
    complex_noise = fft.ifft2(fft.fft2(noise[0] + 1j * noise[1]) * mask) / np.sqrt(mask.mean())
    return np.abs(fft.ifft2(fft.fft2(clean) * mask) + sigma * complex_noise).astype(np.float32)


def activity(size: int = 128) -> NDArray[np.float32]:
    """(Y, X) Bq/ml: a body of 4000, a liver of 10000, lungs of 1500."""
    y, x = np.mgrid[:size, :size] - size / 2
    image = np.where(np.hypot(y / 1.3, x) < 0.36 * size, 4000.0, 30.0)
    image += np.where(np.hypot(y - 18, x - 14) < 16, 6000.0, 0.0)
    image -= np.where(np.hypot(y + 14, x + 17) < 12, 2500.0, 0.0)
    return ndimage.gaussian_filter(image, 1.0).astype(np.float32)


def pet_noise(width: float, seed: int, size: int = 128) -> NDArray[np.float64]:
    """(Y, X) noise of variance 1 behind a Gaussian filter of this standard deviation in pixels."""
    noise = ndimage.gaussian_filter(
        np.random.default_rng(seed).standard_normal((size, size)), width, mode="wrap"
    )
    return np.asarray(noise * 2.0 * np.sqrt(np.pi) * width)


def pet_scan(power: float = 0.5, relative: float = 0.1, width: float = 1.5, seed: int = 0) -> Volume:
    """The body with noise of this share of the activity at 4000 Bq/ml, growing with a power of it."""
    clean = activity().astype(np.float64)
    noise = relative * 4000.0 ** (1 - power) * clean**power * pet_noise(width, seed)
    return Volume((clean + noise).astype(np.float32)[None], AFFINE, f"pet{seed}", modality="PT")


def blur(width: float, *, unit: str = "") -> Denoiser:
    """A linear denoiser: a Gaussian of this standard deviation in pixels, radius 3."""
    line = np.exp(-0.5 * (np.arange(-3, 4) / width) ** 2)
    network = nn.Conv2d(1, 1, 7, padding=3, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor(np.outer(line, line) / line.sum() ** 2)[None, None])
    return Denoiser(network, name="blur", std=100.0, unit=unit)


def save(volume: Volume, path: Path) -> Path:
    """The voxels as a .npy file."""
    np.save(path, volume.hu)
    return path


def mr_denoiser() -> Denoiser:
    """For the command line, which takes ``module:function``."""
    return blur(1.5, unit="a.u.")
