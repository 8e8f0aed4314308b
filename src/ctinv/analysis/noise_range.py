"""What a verdict owes to C: the range over C ± 20 % per band, and holes in the spectrum of C (method §4).

Any C' whose spectrum lies within ±20 % of that of C at every frequency meets 0.8 C ≤ C' ≤ 1.2 C in the order of quadratic
forms, and so do both given the surroundings, as a Schur complement is monotone and homogeneous. Then JC'Jᵀ + ε²I lies
between 0.8 and 1.2 of its former self as well, so d'_in² and d'_ε² lie within [d'²/1.2, d'²/0.8] and η within
[η/1.5, 1.5 η]. This holds for all signals at once: searching among many discs adds nothing to it. Where it leaves a verdict
open, C is changed band by band and the region is factorised again.

±20 % does not cover a *hole*. One bin of the spectrum set to zero says that there is no noise at that frequency; then an
ideal observer of the scan sees there what the tolerance ε hides, and a network with η = 0.97 looks blind. Noise from a
smooth kernel has no such holes, so they are found and filled, and a verdict must hold for the filled C too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctinv.analysis.ideal_observer import DenseObserver, Observer, Visibility
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.covariance import Covariance, DenseNoise
from ctinv.fibre.dimension import BANDS
from ctinv.fibre.factor import Factor

SHARE = 0.2
HOLE_BELOW = 0.25  # cycles per pixel: a disc of 3 mm or more has next to nothing beyond
HOLE_DEPTH = 0.1
HOLE_REACH = (
    2  # bins; a real spectrum, with the dip of filtered back-projection at 0, stays above 0.25 of its closing
)


@dataclass(frozen=True, eq=False)
class Range:
    """Extremes over the covariances looked at, per signal of 1 HU: each (B,)."""

    d_in: tuple[NDArray[np.float64], NDArray[np.float64]]
    d_eps: tuple[NDArray[np.float64], NDArray[np.float64]]
    eta: tuple[NDArray[np.float64], NDArray[np.float64]]

    @classmethod
    def bound(cls, seen: Visibility) -> Range:
        """What holds for every C' within ±20 % at every frequency."""
        low, high = (1.0 + SHARE) ** -0.5, (1.0 - SHARE) ** -0.5
        ratio = (1.0 + SHARE) / (1.0 - SHARE)
        return cls(
            (seen.d_in * low, seen.d_in * high),
            (seen.d_eps * low, np.minimum(seen.d_eps * high, seen.d_in * high)),
            (seen.eta / ratio, np.minimum(seen.eta * ratio, 1.0)),
        )

    @classmethod
    def over(cls, seen: list[Visibility]) -> Range:
        """The extremes of several covariances."""

        def ends(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            values = np.stack([getattr(one, name) for one in seen])
            return values.min(0), values.max(0)

        return cls(ends("d_in"), ends("d_eps"), ends("eta"))


@dataclass(frozen=True)
class Hole:
    """Bins of the spectrum of C that lie far below what surrounds them.

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


def filled(covariance: Covariance) -> tuple[Covariance, Hole] | None:
    """C without its holes, or None where it has none.

    A morphological closing is the smallest rise of the spectrum that leaves no dent narrower than five bins. Where the
    spectrum lies below a tenth of its closing, the closing takes its place; all else stays.
    """
    spectrum = covariance.spectrum
    step = np.arange(-HOLE_REACH, HOLE_REACH + 1)
    around = step[:, None] ** 2 + step[None, :] ** 2 <= HOLE_REACH**2
    closing = ndimage.grey_closing(spectrum, footprint=around, mode="wrap")
    radius = _radius(spectrum)
    hole = (spectrum < HOLE_DEPTH * closing) & (radius < HOLE_BELOW)
    if not hole.any():
        return None
    found = Hole(int(hole.sum()), float((spectrum[hole] / closing[hole]).min()), float(radius[hole].min()))
    return replace(covariance, spectrum=np.where(hole, closing, spectrum)), found


def band_changes(covariance: Covariance) -> dict[str, Covariance]:
    """C with the power of one band raised or lowered by 20 %: name to C."""
    radius, changed = _radius(covariance.spectrum), {}
    for name, (low, high) in BANDS.items():
        band = (radius >= low) & (radius < high)
        for sign in (-1, 1):
            spectrum = covariance.spectrum * np.where(band, 1.0 + sign * SHARE, 1.0)
            changed[f"{name} {100 * sign * SHARE:+.0f} %"] = replace(covariance, spectrum=spectrum)
    return changed


def observer_under(subject: Subject, covariance: Covariance) -> Observer:
    """The ideal observer of the region if its noise had another C; J stays.

    Raises:
        InputError: The region is too large for a dense factor.
    """
    factor = subject.corrector.factor
    if not isinstance(factor, Factor):
        raise InputError(
            "the range over C is computed on regions up to about 96 x 96 voxels; choose a smaller box."
        )
    # What the surroundings say moves the mean of the noise, which no d' depends on.
    noise = DenseNoise.given(covariance, subject.box, np.zeros(covariance.area.shape))
    noise = noise.to(factor.noise.root.device)
    return DenseObserver.of(noise, Factor.build(factor.jacobian, noise, factor.tolerance))


def _radius(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radial frequency of each bin in cycles per pixel."""
    frequency = np.fft.fftfreq(len(spectrum))
    radius: NDArray[np.float64] = np.hypot(frequency[:, None], frequency[None, :])
    return radius
