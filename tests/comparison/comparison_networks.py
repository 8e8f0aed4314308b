"""A small scan, and linear networks whose invariances are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.simulate import simulate_low_dose, water_phantom
from ctinv.volume import Box, Volume

BOX = Box(0, 40, 60, 36, 56)
RADIUS = 9


@cache
def scan() -> Volume:
    """A noisy water cylinder with a denser insert, 96 x 96 voxels."""
    phantom = water_phantom(size=96, pixel_mm=1.0, diameter_mm=80.0, slices=1)
    hu = phantom.hu + np.float32(20.0)
    hu[:, 44:52, 40:48] += 60.0
    return simulate_low_dose(replace(phantom, hu=hu), dose=0.02, seed=3, photons=100_000.0)


def filter_of(kernel: Tensor, name: str, unit: str = "HU") -> Denoiser:
    """One convolution."""
    size = kernel.shape[-1]
    convolution = nn.Conv2d(1, 1, size, padding=size // 2, bias=False)
    convolution.weight.data = kernel[None, None].float()
    return Denoiser(convolution, name=name, mean=0.0, std=1.0, unit=unit)


def low_pass_kernel() -> Tensor:
    """Frequencies below 0.25 cycles per pixel along both axes, 1 in the pass band and below 0.01 in the stop band."""
    t = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    line = torch.sinc(0.5 * t) * torch.kaiser_window(len(t), periodic=False, beta=4.5, dtype=torch.float64)
    line /= line.sum()
    return line[:, None] * line[None, :]


def low_pass() -> Denoiser:
    """What lies below 0.25 cycles per pixel."""
    return filter_of(low_pass_kernel(), "low pass")


def complement() -> Denoiser:
    """What the low pass takes away: x minus it."""
    kernel = -low_pass_kernel()
    kernel[RADIUS, RADIUS] += 1.0
    return filter_of(kernel, "complement")


def smoothing() -> Denoiser:
    """A mild smoothing, which passes nearly everything on."""
    kernel = torch.tensor([[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]])
    return filter_of(kernel, "smoothing")
