"""Pictures of a validation, drawn from its records with matplotlib's figure objects and no global state.

`laws` shows each problem's samples against its exact law, wrong samplers beside them; `calibration` the ranks of simulated
truths and the coverage of credible regions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ctinv.validation.words import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_INK, _QUIET, _ALARM, _RIGHT, _BAND = "#1a1a1a", "#5c5c5c", "#b00020", "#1f5fa8", "#d7e3f1"
_WRONG = ("#b00020", "#c2410c", "#d99a00", "#7a3e9d", "#8c6d46", "#2f7d4f", "#d1499b")
_STYLES = ("-", "--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 1)), (0, (8, 3)))
_PANEL_IN = 4.6
_COLUMNS = 3
_RATIOS = (0.5, 1.5)
_SIGMAS = 2.576  # of a normal law, 99 % of it

Records = Mapping[str, Mapping[str, Any]]


def sheets(records: Records) -> dict[str, Figure]:
    """File name without ending to picture, of those that there is something to show in."""
    found = {}
    if any(record.get("quantiles") for record in records.values()):
        found["validation_laws"] = laws(records)
    if any(record.get("calibration") for record in records.values()):
        found["validation_calibration"] = calibration(records)
    return found


def laws(records: Records) -> Figure:
    """One panel per problem: quantiles of the distance from the law's mean, of the samples over those of the law."""
    chosen = {name: one for name, one in records.items() if one.get("quantiles")}
    rows = -(-len(chosen) // _COLUMNS)
    figure, top = _sheet(
        _COLUMNS * _PANEL_IN,
        rows * _PANEL_IN + 1.3,
        "Samples against the exact law",
        "Each sample's Mahalanobis distance from the mean of the exact law. At each quantile: the samples' distance over "
        "the law's. Blue: the sampler, one line per seed; it must lie at 1. The band holds 99 % of what 2000 exact samples "
        "do, quantile by quantile. Other colours: wrong samplers, each of which must be caught; where the middle of a line "
        "lies outside the panel, its value stands in the legend.",
    )
    for index, (name, record) in enumerate(chosen.items()):
        axes = figure.add_axes(_place(index % _COLUMNS, index // _COLUMNS, _COLUMNS, rows, top))
        _law(axes, name, record)
    return figure


def calibration(records: Records) -> Figure:
    """Two panels per problem: ranks of the truths less the diagonal, and coverage of credible regions."""
    chosen = {name: one for name, one in records.items() if one.get("calibration")}
    columns = max(len(chosen), 2)
    counts = sorted({one["calibration"]["simulations"] for one in chosen.values()})
    figure, top = _sheet(
        columns * _PANEL_IN,
        2 * _PANEL_IN + 1.3,
        f"Calibration over {' or '.join(map(str, counts))} simulated scans",
        "Above: the rank of the true image among its samples should be uniform; drawn is its distribution function less "
        "that of the uniform law, one line per quantity. Below: how often credible regions of a given probability hold the "
        "truth (TARP). The bands hold a line as a whole in 99 % of calibrated samplers. Dashed red: the same samples pulled "
        "towards their mean by a fifth, which must be caught.",
    )
    for index, (name, record) in enumerate(chosen.items()):
        above, below = (figure.add_axes(_place(index, row, columns, 2, top)) for row in (0, 1))
        _ranks(above, name, record["calibration"])
        _coverage(below, record["calibration"])
    return figure


def _sheet(width: float, height: float, title: str, text: str) -> tuple[Figure, float]:
    """An empty sheet with its title and explanation, and where its panels may begin, in inches from the top."""
    figure = Figure(figsize=(width, height), facecolor="white", dpi=90)
    FigureCanvasAgg(figure)
    figure.text(0.25 / width, 1 - 0.35 / height, title, fontsize=17, color=_INK, weight="bold", va="center")
    lines = textwrap.wrap(text, int(width * 12.5))
    figure.text(
        0.25 / width,
        1 - 0.62 / height,
        "\n".join(lines),
        fontsize=10.5,
        color=_QUIET,
        va="top",
        linespacing=1.35,
    )
    return figure, 0.75 + 0.21 * len(lines)


def _place(column: int, row: int, columns: int, rows: int, top: float) -> tuple[float, float, float, float]:
    """A panel's place in figure fractions."""
    width, height = columns * _PANEL_IN, rows * _PANEL_IN + 1.3
    panel = (height - top) / rows
    left, bottom = column * _PANEL_IN + 0.85, height - top - (row + 1) * panel + 0.62
    return left / width, bottom / height, (_PANEL_IN - 1.08) / width, (panel - 1.12) / height


def _law(axes: Axes, name: str, record: Mapping[str, Any]) -> None:
    quantiles = record["quantiles"]
    level, law = np.array(quantiles["levels"]), np.sqrt(quantiles["law"])
    chance = _SIGMAS * np.sqrt(level * (1 - level) / record["samples"])
    low, high = (np.interp(level + sign * chance, level, law) / law for sign in (-1, 1))
    inner = (level - chance > level[0]) & (level + chance < level[-1])
    axes.fill_between(level[inner], low[inner], high[inner], color=_BAND, linewidth=0)
    axes.axhline(1.0, color=_QUIET, linewidth=0.8)
    for index, control in enumerate(record["controls"]):
        ratio = np.sqrt(quantiles["samples"][control]) / law
        style, colour = _STYLES[index % len(_STYLES)], _WRONG[index % len(_WRONG)]
        shown = np.where(ratio < _RATIOS[1], ratio, np.nan)
        axes.plot(level, shown, linestyle=style, color=colour, linewidth=1.5, label=_named(control, ratio))
    for index, seed in enumerate(record["laws"]):
        ratio = np.sqrt(quantiles["samples"][seed]) / law
        label = f"the sampler, {len(record['laws'])} seeds" if index == 0 else None
        axes.plot(level, ratio, color=_RIGHT, linewidth=1.3, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(
        _RATIOS[0], _RATIOS[1] + 0.42 * (_RATIOS[1] - _RATIOS[0])
    )  # the strip above holds the legend
    axes.set_yticks(np.arange(_RATIOS[0], _RATIOS[1] + 0.01, 0.1))
    axes.set_xlabel("quantile", fontsize=10)
    axes.set_ylabel("distance from the mean, samples / law", fontsize=10)
    _dress(axes, f"{name}: {TITLES.get(name, '')}\n{record['dimension']} pixels")
    axes.legend(fontsize=8.5, frameon=False, loc="upper left", labelcolor=_INK, ncols=2)


def _named(control: str, ratio: NDArray[np.float64]) -> str:
    """The name of a wrong sampler, and how far away it is where that lies outside the panel."""
    middle = float(np.median(ratio))
    return control if _RATIOS[0] < middle < _RATIOS[1] else f"{control} (at {middle:.2g})"


def _ranks(axes: Axes, name: str, record: Mapping[str, Any]) -> None:
    places = np.array(record["places"])
    axes.fill_between(places, record["lower"], record["upper"], color=_BAND, linewidth=0)
    axes.axhline(0.0, color=_QUIET, linewidth=0.8)
    for index, curve in enumerate(record["narrowed"]["quantities"].values()):
        label = "pulled in by a fifth" if index == 0 else None
        axes.plot(places, curve, "--", color=_ALARM, linewidth=0.7, alpha=0.6, label=label)
    for index, curve in enumerate(record["quantities"].values()):
        label = f"the sampler, {len(record['quantities'])} quantities" if index == 0 else None
        axes.plot(places, curve, color=_RIGHT, linewidth=1.1, label=label)
    _legend_room(axes)
    axes.set_xlabel("rank of the truth among its samples, relative", fontsize=10)
    axes.set_ylabel("distribution function less uniform", fontsize=10)
    _dress(
        axes, f"{name}: {TITLES.get(name, '')}\n{record['simulations']} scans of {record['draws']} samples"
    )


def _coverage(axes: Axes, record: Mapping[str, Any]) -> None:
    levels = np.array(record["tarp"]["levels"])
    axes.fill_between(record["places"], record["lower"], record["upper"], color=_BAND, linewidth=0)
    axes.axhline(0.0, color=_QUIET, linewidth=0.8)
    for curve, style, colour, label in (
        (record["narrowed"]["tarp"], "--", _ALARM, "pulled in by a fifth"),
        (record["tarp"], "-", _RIGHT, f"the sampler, p = {record['checks']['TARP p']['value']:.2g}"),
    ):
        axes.plot(
            levels, np.array(curve["coverage"]) - levels, style, color=colour, linewidth=1.5, label=label
        )
    _legend_room(axes)
    axes.set_xlabel("probability of the region", fontsize=10)
    axes.set_ylabel("share of truths inside, less probability", fontsize=10)
    _dress(axes, "TARP, all quantities at once")


def _legend_room(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.25 * (high - low))
    axes.legend(fontsize=9, frameon=False, loc="upper right", labelcolor=_INK)


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11, color=_INK, loc="left", pad=6)
    axes.tick_params(labelsize=9)
    axes.grid(color="#ececec", linewidth=0.7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
