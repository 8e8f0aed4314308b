"""What of a change counts as anatomy: the operators H of the eigen-invariances (method §7, I5)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ctinv.fibre.dimension import BANDS

CUTOFF = BANDS["low"][1]
"""Cycles per pixel below which anatomy lies."""


class Anatomy(Protocol):
    """H on columns of the region: what of a change counts as anatomy."""

    def apply(self, columns: Tensor) -> Tensor:
        """H v for (n, B) columns."""
        ...


class LowPass:
    """Power below a frequency, of a change that is 0 outside the region.

    Args:
        shape: Height and width of the region.
        cutoff: Radial frequency in cycles per pixel.
    """

    def __init__(self, shape: tuple[int, int], *, cutoff: float = CUTOFF) -> None:
        self.shape = shape
        self.size = tuple(2 * length for length in shape)
        rows, columns = torch.fft.fftfreq(self.size[0]), torch.fft.rfftfreq(self.size[1])
        self.passed = (torch.hypot(rows[:, None], columns[None, :]) < cutoff).float()

    def apply(self, columns: Tensor) -> Tensor:
        """H v for (n, B) columns."""
        images = columns.T.reshape(-1, *self.shape)
        spectrum = torch.fft.rfft2(images, s=self.size) * self.passed
        low = torch.fft.irfft2(spectrum, s=self.size)[:, : self.shape[0], : self.shape[1]]
        return low.reshape(len(images), -1).T


class Lesions:
    """The projection onto the span of discs.

    Args:
        signals: (B, n) discs.
    """

    def __init__(self, signals: Tensor) -> None:
        left, strength, _ = torch.linalg.svd(signals.T, full_matrices=False)
        self.basis = left[:, strength > 1e-4 * strength[0]].contiguous()

    def apply(self, columns: Tensor) -> Tensor:
        """H v for (n, B) columns."""
        return self.basis @ (self.basis.T @ columns)
