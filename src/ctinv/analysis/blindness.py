"""I3: to which discs the network is blind at ε (method §7).

For discs of several sizes at every place of the region: how well an ideal observer sees them in the scan, d'_in, and in the
representation looked at with tolerance ε, d'_ε; η = d'_ε²/d'_in²; and kept contrast, the share of an inserted disc that
stays in an image that is corrected onto the fibre (`ctinv.analysis.ideal_observer`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.contrast_size import contrast_size_curve, contrasts, diameters_at_half
from ctinv.analysis.disc import DIAMETERS_MM, disc_signals
from ctinv.analysis.finding import Finding, Map
from ctinv.analysis.ideal_observer import Observer, observer_of
from ctinv.analysis.lesion_study import (
    D_HIDDEN,
    D_SEEN,
    Judged,
    at_rescans,
    judge,
    place_of,
    refine,
    signal_of,
)
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.discs import Disc, DiscGrid
from ctinv.fibre.factor import Factor
from ctinv.fibre.holes import Hole
from ctinv.progress import Progress, each, part

STRIDE = 2
_SEARCHING = "searching the least visible disc"
_NO_END = 100.0  # times the contrast that is seen: beyond, a window of contrasts has no end worth telling
_MOST_SOLVED = 36  # discs of one size where each takes solutions of its own


def lesion_blindness(
    subject: Subject,
    *,
    seed: int = 0,
    diameters_mm: Sequence[float] = DIAMETERS_MM,
    contrast_hu: float | None = None,
    stride: int = STRIDE,
    exact: bool | None = None,
    rescans: int = 0,
    progress: Progress | None = None,
) -> Finding:
    """Map where the network is blind to discs, and how large and strong a lesion must be to come through.

    Args:
        subject: The region; samples are not needed.
        seed: Seed of the re-scans; all else is not random.
        diameters_mm: Diameters of the discs; those that fit nowhere are left out and named.
        contrast_hu: Contrast that is asked about; by default whether there is any contrast at which f is blind.
        stride: Pixels between neighbouring places.
        exact: Whether η's range over C is computed band by band rather than bounded; by default where the region is small
            or a verdict hangs on it.
        rescans: Re-scans f(x) + noise at which J is taken again, to show what noise in the scan does to η.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: No disc fits, or an option is out of range.

    References:
        A. E. Burgess, F. L. Jacobson, P. F. Judy, Human observer detection experiments with mammograms and power-law noise,
        Med Phys 28, 2001, https://doi.org/10.1118/1.1355308 (contrast-detail curves of an ideal observer). H. H. Barrett,
        K. J. Myers, Foundations of Image Science, Wiley 2004, chapter 13.
    """
    return examine(
        subject,
        seed=seed,
        diameters_mm=diameters_mm,
        contrast_hu=contrast_hu,
        stride=stride,
        exact=exact,
        rescans=rescans,
        progress=progress,
    ).finding


@dataclass(frozen=True, eq=False)
class Examined:
    """A region whose discs have been looked at.

    Attributes:
        finding: What I3 says of them.
        observer: The ideal observer of the region.
        worst: The disc of smallest η.
        judged: What is said of it.
        hole: The hole of C, if it has one.
    """

    finding: Finding
    observer: Observer
    worst: Disc
    judged: Judged
    hole: Hole | None


def examine(
    subject: Subject,
    *,
    seed: int = 0,
    diameters_mm: Sequence[float] = DIAMETERS_MM,
    contrast_hu: float | None = None,
    stride: int = STRIDE,
    exact: bool | None = None,
    rescans: int = 0,
    progress: Progress | None = None,
) -> Examined:
    """Look at all discs, find the worst and judge; arguments as for `lesion_blindness`."""
    if stride < 1 or rescans < 0 or (contrast_hu is not None and not contrast_hu > 0):
        raise InputError(
            "expected a stride of 1 or more, no negative number of re-scans and a contrast above 0."
        )
    stride = max(stride, _coarsest(subject))
    grids = disc_signals(subject, diameters_mm, stride=stride)
    once = part(progress, 0.0, 1.0 / (1 + rescans))
    observer = observer_of(subject.corrector, progress=part(once, 0.0, 0.4))
    worst = worst_disc(subject, observer, grids, progress=part(once, 0.4, 0.6))
    signals = [*(grid.signals for grid in grids), signal_of(subject, worst)]
    judged, hole = judge(
        subject,
        signals,
        observer=observer,
        contrast_hu=contrast_hu,
        exact=exact,
        progress=part(once, 0.6, 0.9),
    )
    curve = contrast_size_curve(subject, observer, grids, progress=part(once, 0.9, 1.0))
    figures: dict[str, Any] = {
        "denoiser": subject.corrector.region.representation.denoiser.name,
        "tolerance": subject.corrector.factor.tolerance,
        "unit": subject.unit,
        "discs": sum(len(one.blind) for one in judged),
        "blind": sum(int(one.blind.sum()) for one in judged),
        "withheld": sum(int(one.withheld.sum()) for one in judged),
        "contrast_hu": contrast_hu,
        "worst": place_of(subject, worst) | judged[-1].facts(0),
        "by_diameter": [_row(grid, one) for grid, one in zip(grids, judged[:-1], strict=True)],
        "diameters_left_out_mm": sorted(set(diameters_mm) - {grid.diameter_mm for grid in grids}),
        "eta_half": diameters_at_half(curve),
        "hole": None if hole is None else hole.to_json(),
        "null": {
            "distribution": "none: J is taken at the scan and C is known, so no figure is random once the scan is given",
            "threshold": f"d'_in ≥ {D_SEEN:g} and d'_ε ≤ {D_HIDDEN:g} over C ± 20 % per band and with holes of C filled",
            "control": "the range over C holds for all discs at once, so searching among many needs no correction",
        },
    }
    if rescans:
        figures["rescans"] = _at_rescans(
            subject, grids, worst, rescans, seed, part(progress, 1.0 / (1 + rescans), 1.0)
        )
    finding = Finding(
        "lesion-blindness",
        _sentence(figures, hole),
        figures["blind"] > 0,
        figures,
        _maps(subject, grids, judged[:-1]),
        {"contrast_size": curve},
    )
    return Examined(finding, observer, worst, judged[-1], hole)


def worst_disc(
    subject: Subject, observer: Observer, grids: Sequence[DiscGrid], *, progress: Progress | None = None
) -> Disc:
    """The disc of smallest η between the smallest and the largest diameter, refined from the best of each grid."""
    between = (grids[0].diameter_mm, grids[-1].diameter_mm)
    starts = []
    for inner, grid in each(part(progress, 0.0, 0.5), _SEARCHING, grids):
        eta = observer.look(grid.signals, progress=inner).eta
        starts.append((float(eta.min()), grid.disc(int(eta.argmin()))))
    starts.sort(key=lambda start: start[0])
    if not isinstance(subject.corrector.factor, Factor):
        return starts[0][1]  # each step of a refinement would take solutions of its own
    refined = each(part(progress, 0.5, 1.0), _SEARCHING, starts[:2])
    found = [
        refine(subject, observer, disc, between_mm=between, progress=inner) for inner, (_, disc) in refined
    ]
    smallest = [float(observer.look(signal_of(subject, disc)).eta[0]) for disc in found]
    return found[int(np.argmin(smallest))]


def _coarsest(subject: Subject) -> int:
    """Stride that large regions need, where each disc takes solutions of its own."""
    if isinstance(subject.corrector.factor, Factor):
        return 1
    height, width = subject.shape
    return math.ceil(math.sqrt(height * width / _MOST_SOLVED))


def _row(grid: DiscGrid, judged: Judged) -> dict[str, Any]:
    """Figures of one diameter."""
    seen = judged.seen
    return {
        "diameter_mm": grid.diameter_mm,
        "places": len(grid),
        "eta_min": float(seen.eta.min()),
        "eta_median": float(np.median(seen.eta)),
        "eta_range": [float(judged.range.eta[0].min()), float(judged.range.eta[1].max())],
        "kept_contrast_max": float(seen.kept.max()),
        **contrasts(seen),
        "blind": int(judged.blind.sum()),
    }


def _at_rescans(
    subject: Subject,
    grids: Sequence[DiscGrid],
    worst: Disc,
    count: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """Smallest η over all places, and η of the worst disc, with J taken at re-scans."""
    smallest, same = [], []
    for inner, other in at_rescans(subject, count, seed=seed, progress=progress):
        observer = observer_of(other.corrector, progress=part(inner, 0.0, 0.5))
        looks = each(part(inner, 0.5, 1.0), _SEARCHING, grids)
        smallest.append(
            min(float(observer.look(grid.signals, progress=look).eta.min()) for look, grid in looks)
        )
        same.append(float(observer.look(signal_of(subject, worst)).eta[0]))
    return {
        "n": count,
        "seed": seed,
        "eta_min": smallest,
        "eta_of_worst": same,
        "with_eta_below_one_ninth": sum(eta <= (D_HIDDEN / D_SEEN) ** 2 for eta in smallest),
    }


def _maps(subject: Subject, grids: Sequence[DiscGrid], judged: Sequence[Judged]) -> dict[str, Map]:
    """For each diameter η, kept contrast and both d'; leading them the smallest η over diameters with its range."""
    per_hu, maps = f"1/{subject.unit}", {}
    for name, title, pick in (
        ("eta", "smallest η over diameters", lambda one: one.seen.eta),
        ("eta_low", "smallest η, lower end over C ± 20 %", lambda one: one.range.eta[0]),
        ("eta_high", "smallest η, upper end over C ± 20 %", lambda one: one.range.eta[1]),
    ):
        images = [grid.image(pick(one)) for grid, one in zip(grids, judged, strict=True)]
        maps[name] = Map(_smallest(images), "1", title)
    for grid, one in zip(grids, judged, strict=True):
        size, seen = f"{grid.diameter_mm:g}mm", one.seen
        of = f"disc of {grid.diameter_mm:g} mm"
        maps[f"eta_{size}"] = Map(grid.image(seen.eta), "1", f"η, {of}")
        maps[f"kept_{size}"] = Map(grid.image(seen.kept), "1", f"contrast that f lets vary, {of}")
        maps[f"d_in_{size}"] = Map(grid.image(seen.d_in), per_hu, f"d′ in the scan per {subject.unit}, {of}")
        maps[f"d_eps_{size}"] = Map(grid.image(seen.d_eps), per_hu, f"d′ after f per {subject.unit}, {of}")
    return maps


