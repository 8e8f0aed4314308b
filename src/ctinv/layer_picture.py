"""The picture of a layer study, drawn from its JSON page with matplotlib's figure objects and no global state.

Left: how far samples vary at each tap, in the order of the data flow: what the fibre allows, and what the generator shows.
Middle: the directions that each tap fixes. Right: samples of each tap fed back at the taps behind it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_INK, _QUIET, _ALARM = "#1a1a1a", "#5c5c5c", "#b00020"
_FIBRE, _RAW, _CORRECTED = "#1f5fa8", "#c2410c", "#d99a00"
_SHARES = ("#08306b", "#2879b9", "#7db8da", "#41ab5d", "#9e9ac8")
_SIZE_IN = (18.5, 8.4)
_PANELS = ((0.042, 0.275), (0.382, 0.24), (0.713, 0.222))  # left edge and width in figure fractions
_BOTTOM, _HEIGHT = 0.305, 0.545
_STRIP = 0.36  # of the left panel's height, kept free above the points for what is said of them
_RATIO = (0.03, 30.0)
_NOTES, _NOTE_WIDTH = 4, 205


def draw(page: Mapping[str, Any], *, stamp: str) -> Figure:
    """The figure of a page of `ctinv.layer_study.LayerStudy.to_json`; `stamp` says what it may be used for."""
    figure = Figure(figsize=_SIZE_IN, facecolor="white")
    FigureCanvasAgg(figure)
    _header(figure, page, stamp)
    _spreads(_panel(figure, 0, page, f"how far samples vary, {page['unit']}"), page)
    _dimensions(_panel(figure, 1, page, "directions that the tap fixes, $d_{eff}(\\varepsilon)/n$"), page)
    _matrix(figure, page)
    _notes(figure, page["nested"]["notes"])
    return figure


def _header(figure: Figure, page: Mapping[str, Any], stamp: str) -> None:
    shown = f", and what {page['generator']} shows" if page["generator"] else ""
    figure.text(
        0.012,
        0.955,
        f"What each layer of {page['denoiser']} leaves free{shown}",
        fontsize=17,
        color=_INK,
        weight="bold",
    )
    figure.text(0.988, 0.955, stamp, fontsize=11, color=_ALARM, weight="bold", ha="right")
    line = (
        f"region {page['box']} (slice, rows, columns), {page['n']} samples of each generator at each tap, "
        f"tier {page['tier']} at the tap; "
        "below each tap its channels and its ε as share of the tap's response to the noise of the scan"
    )
    figure.text(0.012, 0.91, line, fontsize=11, color=_QUIET)


def _panel(figure: Figure, index: int, page: Mapping[str, Any], title: str) -> Axes:
    """A panel with the taps along x."""
    left, width = _PANELS[index]
    axes = figure.add_axes((left, _BOTTOM, width, _HEIGHT))
    axes.set_title(title, fontsize=12, color=_INK, loc="left", pad=8)
    taps = page["taps"]
    labels = [f"{tap['tap']}\n{tap['channels']} ch\n{100 * tap['share']:.2g} %" for tap in taps]
    axes.set_xticks(range(len(taps)), labels=labels, fontsize=9)
    axes.set_xlim(-0.5, len(taps) - 0.5)
    axes.tick_params(axis="y", labelsize=9)
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _spreads(axes: Axes, page: Mapping[str, Any]) -> None:
    """Panel 1: the fibre and the generator."""
    taps = page["taps"]
    noise = page["sigma_noise_hu"]
    axes.axhline(noise, color=_QUIET, linewidth=1.2, linestyle=":", label="noise of the scan")
    theory = _values(tap["theory_hu"] for tap in taps)
    allowed = _values(tap["allowed"]["hu"] for tap in taps)
    axes.plot(
        theory, color=_QUIET, marker="_", markersize=26, linestyle="none", label="fibre at ε, linear theory"
    )
    _points(
        axes,
        [tap["fibre"]["certified"] for tap in taps],
        _FIBRE,
        "o",
        "fibre at ε, certified samples",
        size=10,
    )
    axes.plot(
        allowed,
        color=_FIBRE,
        marker="^",
        linestyle="--",
        linewidth=1,
        label="allowed: the tier's limit used up",
    )
    raw, corrected = (_of_generator(taps, name) for name in ("raw", "certified"))
    if page["generator"]:
        _points(axes, raw, _RAW, "s", f"{page['generator']}, raw candidates", size=6)
        _points(axes, corrected, _CORRECTED, "D", f"{page['generator']}, certified", size=5)
    everything = np.concatenate(
        [[noise], theory, allowed, *(_values(one["hu"] for one in series) for series in (raw, corrected))]
    )
    known = everything[np.isfinite(everything) & (everything > 0)]
    _log_range(axes, float(known.min()), float(known.max()))
    for place, tap in enumerate(taps):
        _verdict(axes, place, tap)
    axes.legend(
        fontsize=9, frameon=False, ncols=2, loc="upper left", bbox_to_anchor=(-0.02, -0.155), labelcolor=_INK
    )


def _of_generator(taps: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    missing = {"hu": None, "error": None}
    series = [(tap["generator"] or {}).get("series") for tap in taps]
    return [one[name] if one else missing for one in series]


def _points(
    axes: Axes, spreads: Sequence[Mapping[str, Any]], colour: str, marker: str, label: str, *, size: float
) -> None:
    """Spreads with their standard errors."""
    axes.errorbar(
        range(len(spreads)),
        _values(one["hu"] for one in spreads),
        yerr=_values(one["error"] for one in spreads),
        color=colour,
        marker=marker,
        markersize=size,
        linewidth=1.6,
        capsize=3,
        label=label,
    )


def _log_range(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis with an empty strip above the points."""
    axes.set_yscale("log")
    bottom, top = math.log10(low) - 0.15, math.log10(high) + 0.1
    axes.set_ylim(10**bottom, 10 ** (bottom + (top - bottom) / (1.0 - _STRIP)))
    axes.spines["left"].set_bounds(10**bottom, 10**top)
    decades = range(math.floor(bottom), math.ceil(top))
    ticks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    shown = [tick for tick in ticks if 10**bottom <= tick <= 10**top]
    axes.set_yticks(shown, labels=[f"{tick:g}" for tick in shown])
    axes.minorticks_off()


