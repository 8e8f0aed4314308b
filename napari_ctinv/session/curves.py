"""How the curves of findings are drawn: which column lies across, which columns are lines, and what their axes say.

Curves whose columns do not speak for themselves have a row in `DRAWN`; any other curve is drawn over its first column, one
plot for each unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.columns import axis_text, split_unit

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding

Columns = Mapping[str, Sequence[float | None]]
Line = tuple[NDArray[np.float64], NDArray[np.float64]]

NUMBER = "#"
"""Stands for the number of the row where no column lies across."""


@dataclass(frozen=True)
class Drawn:
    """One plot.

    Attributes:
        title: A few words above it.
        across: Column along x, or `NUMBER`.
        up: Text of the vertical axis; ``{unit}`` is the unit of the scan.
        lines: Column to label.
        log: Which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
        levels: Text to value of horizontal lines.
        points: Whether values that follow each other are not joined, as their order means nothing.
    """

    title: str
    across: str
    up: str
    lines: Mapping[str, str]
    log: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)
    points: bool = False


@dataclass(frozen=True, eq=False)
class Plotted:
    """A plot with its numbers.

    Attributes:
        title: A few words above it.
        across: Text of the horizontal axis, with its unit.
        up: Text of the vertical axis, with its unit.
        lines: Label to x and y; NaN where nothing is known.
        log: As in `Drawn`.
        levels: As in `Drawn`.
        points: As in `Drawn`.
    """

    title: str
    across: str
    up: str
    lines: Mapping[str, Line]
    log: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)
    points: bool = False


_CONTRAST = Drawn(
    "Contrast needed, by size",
    "diameter_mm",
    "contrast, {unit}",
    {
        "d_in_3_median_hu": "seen in the scan, d′ = 3",
        "d_eps_3_median_hu": "seen behind f, d′ = 3",
        "d_eps_1_median_hu": "hidden behind f below, d′ = 1",
        "d_eps_3_worst_hu": "seen behind f, worst place",
    },
    log="xy",
)
_SHARE = Drawn(
    "Share of detectability passed on",
    "diameter_mm",
    "η",
    {"eta_median": "median place", "eta_min": "worst place"},
    log="x",
    levels={"η = ½": 0.5},
)

DRAWN: dict[tuple[str, str], tuple[Drawn, ...]] = {
    ("noise-consistency", "spectrum"): (
        Drawn(
            "Spectra of the differences from f(x)",
            "frequency_per_mm",
            "power, {unit}² mm²",
            {"noise_hu2_mm2": "noise of C", "scan_hu2_mm2": "x − f(x)", "samples_hu2_mm2": "x̃ − f(x)"},
            log="y",
        ),
    ),
    ("noise-consistency", "samples"): (
        Drawn(
            "Power of each sample over that of noise",
            "row",
            "share of the noise's power",
            {"low_relative": "low band", "mid_relative": "mid band", "high_relative": "high band"},
            points=True,
        ),
    ),
    ("matched-filter", "samples"): (
        Drawn("Strongest disc of each sample", "row", "σ", {"sigma": "strongest disc"}, points=True),
    ),
    ("lesion-blindness", "contrast_size"): (_CONTRAST, _SHARE),
    ("find-blind", "contrast_size"): (_CONTRAST, _SHARE),
    ("eigen-invariances", "directions"): (
        Drawn(
            "Size of each direction",
            NUMBER,
            "{unit}",
            {"rms_hu": "RMS", "peak_hu": "peak"},
            log="y",
            points=True,
        ),
        Drawn(
            "Detectability of each direction",
            NUMBER,
            "d′",
            {"d_in": "in the scan", "d_eps": "behind f"},
            points=True,
        ),
    ),
    ("observer", "channels"): (
        Drawn(
            "Mean output of each channel",
            "channel",
            "{unit}",
            {"without": "without the lesion", "with": "with it"},
            points=True,
        ),
    ),
    ("representatives", "radius"): (
        Drawn(
            "How far the farthest sample is",
            "centres",
            "RMS, {unit}",
            {"radius_hu": "from the nearest shown"},
        ),
    ),
    ("representatives", "membership"): (
        Drawn(
            "Which sample stands for which", "row", "row shown", {"stands_for": "stands for it"}, points=True
        ),
    ),
}


def plots_of(finding: Finding, unit: str = "HU") -> list[Plotted]:
    """The plots of a finding, in the order of its curves.

    Args:
        finding: The finding.
        unit: Unit of the scan.
    """
    plots: list[Plotted] = []
    for name, columns in finding.curves.items():
        rows = DRAWN.get((finding.name, name)) or _generic(name, columns, unit)
        plots += [_plotted(row, columns, unit) for row in rows]
    return [plot for plot in plots if plot.lines]


def _plotted(row: Drawn, columns: Columns, unit: str) -> Plotted:
    lines = {
        label: (_across(row.across, columns), _numbers(columns[column]))
        for column, label in row.lines.items()
        if column in columns
    }
    across = "number" if row.across == NUMBER else axis_text(row.across, unit)
    return Plotted(row.title, across, row.up.replace("{unit}", unit), lines, row.log, row.levels, row.points)


def _across(name: str, columns: Columns) -> NDArray[np.float64]:
    if name == NUMBER:
        return np.arange(1.0, 1.0 + len(next(iter(columns.values()))))
    return _numbers(columns[name])


def _generic(name: str, columns: Columns, unit: str) -> tuple[Drawn, ...]:
    """Over the first column, one plot for each unit of the others."""
    across, *others = columns
    units: dict[str, dict[str, str]] = {}
    for column in others:
        words, found = split_unit(column, unit)
        units.setdefault(found, {})[column] = words
    title = name.replace("_", " ")
    return tuple(Drawn(title, across, found or "value", lines) for found, lines in units.items())


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
