"""What a verdict owes to C: the range over C ± 20 % per band, and holes in the spectrum of C (method §4).

Any C' whose spectrum lies within ±20 % of that of C at every frequency meets 0.8 C ≤ C' ≤ 1.2 C in the order of quadratic
forms, and so do both given the surroundings, as a Schur complement is monotone and homogeneous. Then JC'Jᵀ + ε²I lies
between 0.8 and 1.2 of its former self as well, so d'_in² and d'_ε² lie within [d'²/1.2, d'²/0.8] and η within
[η/1.5, 1.5 η]. This holds for all signals at once: searching among many discs adds nothing to it. Where it leaves a verdict
open, C is changed band by band and the region is factorised again.

±20 % does not cover a *hole* (`ctinv.fibre.holes`): with one bin of the spectrum set to zero a network with η = 0.97 looks
blind. C of a CT comes without holes; those of any other C are found and filled here, and a verdict must hold for the
filled C too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.ideal_observer import DenseObserver, Observer, Visibility
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.covariance import Covariance, DenseNoise
from ctinv.fibre.dimension import BANDS
from ctinv.fibre.factor import Factor
from ctinv.fibre.holes import Hole, filled, radial_frequency
from ctinv.progress import Progress, part, tell

SHARE = 0.2
_FACTORISING = "factorising the region under another C"


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


def mended(covariance: Covariance) -> tuple[Covariance, Hole] | None:
    """C without its holes, or None where it has none."""
    found = filled(covariance.spectrum)
    return None if found is None else (replace(covariance, spectrum=found[0]), found[1])


def band_changes(covariance: Covariance) -> dict[str, Covariance]:
    """C with the power of one band raised or lowered by 20 %: name to C."""
    radius, changed = radial_frequency(len(covariance.spectrum)), {}
    for name, (low, high) in BANDS.items():
        band = (radius >= low) & (radius < high)
        for sign in (-1, 1):
            spectrum = covariance.spectrum * np.where(band, 1.0 + sign * SHARE, 1.0)
            changed[f"{name} {100 * sign * SHARE:+.0f} %"] = replace(covariance, spectrum=spectrum)
    return changed


def observer_under(subject: Subject, covariance: Covariance, *, progress: Progress | None = None) -> Observer:
    """The ideal observer of the region if its noise had another C; J stays.

    Args:
        subject: The region.
        covariance: The other C.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The region is too large for a dense factor.
    """
    factor = subject.corrector.factor
    if not isinstance(factor, Factor):
        raise InputError(
            "the range over C is computed on regions up to about 96 x 96 voxels; choose a smaller box."
        )
    tell(progress, _FACTORISING, 0.0)
    # What the surroundings say moves the mean of the noise, which no d' depends on.
    noise = DenseNoise.given(covariance, subject.box, np.zeros(covariance.area.shape))
    noise = noise.to(factor.noise.root.device)
    tell(progress, _FACTORISING, 0.4)
    heard = partial(tell, progress, _FACTORISING)
    other = Factor.build(factor.jacobian, noise, factor.tolerance, heard=heard)
    return DenseObserver.of(noise, other, progress=part(progress, 0.7, 1.0))
