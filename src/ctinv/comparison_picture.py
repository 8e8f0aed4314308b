"""The picture of a comparison, drawn with matplotlib's figure objects and no global state.

Top: the region and its common anatomy, what each network leaves free at each tier and in each band, and the contrast that a
disc needs. Below: who sees what whom ignores, by linear theory and measured, and the lesion map of each network.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ctinv.comparison.words import percent
from ctinv.fibre.dimension import BANDS
from ctinv.fibre.tiers import LAW_SHARE
from ctinv.sampler.words import number
from ctinv.volume import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ctinv.comparison.compare import Comparison

_INK, _QUIET, _ALARM, _MARK = "#1a1a1a", "#5c5c5c", "#b00020", "#ffb000"
_COLOURS = ("#1f5fa8", "#c2410c", "#2f7d32", "#6a4c93", "#8a6d00", "#0f766e", "#9d174d", "#4b5563")
_SIZE_IN = (18.0, 10.6)
_TOP, _MIDDLE, _LOW = (0.575, 0.285), (0.225, 0.235), (0.055, 0.105)
_RATIO = (0.1, 10.0)
_WINDOW_MARGIN = 1.0


def draw(comparison: Comparison, *, stamp: str) -> Figure:
    """The figure of a comparison; `stamp` says what it may be used for."""
    figure = Figure(figsize=_SIZE_IN, facecolor="white")
    FigureCanvasAgg(figure)
    page = comparison.to_json()
    _header(figure, page, stamp)
    _images(figure, comparison)
    _tiers(_axes(figure, 0.335, 0.145, "free share of the directions, %"), comparison)
    _bands(_axes(figure, 0.535, 0.19, f"free share of the noise power at {page['tier']}, %"), comparison)
    _contrast(_axes(figure, 0.785, 0.2, "extra contrast a disc needs at the output, %"), comparison)
    _theory(figure, comparison)
    _measured(figure, comparison)
    _lesions(figure, comparison)
    return figure


def _header(figure: Figure, page: dict[str, Any], stamp: str) -> None:
    title = f"What {len(page['networks'])} denoisers ignore on one region, and what the others see of it"
    figure.text(0.012, 0.962, title, fontsize=17, color=_INK, weight="bold")
    figure.text(0.988, 0.962, stamp, fontsize=11, color=_ALARM, weight="bold", ha="right")
    line = (
        f"region {page['box']} (slice, rows, columns), tier {page['tier']}, {page['n']} samples of each network from the "
        f"same candidates; one C for all, from the {page['noise'].get('anatomy', 'common anatomy')}"
    )
    figure.text(0.012, 0.93, line, fontsize=11, color=_QUIET)


def _axes(figure: Figure, left: float, width: float, title: str) -> Axes:
    axes = figure.add_axes((left, _TOP[0], width, _TOP[1]))
    axes.set_title(title, fontsize=12, color=_INK, loc="left", pad=8)
    axes.tick_params(labelsize=9)
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _images(figure: Figure, comparison: Comparison) -> None:
    """The slice with the region, x on it, and ŷ."""
    box, unit = Box.parse(comparison.request["box"]), comparison.request["unit"]
    low, high = _window(comparison.scan)
    width, height = _SIZE_IN
    slice_axes = _plain(
        figure, (0.012, _TOP[0], _TOP[1] * height / width, _TOP[1]), "slice, and the region in it"
    )
    shown = comparison.scan_slice
    reach = _window(shown)
    slice_axes.imshow(shown, cmap="gray", vmin=reach[0], vmax=reach[1], interpolation="antialiased")
    corner = (box.x0 - 0.5, box.y0 - 0.5)
    slice_axes.add_patch(
        Rectangle(corner, box.shape[1], box.shape[0], fill=False, edgecolor=_MARK, linewidth=1.8)
    )
    side = 0.125
    for index, (title, image) in enumerate(
        (("scan  $x$", comparison.scan), ("common anatomy  $\\hat{y}$", comparison.anatomy))
    ):
        bottom = _TOP[0] + (1 - index) * (side + 0.035)
        axes = _plain(figure, (0.192, bottom, side * height / width, side), title)
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    figure.text(
        0.192, _TOP[0] - 0.018, f"{low:.0f} to {high:.0f} {unit}".replace("-", "−"), fontsize=9, color=_QUIET
    )


def _plain(figure: Figure, place: tuple[float, float, float, float], title: str) -> Axes:
    axes = figure.add_axes(place)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10.5, color=_INK, pad=4, loc="left")
    return axes


def _window(image: NDArray[np.float32]) -> tuple[float, float]:
    """From percentile 1 to 99 of an image."""
    low, high = np.percentile(image, [1.0, 99.0])
    return float(low), max(float(high), float(low) + _WINDOW_MARGIN)


def _tiers(axes: Axes, comparison: Comparison) -> None:
    """Free share at the tiers, logarithmic."""
    for index, (name, one) in enumerate(comparison.looks.items()):
        rows = [row for row in one.dimension if row["name"] != "T0"]
        axes.plot(
            [100.0 * row["free_share"] for row in rows],
            marker="o",
            linewidth=1.7,
            color=_colour(index),
            label=name,
        )
        axes.set_xticks(range(len(rows)), labels=[row["name"] for row in rows])
    _log(axes)
    axes.set_xlabel("tier (T3: ε relative to each network's own $\\sigma_{out}$)", fontsize=9)
    axes.legend(fontsize=9, frameon=False, labelcolor=_INK)


def _log(axes: Axes) -> None:
    """A logarithmic axis with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _bands(axes: Axes, comparison: Comparison) -> None:
    """Free noise power per band, grouped."""
    count = len(comparison.looks)
    width = 0.8 / count
    for index, one in enumerate(comparison.looks.values()):
        row = next(row for row in one.dimension if row["name"] == comparison.request["tier"])
        places = np.arange(len(BANDS)) + (index - (count - 1) / 2) * width
        axes.bar(places, [100.0 * row["bands"][band] for band in BANDS], width=width, color=_colour(index))
    labels = [
        f"{name}\n{low:g} to {high:g}" if high < 1 else f"{name}\nabove {low:g}"
        for name, (low, high) in BANDS.items()
    ]
    axes.set_xticks(range(len(BANDS)), labels=labels)
    _log(axes)
    axes.set_xlabel("band, cycles per pixel", fontsize=9)