def _smallest(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The smallest of what is known at each pixel."""
    stack = np.stack(images)
    least = np.where(np.isnan(stack), np.inf, stack).min(0)
    return np.where(np.isinf(least), np.nan, least).astype(np.float32)


def _sentence(figures: dict[str, Any], hole: Hole | None) -> str:
    name, place, unit = figures["denoiser"], figures["worst"], figures["unit"]
    low, high = place["eta_range"]
    where = (
        f"a disc of {place['diameter_mm']:.1f} mm at row {place['y']:.1f}, column {place['x']:.1f} keeps η = "
        f"{place['eta']:.3g} ({low:.3g} to {high:.3g} over C ± 20 % per band) of its detectability"
    )
    asked = "" if figures["contrast_hu"] is None else f" of {figures['contrast_hu']:g} {unit}"
    if hole is not None and figures["withheld"]:
        return f"No verdict on {name}: {hole.sentence}; with it {where}, with the hole filled it is not blind; mend C first."
    if figures["blind"]:
        return (
            f"{name} is blind at ε to {figures['blind']} of {figures['discs']} discs{asked}: {where}, so contrasts from "
            f"{place['seen_from_hu']:.3g} {unit}{_until(place, unit)} are seen in the scan and hidden after it."
        )
    noted = (
        ""
        if hole is None
        else f" {hole.sentence[0].upper()}{hole.sentence[1:]}; the answer holds with it filled."
    )
    return (
        f"{name} is blind to none of {figures['discs']} discs{asked} at ε: the least visible, {where}, so one that is just "
        f"seen in the scan (d′ = 3) has d′ = {place['d_eps_at_d_in_3']:.3g} after it.{noted}"
    )


def _until(place: dict[str, Any], unit: str) -> str:
    """Upper end of the window of contrasts, where there is one that a scan could show."""
    if place["hidden_up_to_hu"] > _NO_END * place["seen_from_hu"]:
        return " on"
    return f" to {place['hidden_up_to_hu']:.3g} {unit}"
