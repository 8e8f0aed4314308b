"""Verdicts on lesions: what I3 and the search for the worst lesion share (method §7).

f is *blind at ε* to a lesion of contrast c iff d'_in ≥ 3 and d'_ε ≤ 1, for every C within ±20 % per band. With both per HU,
such contrasts form the window 3/min d'_in ≤ c ≤ 1/max d'_ε. It is empty unless η ≤ 1/9 at C itself; where η ≤ 0.8/(9·1.2) =
0.074 the bound over all C' settles it, and between the two C is changed band by band.

Nothing here is random once the scan is given: J is taken at the scan, C is known, and the bound holds for all signals at
once, so that searching among many needs no correction. What noise in the scan does, through J alone, is told by `rescanned`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from ctinv.analysis.ideal_observer import Observer, Visibility
from ctinv.analysis.noise_range import Range, band_changes, mended, observer_under
from ctinv.analysis.subject import Subject
from ctinv.fibre.covariance import Covariance
from ctinv.fibre.discs import Disc
from ctinv.fibre.factor import Factor
from ctinv.fibre.holes import Hole
from ctinv.fibre.iterative import IterativeGain
from ctinv.fibre.jacobian import Jacobian, LocalJacobian, SparseJacobian
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region
from ctinv.progress import Progress, each, part, tell

D_SEEN, D_HIDDEN = 3.0, 1.0
"""d' from which an ideal observer sees a lesion, and up to which one counts as hidden."""
SMALL = 1600
"""Pixels up to which the range over C is always computed band by band: the six factors take a second or two."""

_SCANNING = "repeating it at re-scans"
_JUDGING = "judging discs over the range of C"
_FLOOR = 1e-6  # of η: below, float32 tells nothing apart

