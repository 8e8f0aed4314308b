"""Panels of any finding: its maps as images, its curves as lines; the columns of a curve name their units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from ctinv.analysis.columns import axis_text
from ctinv.report.arrays import unpack
from ctinv.report.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    QUIET,
    TILE,
    VIOLET,
    Panel,
    ceiling,
    legend,
    plot,
    tile,
    top,
)
from ctinv.report.words import Content

_LINES = (BLUE, ORANGE, GREEN, VIOLET, QUIET)


def spacing(content: Content) -> tuple[float, float]:
    """Distance of rows and of columns in mm."""
    _, dy, dx = content["spacing_mm"]
    return dy, dx


def maps(
    content: Content, finding: Mapping[str, Any], names: Sequence[str] | None = None, *, group: str = ""
) -> tuple[Panel, ...]:
    """One tile for each map, or for those that are named."""
    chosen = (
        finding["maps"]
        if names is None
        else {name: finding["maps"][name] for name in names if name in finding["maps"]}
    )
    return tuple(_map(content, name, one, group) for name, one in chosen.items())


def _map(content: Content, name: str, one: Mapping[str, Any], group: str) -> Panel:
    unit = "" if one["unit"] == "1" else str(one["unit"])

    def draw() -> Figure:
        values = unpack(one["values"])
        colours, limits = colours_of(values, str(one["unit"]))
        return tile(
            values, one["title"], unit=unit, limits=limits, spacing_mm=spacing(content), colours=colours
        )

    return Panel(slug(name), f"{one['title']}, {unit or 'no unit'}", draw, TILE, group=group)


def colours_of(values: NDArray[np.float32], unit: str) -> tuple[str, tuple[float, float]]:
    """Colour map and ends for values of a unit: around zero where both signs are there, from zero otherwise."""
    finite = values[np.isfinite(values)]
    if finite.size and float(finite.min()) < 0.0:
        limit = ceiling(float(np.abs(finite).max()))
        return "RdBu_r", (-limit, limit)
    if unit == "1" and (not finite.size or float(finite.max()) <= 1.0):
        return "cividis", (0.0, 1.0)
    return "viridis", (0.0, top(values))


def curve(
    name: str,
    columns: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    across: str,
    up: str,
    lines: Mapping[str, str],
    log: str = "",
    levels: Mapping[str, float] | None = None,
    limits: tuple[float, float] | None = None,
) -> Panel:
    """A plot of columns against another.

    Args:
        name: Name of the panel.
        columns: Name to values of equal length.
        title: Above the plot.
        across: Column along x; its name says the unit.
        up: Text of the vertical axis.
        lines: Column to label, in the order they are drawn.
        log: Which axes are logarithmic: ``"x"``, ``"y"`` or ``"xy"``.
        levels: Text to value of horizontal lines.
        limits: Ends of the vertical axis.
    """

    def draw() -> Figure:
        figure, axes = plot(title, across=axis_text(across), up=up)
        horizontal = numbers(columns[across])
        for index, ((column, label), colour) in enumerate(zip(lines.items(), _LINES * 3, strict=False)):
            values = numbers(columns[column])
            if index == 0:  # wide, as the others may cover it
                axes.plot(horizontal, values, color=colour, linewidth=5.0, alpha=0.45, label=label)
            else:
                axes.plot(
                    horizontal, values, color=colour, marker="o", markersize=3, linewidth=1.4, label=label
                )
        for label, level in (levels or {}).items():
            axes.axhline(level, color=QUIET, linewidth=0.9, linestyle="--")
            axes.annotate(
                label,
                (1.0, level),
                xycoords=("axes fraction", "data"),
                fontsize=7,
                color=QUIET,
                ha="right",
                va="bottom",
            )
        if "x" in log:
            axes.set_xscale("log")
        if "y" in log:
            axes.set_yscale("log")
        if limits is not None:
            axes.set_ylim(*limits)
        if "x" in log:
            _plain_ticks(axes.xaxis, horizontal)
        if "y" in log:
            _plain_ticks(axes.yaxis, np.concatenate([numbers(columns[column]) for column in lines]))
        legend(axes)
        return figure

    return Panel(name, f"{title}: {', '.join(lines.values())} over {axis_text(across)}", draw)


def _plain_ticks(axis: Axis, values: NDArray[np.float64]) -> None:
    """1, 2, 5, 10 … on a short logarithmic axis, where powers of ten would leave one tick."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    ticks = [factor * 10.0**power for power in range(-4, 6) for factor in (1, 2, 3, 5, 7)]
    shown = [tick for tick in ticks if 0.95 * low <= tick <= 1.05 * high]
    if 1 < len(shown) < 12:
        axis.set_ticks(shown, labels=[f"{tick:g}" for tick in shown])
        axis.set_minor_locator(NullLocator())


def numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    """JSON numbers, null as NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def slug(name: str) -> str:
    """Letters, digits and hyphens only."""
    return (
        "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
        .strip("-")
        .lower()
        or "map"
    )