def _contrast(axes: Axes, comparison: Comparison) -> None:
    """By how much the contrast at d' = 3 of a disc rises from the scan to each network's output, at the worst place."""
    unit = comparison.request["unit"]
    ticks: list[tuple[float, str]] = []
    for index, one in enumerate(comparison.looks.values()):
        if one.lesions is None:
            continue
        curve, rows = one.lesions.curves["contrast_size"], one.lesions.figures["by_diameter"]
        extra = [100.0 * (1.0 / math.sqrt(eta) - 1.0) if eta > 0 else math.nan for eta in curve["eta_min"]]
        axes.plot(curve["diameter_mm"], extra, marker="o", markersize=4, linewidth=1.7, color=_colour(index))
        ticks = [
            (row["diameter_mm"], f"{row['diameter_mm']:g} mm\n{number(row['d_in_3_median_hu'])} {unit}")
            for row in rows
        ]
    axes.set_xticks([place for place, _ in ticks], labels=[label for _, label in ticks])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("diameter, and the contrast of d' = 3 in the scan", fontsize=9)


def _theory(figure: Figure, comparison: Comparison) -> None:
    """Share of what the row ignores that the column sees, linear theory."""
    names = comparison.names
    values = np.array([[comparison.entry(j, i).seen_by_theory for i in names] for j in names])
    texts = [[percent(value) for value in line] for line in values]
    title = "share of what the row ignores that the column sees (linear theory)"
    _matrix(figure, 0.085, names, 100.0 * values, texts, title, Normalize(0.0, 100.0), "Blues")


