"""Batch and Setting: the finished samples of one step, and what all samples of a study share.

HU stands for the unit of the volume, which is another for another modality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.fibre.tiers import Certificate
from ctinv.volume import Box, Volume

DEFAULT_QUANTUM = 0.125
"""Step of stored images of CT in HU; its rounding error, 1/(8·√12) = 0.036 HU, stays far below T1 (0.29 HU)."""


BLOCK = 25
"""Rows that are always computed together, whatever is asked, so that sample k is the same in any company."""

MOST_ROWS = 10**6
"""Samples of one study, at the most."""

MOST_VOXELS = 2**22
"""Voxels of one sample, at the most."""


def check_count(n: int) -> None:
    """Raise InputError unless a study can hold n samples."""
    if not 1 <= n <= MOST_ROWS:
        raise InputError(f"expected a number of samples from 1 to {MOST_ROWS}, got n = {n}.")


@dataclass(frozen=True, eq=False)
class Batch:
    """A run of finished, certified samples.

    Attributes:
        rows: Row numbers k of the B samples.
        x_tilde: (B, h, w) float32 HU, already rounded to the setting's `quantum`.
        feedback_error: (B, H', W') float32 HU, f(x̃) − f(x) over the output box; NaN for samples of the target domain.
        certificates: One per sample, in the order of `rows`.
        together: Rows that were computed at once, fewer than a block where memory was short: then the samples are the same
            but for rounding.
    """

    rows: tuple[int, ...]
    x_tilde: NDArray[np.float32]
    feedback_error: NDArray[np.float32]
    certificates: tuple[Certificate, ...]
    together: int = BLOCK

    def __post_init__(self) -> None:
        count = len(self.rows)
        if len(set(self.rows)) != count or min(self.rows, default=0) < 0:
            raise InputError(f"a batch needs distinct row numbers from 0 on, got {self.rows}.")
        if tuple(certificate.k for certificate in self.certificates) != self.rows:
            raise InputError(
                f"a batch needs one certificate per row, in the same order, for rows {self.rows}."
            )
        for name in ("x_tilde", "feedback_error"):
            array = getattr(self, name)
            if array.ndim != 3 or len(array) != count or array.dtype != np.float32:
                raise InputError(f"{name} must be ({count}, h, w) float32, got {array.shape} {array.dtype}.")


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """C around the region, and the noise that is known there: with it a study can be analysed without its scan.

    Attributes:
        area: Where C is known, in the voxels of the scan as read.
        sigma: (H, W) float64 HU, std of the coloured part.
        spectrum: (T, T) float64, power spectrum of the coloured part on a torus, mean 1.
        white: Variance of the white floor in HU².
        residual: (H, W) float64 HU, x - ŷ on the area.
    """

    area: Box
    sigma: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    white: float
    residual: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("sigma", "residual"):
            if getattr(self, name).shape != self.area.shape:
                raise InputError(f"{name} must be {self.area.shape}, got {getattr(self, name).shape}.")


@dataclass(frozen=True, eq=False)
class Setting:
    """What all samples of a study share.

    Attributes:
        volume: The scan cut to the region, (1, h, w) HU with its true affine and offset.
        fx: (h, w) float32 HU, f(x) on the region.
        fx_output: (H', W') float32 HU, f(x) on the output box.
        output_box: Region plus halo, clipped to the slice, in the voxels of the scan as read.
        theory_spread: (h, w) float32 HU, spread that linear theory predicts.
        eta: (h, w) float32 lesion map η in [0, 1] (0 = blind), NaN where not evaluated; or None.
        scalars: Figures of the whole study: ``sigma_out_hu``, ``chi2_per_n_scan``, ``d_eff``, ``free_share``,
            ``spread_theory_hu``, …
        quantum: Step of stored x̃ in HU, a power of two; 0 keeps float32.
        context: (S, H'', W'') float32 HU, the scan wherever it decides f on the output box: the slice between the
            neighbours that f sees. With it a study can be fed back without the scan. Where it is not given, the region.
        context_box: Where the context lies, in the voxels of the scan as read.
        noise: C around the region; None in older studies.
    """

    volume: Volume
    fx: NDArray[np.float32]
    fx_output: NDArray[np.float32]
    output_box: Box
    theory_spread: NDArray[np.float32]
    eta: NDArray[np.float32] | None
    scalars: dict[str, float]
    quantum: float = DEFAULT_QUANTUM
    context: NDArray[np.float32] = None  # type: ignore[assignment]
    context_box: Box = None  # type: ignore[assignment]
    noise: NoiseModel | None = None

    def __post_init__(self) -> None:
        if self.volume.shape[0] != 1:
            raise InputError(f"a setting holds one slice, got a volume of {self.volume.shape[0]} slices.")
        region = self.volume.shape[1:]
        if self.context is None or self.context_box is None:
            (z, y, x), (height, width) = self.volume.offset, region
            object.__setattr__(self, "context", self.volume.hu)
            object.__setattr__(self, "context_box", Box(z, y, y + height, x, x + width))
        shapes: dict[str, tuple[int, ...]] = {
            "fx": region,
            "theory_spread": region,
            "fx_output": self.output_box.shape,
        }
        shapes["context"] = (len(self.context), *self.context_box.shape)
        if self.eta is not None:
            shapes["eta"] = region
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                raise InputError(f"{name} must be {shape} float32, got {array.shape} {array.dtype}.")
        if self.quantum != 0 and (self.quantum < 0 or math.frexp(self.quantum)[0] != 0.5):
            raise InputError(
                f"the quantum must be 0 or a power of two, got {self.quantum}; 0.125 HU is usual."
            )

    @property
    def region(self) -> tuple[int, int]:
        """Height and width of the region in voxels."""
        return self.fx.shape[0], self.fx.shape[1]
