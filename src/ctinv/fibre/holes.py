"""Holes in the power spectrum of C: bins that say there is no noise where there is some (method §4).

One bin of the spectrum set to zero makes any denoiser look blind: an ideal observer of the scan then sees at that frequency
what the tolerance ε hides. Noise from a smooth kernel has no such holes. They come from patches whose mean was taken off, or
from an autocovariance that is cut off where streaks still correlate, which leaves ripples in the lowest bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BELOW = 0.25  # cycles per pixel: a disc of 3 mm or more has next to nothing beyond, and spectra have zeros of their own
DEPTH = 0.1
REACH = 2  # bins; the dip of filtered back-projection at 0 stays above 0.25 of its closing


@dataclass(frozen=True)
class Hole:
    """Bins of a spectrum that lie far below what surrounds them.

    Attributes:
        bins: How many.
        depth: The deepest as a share of its surroundings.
        cycles_per_pixel: Radial frequency of the lowest.
    """

    bins: int
    depth: float
    cycles_per_pixel: float

    @property
    def sentence(self) -> str:
        """What is wrong with C."""
        bins = "one bin" if self.bins == 1 else f"{self.bins} bins"
        return (
            f"C has a hole: {bins} of its spectrum, the lowest at {self.cycles_per_pixel:.3g} cycles per pixel, down to "
            f"{self.depth:.2g} of what is around"
        )

    def to_json(self) -> dict[str, Any]:
        """As figures."""
        return {"bins": self.bins, "depth": self.depth, "cycles_per_pixel": self.cycles_per_pixel}


def filled(spectrum: NDArray[np.float64]) -> tuple[NDArray[np.float64], Hole] | None:
    """A spectrum without its holes, or None where it has none.

    A morphological closing is the smallest rise that leaves no dent narrower than five bins. Where the spectrum lies below
    a tenth of its closing, the closing takes its place; all else stays.

    Args:
        spectrum: (T, T), in the order of the fast Fourier transform.
    """
    step = np.arange(-REACH, REACH + 1)
    around = step[:, None] ** 2 + step[None, :] ** 2 <= REACH**2
    closing = ndimage.grey_closing(spectrum, footprint=around, mode="wrap")
    radius = radial_frequency(len(spectrum))
    hole = (spectrum < DEPTH * closing) & (radius < BELOW)
    if not hole.any():
        return None
    found = Hole(int(hole.sum()), float((spectrum[hole] / closing[hole]).min()), float(radius[hole].min()))
    return np.where(hole, closing, spectrum), found


def radial_frequency(size: int) -> NDArray[np.float64]:
    """(T, T) radial frequency of each bin in cycles per pixel."""
    frequency = np.fft.fftfreq(size)
    radius: NDArray[np.float64] = np.hypot(frequency[:, None], frequency[None, :])
    return radius