def _verdict(axes: Axes, place: int, tap: Mapping[str, Any]) -> None:
    """What is said of a generator at a tap, in the strip above the points; a bar shows how far it is off."""
    shown = tap["generator"]
    if shown is None:
        return
    wrong = shown["verdict"] == "generator error"
    text = f"generator error ×{_short(shown['excess'])}" if wrong else shown["verdict"]
    if wrong:
        axes.vlines(
            place, tap["allowed"]["hu"], shown["series"]["raw"]["hu"], color=_ALARM, linewidth=5, alpha=0.25
        )
    axes.text(
        place,
        0.99,
        "\n".join(textwrap.wrap(text, 24)),
        transform=axes.get_xaxis_transform(),
        rotation=90,
        fontsize=9.5,
        ha="center",
        va="top",
        color=_ALARM if wrong else _QUIET,
        weight="bold" if wrong else "normal",
    )


def _dimensions(axes: Axes, page: Mapping[str, Any]) -> None:
    """Panel 2: d_eff/n at every ε."""
    taps = page["taps"]
    kinds = (
        ("free_share", "ε {} of the noise response", "-"),
        ("free_share_at_rms", "RMS of all outputs {}", "--"),
    )
    for value, label, style in kinds:
        for index, colour in zip(range(len(taps[0]["dimension"])), _SHARES, strict=False):
            rows = [tap["dimension"][index] for tap in taps]
            fixed = _values(100.0 * (1.0 - row[value]) for row in rows)
            name = label.format(rows[0]["name"])
            face = colour if style == "-" else "white"
            axes.plot(fixed, style, color=colour, marker="o", markerfacecolor=face, linewidth=1.6, label=name)
    axes.set_ylabel("fixed, % of the region's pixels", fontsize=10)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right = axes.secondary_yaxis("right", functions=(_rest, _rest))
    right.set_ylabel("free, %", fontsize=10)
    right.tick_params(labelsize=9)
    axes.legend(
        fontsize=9, frameon=False, ncols=2, loc="upper left", bbox_to_anchor=(-0.12, -0.155), labelcolor=_INK
    )


def _rest(percent: Any) -> Any:
    """Fixed to free and back."""
    return 100.0 - percent


def _matrix(figure: Figure, page: Mapping[str, Any]) -> None:
    """Panel 3: the error at tap m of samples certified at tap l, over what the tier allows at m."""
    left, width = _PANELS[2]
    names, nested = [tap["tap"] for tap in page["taps"]], page["nested"]
    ratio = np.array([_values(line) for line in nested["ratio"]])
    axes = figure.add_axes((left, _BOTTOM, width, _HEIGHT))
    image = axes.imshow(
        np.clip(ratio, *_RATIO), cmap="RdBu_r", norm=LogNorm(*_RATIO), interpolation="nearest", aspect="auto"
    )
    axes.set_title("error of samples at later taps / its limit", fontsize=12, color=_INK, loc="left", pad=8)
    axes.set_xticks(range(len(names)), labels=names, fontsize=9, rotation=45 if len(names) > 6 else 0)
    axes.set_yticks(range(len(names)), labels=names, fontsize=9)
    axes.set_xlabel("fed back at", fontsize=10)
    axes.set_ylabel("certified at", fontsize=10)
    for row, column in zip(*np.nonzero(np.isfinite(ratio)), strict=True):
        _cell(axes, int(row), int(column), float(ratio[row, column]))
    if any(value is not None for value in nested["nfe_at_output"]):
        side = axes.secondary_yaxis("right")
        side.set_yticks(
            range(len(names)), labels=[_short(value) for value in nested["nfe_at_output"]], fontsize=9
        )
        side.tick_params(length=0)
        side.set_ylabel("NFE at the output", fontsize=10)
    bar = figure.colorbar(image, cax=figure.add_axes((left, 0.185, width, 0.015)), orientation="horizontal")
    bar.set_ticks([0.1, 1.0, 10.0], labels=["0.1", "1: the limit", "10"])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9)


def _cell(axes: Axes, row: int, column: int, value: float) -> None:
    dark = not 0.12 < value < 8.0
    axes.text(
        column, row, _short(value), fontsize=9, ha="center", va="center", color="white" if dark else _INK,
        weight="bold" if value > 1.0 else "normal",
    )  # fmt: skip
    if value > 1.0:
        axes.add_patch(
            Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor=_ALARM, linewidth=2)
        )


def _notes(figure: Figure, notes: Sequence[str]) -> None:
    """The first notes of the check; all of them stand in the JSON."""
    lines = [line for note in notes for line in textwrap.wrap(note, _NOTE_WIDTH)]
    if len(lines) > _NOTES:
        lines = [*lines[: _NOTES - 1], f"… and {len(lines) - _NOTES + 1} more lines, in the JSON"]
    for index, line in enumerate(lines):
        figure.text(0.012, 0.098 - 0.0235 * index, line, fontsize=10, color=_INK, va="center")


def _values(items: Any) -> NDArray[np.float64]:
    return np.array([math.nan if item is None else item for item in items], dtype=np.float64)


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100.0 else f"{value:.2g}"
