"""The contrast-size curve of I3: how large and how strong a lesion must be to come through (method §7).

For each diameter, the contrast at which d'_in = 3, at which d'_ε = 3, and up to which d'_ε ≤ 1, at the median place and at
the place where it is largest; places lie on and between pixels, as lesions do. η does not depend on contrast; at η = 1/2 a
lesion needs √2 times the contrast after the network. The *diameter at η = 1/2* is the smallest from which on every larger
one examined keeps at least half of its d'², on a logarithmic scale between two diameters, at the median and at the worst
place. Where no examined diameter lies below 1/2, the smallest one is told as an upper bound; where the largest one does, as
a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ctinv.analysis.ideal_observer import Observer, Visibility
from ctinv.analysis.lesion_study import D_HIDDEN, D_SEEN
from ctinv.analysis.subject import Subject
from ctinv.fibre.discs import DiscGrid
from ctinv.fibre.factor import Factor
from ctinv.progress import Progress, each

CURVE_POINTS = 12
_PLACES = 8  # along each side
_PHRASE = "measuring contrast over size"


def contrasts(seen: Visibility) -> dict[str, float]:
    """Contrasts in HU at the median place and at the place where they are largest."""
    levels = {
        "d_in_3": D_SEEN / seen.d_in,
        "d_eps_3": D_SEEN / np.maximum(seen.d_eps, 1e-12),
        "d_eps_1": D_HIDDEN / np.maximum(seen.d_eps, 1e-12),
    }
    found = {}
    for name, values in levels.items():
        found[f"{name}_median_hu"], found[f"{name}_worst_hu"] = float(np.median(values)), float(values.max())
    return found


def contrast_size_curve(
    subject: Subject, observer: Observer, grids: Sequence[DiscGrid], *, progress: Progress | None = None
) -> dict[str, list[float]]:
    """The curve from 1.5 pixels to the largest diameter.

    Args:
        subject: The region.
        observer: Its ideal observer.
        grids: The discs that fit, smallest first; without a dense factor they are all that is looked at.
        progress: Called with a phrase and a finished share.

    Returns:
        Columns of equal length: ``diameter_mm``, contrasts that end in ``_hu``, ``eta_median`` and ``eta_min``.
    """
    smallest = min(1.5 * max(subject.spacing_mm), grids[0].diameter_mm)
    largest = grids[-1].diameter_mm
    blocks = [(grid.diameter_mm, [grid.signals]) for grid in grids]
    if isinstance(subject.corrector.factor, Factor):
        sizes = np.unique(np.geomspace(smallest, largest, CURVE_POINTS))
        blocks = [(float(size), _between_pixels(subject, float(size))) for size in sizes]
    columns: dict[str, list[float]] = {}
    for inner, (size, signals) in each(progress, _PHRASE, blocks):
        fitting = [block for block in signals if len(block)]
        seen = Visibility.joined(
            [observer.look(block, progress=one) for one, block in each(inner, _PHRASE, fitting)]
        )
        row = {
            "diameter_mm": size,
            **contrasts(seen),
            "eta_median": float(np.median(seen.eta)),
            "eta_min": float(seen.eta.min()),
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def _between_pixels(subject: Subject, diameter_mm: float) -> list[Tensor]:
    """Discs of one size on a coarse grid, centred on pixels, on edges and on corners: alone, each is a special case."""
    stride = max(1, min(subject.shape) // _PLACES)
    return [
        DiscGrid.on(subject.shape, subject.spacing_mm, diameter_mm, stride=stride, offset=offset).signals
        for offset in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.25, 0.25))
    ]


def diameters_at_half(curve: dict[str, list[float]]) -> dict[str, Any]:
    """The diameter at η = 1/2 at the median and at the worst place, and the contrast seen in the scan there.

    Args:
        curve: The contrast-size curve.
    """
    sizes, found = np.array(curve["diameter_mm"]), {}
    for name, column in (("median", "eta_median"), ("worst", "eta_min")):
        eta = np.array(curve[column])
        below = np.flatnonzero(eta < 0.5)
        if not len(below):
            size, kind = float(sizes[0]), "at most"
        elif below[-1] == len(sizes) - 1:
            size, kind = float(sizes[-1]), "above"
        else:
            first = int(below[-1])
            share = (0.5 - eta[first]) / (eta[first + 1] - eta[first])
            size = float(np.exp(np.interp(share, [0.0, 1.0], np.log(sizes[first : first + 2]))))
            kind = "crossing"
        contrast = float(np.interp(size, sizes, curve[f"d_in_3_{name}_hu"]))
        found[name] = {"diameter_mm": size, "is": kind, "contrast_hu": contrast}
    return found