Contents = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Judged:
    """B signals of 1 HU, and what is said of them.

    Attributes:
        seen: At C itself.
        range: Over C ± 20 %.
        exact: Whether the range was computed band by band; else it is the bound for all C' at once.
        blind: (B,) whether there is a contrast at which f is blind to it, by every C that was looked at.
        withheld: (B,) whether that holds at C, but not where a hole of C is filled.
    """

    seen: Visibility
    range: Range
    exact: bool
    blind: NDArray[np.bool_]
    withheld: NDArray[np.bool_]

    @property
    def window(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B,) contrasts in HU from which a lesion is seen in the scan, and up to which it is hidden."""
        return D_SEEN / self.range.d_in[0], D_HIDDEN / np.maximum(self.range.d_eps[1], 1e-12)

    def facts(self, index: int) -> Contents:
        """The figures of one signal."""
        low, high = (float(end[index]) for end in self.window)
        return {
            "eta": float(self.seen.eta[index]),
            "eta_range": [float(end[index]) for end in self.range.eta],
            "range_is": "band by band" if self.exact else "bound",
            "d_in_per_hu": float(self.seen.d_in[index]),
            "d_eps_per_hu": float(self.seen.d_eps[index]),
            "d_eps_at_d_in_3": D_SEEN * float(np.sqrt(self.seen.eta[index])),
            "kept_contrast": float(self.seen.kept[index]),
            "seen_from_hu": low,
            "hidden_up_to_hu": high,
            "blind": bool(self.blind[index]),
            "withheld": bool(self.withheld[index]),
        }


def judge(
    subject: Subject,
    signals: Sequence[Tensor],
    *,
    observer: Observer,
    contrast_hu: float | None = None,
    exact: bool | None = None,
    progress: Progress | None = None,
) -> tuple[list[Judged], Hole | None]:
    """Say for each signal whether f is blind to it.

    Args:
        subject: The region.
        signals: (B, n) signals of 1 HU each, sparse or dense.
        observer: That of the region at C.
        contrast_hu: The contrast that is asked about; any contrast if None.
        exact: Whether the range over C is computed band by band; by default where the region is small or a verdict
            hangs on it.
        progress: Called with a phrase and a finished share.

    Returns:
        One judgement for each block of signals, and the hole of C if it has one.
    """
    other_c = mended(subject.covariance)
    again = other_c is not None and isinstance(subject.corrector.factor, Factor)
    first = part(progress, 0.0, 0.4 if again else 1.0)
    asked = (contrast_hu, exact)
    seen, ranges, known = _over_range(subject, subject.covariance, signals, observer, *asked, first)
    blind = [_blind(one, contrast_hu) for one in ranges]
    final = blind
    if other_c is not None and again:
        under = observer_under(subject, other_c[0], progress=part(progress, 0.4, 0.6))
        last = part(progress, 0.6, 1.0)
        _, others, _ = _over_range(subject, other_c[0], signals, under, *asked, last)
        final = [one & _blind(other, contrast_hu) for one, other in zip(blind, others, strict=True)]
    elif other_c is not None:
        final = [np.zeros_like(one) for one in blind]
    judged = [
        Judged(one, range_, known, after, before & ~after)
        for one, range_, after, before in zip(seen, ranges, final, blind, strict=True)
    ]
    return judged, None if other_c is None else other_c[1]


def _over_range(
    subject: Subject,
    covariance: Covariance,
    signals: Sequence[Tensor],
    observer: Observer,
    contrast_hu: float | None,
    exact: bool | None,
    progress: Progress | None,
) -> tuple[list[Visibility], list[Range], bool]:
    """At one C: what is seen, its range, and whether that is computed rather than bounded."""
    looks = each(part(progress, 0.0, 0.2), _JUDGING, signals)
    seen = [observer.look(block, progress=inner) for inner, block in looks]
    bounds = [Range.bound(one) for one in seen]
    factor = subject.corrector.factor
    if exact is None:
        open_ = any(
            bool((_blind(Range.over([one]), contrast_hu) & ~_blind(bound, contrast_hu)).any())
            for one, bound in zip(seen, bounds, strict=True)
        )
        exact = open_ or factor.pixels <= SMALL
    if not exact or not isinstance(factor, Factor):
        return seen, bounds, False
    everything = [[one] for one in seen]
    changes = list(band_changes(covariance).values())
    for inner, changed in each(part(progress, 0.2, 1.0), _JUDGING, changes):
        other = observer_under(subject, changed, progress=part(inner, 0.0, 0.8))
        looks = each(part(inner, 0.8, 1.0), _JUDGING, signals)
        for one, (look, block) in zip(everything, looks, strict=True):
            one.append(other.look(block, progress=look))
    return seen, [Range.over(one) for one in everything], True


def _blind(over: Range, contrast_hu: float | None) -> NDArray[np.bool_]:
    """(B,) whether a contrast exists, or the given one is such, that all C of the range call hidden."""
    if contrast_hu is None:
        return np.asarray(D_SEEN * over.d_eps[1] <= D_HIDDEN * over.d_in[0])
    return np.asarray((contrast_hu * over.d_in[0] >= D_SEEN) & (contrast_hu * over.d_eps[1] <= D_HIDDEN))


def refine(
    subject: Subject,
    observer: Observer,
    start: Disc,
    *,
    between_mm: tuple[float, float],
    progress: Progress | None = None,
) -> Disc:
    """The disc of smallest η near a given one: place and diameter moved continuously.

    Args:
        subject: The region.
        observer: Its ideal observer.
        start: Where to begin, a disc that fits.
        between_mm: Smallest and largest diameter in mm.
        progress: Called with a phrase; how many steps are left is unknown.

    Returns:
        The best disc found by the simplex method, `start` if none is better (J. A. Nelder and R. Mead, Comput J 7, 1965,
        https://doi.org/10.1093/comjnl/7.4.308).
    """

    def cost(place: NDArray[np.float64]) -> float:
        tell(progress, "refining the least visible disc")
        disc = Disc(float(place[0]), float(place[1]), float(place[2]))
        if not (between_mm[0] <= disc.diameter_mm <= between_mm[1]) or not disc.fits(*_frame(subject)):
            return 1.0
        return float(np.log10(observer.look(signal_of(subject, disc)).eta[0] + _FLOOR))

    first = np.array([start.y, start.x, start.diameter_mm])
    steps = np.diag([0.7, 0.7, 0.7 * min(subject.spacing_mm)])
    corners = np.stack([first, *(first + step * _inward(first, step, between_mm, subject) for step in steps)])
    options = {"initial_simplex": corners, "xatol": 1e-3, "fatol": 1e-3, "maxfev": 250}
    found = optimize.minimize(cost, first, method="Nelder-Mead", options=options)
    return Disc(*(float(value) for value in found.x)) if found.fun < cost(first) else start


def _inward(
    first: NDArray[np.float64], step: NDArray[np.float64], between_mm: tuple[float, float], subject: Subject
) -> float:
    """Direction in which a step of the first simplex stays among the discs that are allowed."""
    for sign in (1.0, -1.0):
        y, x, diameter = first + sign * step
        if between_mm[0] <= diameter <= between_mm[1] and Disc(y, x, diameter).fits(*_frame(subject)):
            return sign
    return 0.1


def _frame(subject: Subject) -> tuple[tuple[int, int], tuple[float, float]]:
    return subject.shape, subject.spacing_mm


def signal_of(subject: Subject, disc: Disc) -> Tensor:
    """(1, n) sparse float32: one disc of 1 HU."""
    image = torch.from_numpy(disc.image(*_frame(subject)).reshape(1, -1))
    return image.to_sparse_csr()


def place_of(subject: Subject, disc: Disc) -> Contents:
    """Where a disc lies: voxels of the scan, and its size."""
    box = subject.box
    return {"y": box.y0 + disc.y, "x": box.x0 + disc.x, "z": box.z, "diameter_mm": disc.diameter_mm}


def rescanned(
    subject: Subject, rows: Sequence[int], *, seed: int = 0, progress: Progress | None = None
) -> Iterator[Subject]:
    """The region as it would be if it were scanned again: f(x) with other noise, J and the factor taken there.

    C, ε and the surroundings stay, and J is taken as far as at the scan. What differs between these subjects is what noise
    in the scan does to a verdict.

    Args:
        subject: The region.
        rows: Rows of the re-scans.
        seed: Their seed.
        progress: Called with a phrase and a finished share, of which the second half of each re-scan is left to the caller.
    """
    tell(progress, _SCANNING, 0.0)
    corrector, scans = subject.corrector, subject.renoised(rows, seed=seed)
    for inner, image in each(progress, _SCANNING, list(scans)):
        region = corrector.region.at(torch.from_numpy(image)[None, None])
        factor = corrector.factor
        jacobian = _jacobian_as(factor.jacobian, region, part(inner, 0.0, 0.3))
        tell(inner, _SCANNING, 0.3)
        if isinstance(factor, Factor) and isinstance(jacobian, SparseJacobian):
            heard = partial(tell, inner, _SCANNING)
            factor = Factor.build(jacobian, factor.noise, factor.tolerance, heard=heard)
        elif isinstance(factor, IterativeGain):
            factor = IterativeGain.build(jacobian, factor.noise, factor.tolerance)
        yield replace(subject, corrector=replace(corrector, region=region, factor=factor))


def at_rescans(
    subject: Subject, count: int, *, seed: int, progress: Progress | None
) -> Iterator[tuple[Progress | None, Subject]]:
    """The first re-scans of a region, each beside the progress of what is done there."""
    for index, other in enumerate(rescanned(subject, range(count), seed=seed, progress=progress)):
        yield part(progress, (index + 0.5) / count, (index + 1) / count, _SCANNING), other


def _jacobian_as(other: Jacobian, region: Region, progress: Progress | None) -> Jacobian:
    """J of a region in the form, and as far, as another one is known."""
    if not isinstance(other, SparseJacobian):
        return LocalJacobian(region, region.scan)
    return replace(probe(region, radius=other.reach.radius, progress=progress), reach=other.reach)