def _measured(figure: Figure, comparison: Comparison) -> None:
    """RMSE of the row's samples at the column over the tier's limit there, and the share that meets the tier."""
    names, tier, unit = comparison.names, comparison.request["tier"], comparison.request["unit"]
    values = np.full((len(names), len(names)), np.nan)
    texts = [["none"] * len(names) for _ in names]
    for row, j in enumerate(names):
        for column, i in enumerate(names):
            entry = comparison.entry(j, i)
            if entry.rmse_hu is None or entry.share is None:
                continue
            limit = dict(comparison.looks[i].rule.tolerances())[tier] / LAW_SHARE
            values[row, column] = entry.rmse_hu["mean"] / limit
            null = "" if entry.null_rmse_hu is None else f" (noise {number(entry.null_rmse_hu, 2)})"
            texts[row][column] = (
                f"{number(entry.rmse_hu['mean'], 2)} {unit}{null}\n{percent(entry.share['value'])} meet {tier}"
            )
    title = f"RMSE of the row's samples fed through the column; colour: over the limit of {tier}"
    _matrix(figure, 0.545, names, np.clip(values, *_RATIO), texts, title, LogNorm(*_RATIO), "RdBu_r")


def _matrix(
    figure: Figure,
    left: float,
    names: list[str],
    values: NDArray[np.float64],
    texts: list[list[str]],
    title: str,
    norm: Normalize,
    colours: str,
) -> None:
    axes = figure.add_axes((left, _MIDDLE[0], 0.36 if left < 0.5 else 0.443, _MIDDLE[1]))
    image = axes.imshow(values, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
    axes.set_title(title, fontsize=12, color=_INK, loc="left", pad=8)
    axes.set_xticks(range(len(names)), labels=names, fontsize=9)
    axes.set_yticks(range(len(names)), labels=names, fontsize=9)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    small = 8.5 if len(names) > 4 else 9.5
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            red, green, blue, _ = image.to_rgba(values[row, column])
            dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.55
            axes.text(
                column, row, text, fontsize=small, ha="center", va="center", color="white" if dark else _INK,
                weight="bold" if row == column else "normal",
            )  # fmt: skip


def _lesions(figure: Figure, comparison: Comparison) -> None:
    """η of one disc size for each network, on one scale."""
    found = {name: one.lesions for name, one in comparison.looks.items() if one.lesions is not None}
    if not found:
        return
    sizes = [row["diameter_mm"] for row in next(iter(found.values())).figures["by_diameter"]]
    size = sizes[min(1, len(sizes) - 1)]
    maps = {name: one.maps[f"eta_{size:g}mm"].values for name, one in found.items()}
    low = min(0.99, math.floor(100.0 * min(float(np.nanmin(one)) for one in maps.values())) / 100.0)
    width, height = _SIZE_IN
    figure.text(0.012, _LOW[0] + 0.06, f"η of a {size:g} mm disc", fontsize=11, color=_INK)
    figure.text(0.012, _LOW[0] + 0.036, "1: all passed on at ε", fontsize=9.5, color=_QUIET)
    figure.text(0.012, _LOW[0] + 0.014, "0: blind to it", fontsize=9.5, color=_QUIET)
    side = _LOW[1] * height / width
    for index, (name, eta) in enumerate(maps.items()):
        left = 0.13 + index * (side + 0.085)
        axes = figure.add_axes((left, _LOW[0], side, _LOW[1]))
        image = axes.imshow(eta, cmap="viridis", vmin=low, vmax=1.0, interpolation="nearest")
        axes.set_axis_off()
        figure.text(left + side + 0.005, _LOW[0] + 0.075, name, fontsize=9.5, color=_colour(index))
        figure.text(
            left + side + 0.005, _LOW[0] + 0.052, f"{np.nanmin(eta):.3f} worst", fontsize=9.5, color=_INK
        )
    bar = figure.colorbar(image, cax=figure.add_axes((0.13, 0.033, 0.2, 0.011)), orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9)
