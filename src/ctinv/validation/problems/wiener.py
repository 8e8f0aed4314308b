"""G1b: f is the Wiener denoiser of the data itself, told how noisy each place is.

A Wiener filter for a signal of power S_a in noise of power σ²S_n passes S_a/(S_a + σ²S_n). The noise rises across the slice,
so the filter must change with it: a few filters, one for each of some levels of σ, are blended by how near the local σ is to
their level. The map of σ comes in as a neighbouring slice, as networks take it that are told the noise level (Zhang, Zuo and
Zhang, FFDNet, IEEE TIP 27, 2018). The result is linear in the image, varies in space and does not commute with C.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.validation.problems.contract import Array
from ctinv.validation.problems.gaussian import GaussianProblem
from ctinv.validation.problems.linear import SLICE, gaussian_problem
from ctinv.validation.problems.setup import coloured_covariance
from ctinv.volume import Box

LEVELS_HU = (8.0, 15.0, 22.0)
RADIUS = 4
_TORUS = 64
_SIGNAL_HU = 12.0


def signal_power(size: int) -> Array:
    """(T, T) power of the signal in HU²: smooth anatomy, falling with the cube of the frequency."""
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    power = 1.0 / (0.03 + radius) ** 3
    return np.asarray(_SIGNAL_HU**2 * power / power.mean())


def wiener_kernels(levels_hu: tuple[float, ...] = LEVELS_HU) -> Tensor:
    """(L, 1, 9, 9) the Wiener filter at each noise level, cut to its middle."""
    covariance = coloured_covariance(Box(0, 0, _TORUS - 16, 0, _TORUS - 16))
    signal, noise = signal_power(_TORUS), covariance.spectrum
    kept = slice(_TORUS // 2 - RADIUS, _TORUS // 2 + RADIUS + 1)
    kernels = []
    for level in levels_hu:
        gain = signal / (signal + level**2 * noise + covariance.white)
        kernels.append(np.fft.fftshift(np.real(np.fft.ifft2(gain)))[kept, kept])
    return torch.from_numpy(np.stack(kernels)[:, None].astype(np.float32))


class BlendedWiener(nn.Module):
    """Wiener filters of several noise levels, blended by the map of σ in the first slice.

    Args:
        levels: Noise levels in the unit of the map, rising.
        kernels: (L, 1, k, k) one filter for each.
    """

    def __init__(self, levels: tuple[float, ...], kernels: Tensor) -> None:
        super().__init__()
        self.filters = nn.Conv2d(
            1, len(levels), kernels.shape[-1], padding=kernels.shape[-1] // 2, bias=False
        )
        self.filters.weight.data = kernels.clone()
        self.levels: Tensor
        self.register_buffer("levels", torch.tensor(levels))

    def forward(self, x: Tensor) -> Tensor:
        """Denoise, (B, 3, H, W) with the map of σ, the image and an unused slice to (B, 1, H, W)."""
        levels = self.levels
        sigma = x[:, :1].clamp(float(levels[0]), float(levels[-1]))
        gaps = levels.diff()
        # Hat functions: linear interpolation between the two nearest levels.
        rising = (sigma - levels[:-1, None, None]) / gaps[:, None, None]
        up = F.pad(rising.clamp(0, 1), (0, 0, 0, 0, 1, 0), value=1.0)
        down = F.pad(1 - rising.clamp(0, 1), (0, 0, 0, 0, 0, 1), value=1.0)
        return (up * down * self.filters(x[:, 1:2])).sum(1, keepdim=True)


def wiener_problem(*, tolerance: float = 1.2, size: int = 12) -> GaussianProblem:
    """G1b.

    Args:
        tolerance: ε in HU.
        size: Edge of the region in pixels.
    """
    rng = np.random.default_rng(6)
    covariance = coloured_covariance(SLICE)
    torus = len(covariance.spectrum)
    white = rng.standard_normal((torus, torus))
    anatomy = np.real(np.fft.ifft2(np.fft.fft2(white) * np.sqrt(signal_power(torus))))[:44, :48]
    coloured = np.real(
        np.fft.ifft2(np.fft.fft2(rng.standard_normal((torus, torus))) * covariance.spectrum**0.5)
    )
    noisy = anatomy + covariance.sigma * coloured[:44, :48]
    stack = torch.from_numpy(np.stack([covariance.sigma, noisy, np.zeros_like(noisy)]).astype(np.float32))
    denoiser = Denoiser(BlendedWiener(LEVELS_HU, wiener_kernels()), name="wiener", slices=3)
    with torch.inference_mode():
        clean = denoiser(stack[None])[0, 0]
    box = Box(0, 10, 10 + size, 14, 14 + size)
    return gaussian_problem("G1b", denoiser, stack, clean, box, tolerance)
