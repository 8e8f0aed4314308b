"""The picture of a search for blind lesions, drawn with matplotlib's figure objects and no global state.

One row per region: the scan, the scan with the least visible lesion at the largest contrast that fits into the fibre, and
what was added; the same three after f; the lesion map; and the contrast that a disc needs in the scan and after f.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from ctinv.analysis.finding import Finding

_INK, _QUIET, _ALARM, _MARK = "#1a1a1a", "#5c5c5c", "#b00020", "#ffb000"
_SCAN, _AFTER = "#1f5fa8", "#c2410c"
_WIDTH_IN, _ROW_IN, _HEAD_IN = 18.5, 3.55, 1.0
_PANEL_IN, _STEP_IN, _LEFT_IN = 1.92, 2.04, 0.22
_TEXT_WIDTH = 205
_FEWEST_HU = 1e-6


def draw(findings: Mapping[str, Finding], spacing_mm: tuple[float, float], *, stamp: str) -> Figure:
    """The figure of `ctinv.analysis.search.find_blind` on one or more regions.

    Args:
        findings: Title of each region to what was found there.
        spacing_mm: Distance of rows and of columns in mm.
        stamp: What the picture may be used for.
    """
    height = _HEAD_IN + _ROW_IN * len(findings)
    figure = Figure(figsize=(_WIDTH_IN, height), facecolor="white")
    FigureCanvasAgg(figure)
    first = next(iter(findings.values())).figures
    title = f"The lesion that {first['denoiser']} hides best, searched at {first['tier']}"
    figure.text(0.012, 1 - 0.36 / height, title, fontsize=17, color=_INK, weight="bold", va="center")
    figure.text(
        0.988, 1 - 0.36 / height, stamp, fontsize=11, color=_ALARM, weight="bold", ha="right", va="center"
    )
    line = (
        f"ε = {first['tolerance']:.2g} {first['unit']}; discs of {min(first['searched']['diameters_mm']):g} to "
        f"{max(first['searched']['diameters_mm']):g} mm; η is the share of d′² that an ideal observer keeps after f; a "
        "lesion is hidden where d′ ≥ 3 in the scan and d′ ≤ 1 after f, for C ± 20 % per band"
    )
    figure.text(0.012, 1 - 0.72 / height, line, fontsize=11, color=_QUIET, va="center")
    for index, (name, finding) in enumerate(findings.items()):
        _row(figure, name, finding, spacing_mm, top=height - _HEAD_IN - index * _ROW_IN)
    return figure


def _row(figure: Figure, name: str, finding: Finding, spacing_mm: tuple[float, float], *, top: float) -> None:
    """One region, its upper edge at so many inches above the figure's lower one."""
    height, facts = figure.get_size_inches()[1], finding.figures
    colour = _ALARM if finding.interesting else _INK
    head = f"{name}, {facts['box']}: {facts['verdict']}"
    figure.text(0.012, (top - 0.12) / height, head, fontsize=12, color=colour, weight="bold", va="center")
    lines = textwrap.wrap(finding.sentence, _TEXT_WIDTH)
    for index, text in enumerate(lines[:2]):
        y = (top - 0.34 - 0.19 * index) / height
        figure.text(0.012, y, text, fontsize=10, color=_INK, va="center")
    bottom = top - 2.82
    _images(figure, finding, spacing_mm, bottom)
    _eta(figure, finding, spacing_mm, bottom)
    _curve(figure, finding, bottom)


def _images(figure: Figure, finding: Finding, spacing_mm: tuple[float, float], bottom: float) -> None:
    """The scan, the lesion in it, the change; and the same after f."""
    maps, unit = finding.maps, finding.figures["unit"]
    low, high = _window(maps["scan"].values, maps["denoised"].values)
    for first, names, titles in (
        (0, ("scan", "inserted", "change"), ("scan $x$", r"with the lesion $\tilde{x}$", r"$\tilde{x} - x$")),
        (
            3,
            ("denoised", "denoised_inserted", "denoised_change"),
            ("denoised $f(x)$", r"denoised $f(\tilde{x})$", r"$f(\tilde{x}) - f(x)$"),
        ),
    ):
        for offset, (name, title) in enumerate(zip(names, titles, strict=True)):
            axes = _panel(figure, first + offset, bottom, title)
            if name not in maps:
                axes.text(0.5, 0.5, "nothing fits", ha="center", transform=axes.transAxes, color=_QUIET)
                continue
            if offset < 2:
                shown = axes.imshow(
                    maps[name].values,
                    cmap="gray",
                    vmin=low,
                    vmax=high,
                    aspect=_aspect(spacing_mm),
                    interpolation="nearest",
                )
            else:
                limit = max(float(np.abs(maps["change"].values).max()), _FEWEST_HU)
                shown = axes.imshow(
                    maps[name].values,
                    cmap="RdBu_r",
                    vmin=-limit,
                    vmax=limit,
                    aspect=_aspect(spacing_mm),
                    interpolation="nearest",
                )
            if offset:
                _circle(axes, finding, spacing_mm)
            _bar(figure, shown, axes, unit)


def _eta(figure: Figure, finding: Finding, spacing_mm: tuple[float, float], bottom: float) -> None:
    """The smallest η over diameters."""
    values = finding.maps["eta"].values
    axes = _panel(figure, 6, bottom, r"$\eta$, worst diameter")
    axes.set_facecolor("#eeeeee")
    image = axes.imshow(
        values, cmap="cividis", vmin=0.0, vmax=1.0, aspect=_aspect(spacing_mm), interpolation="nearest"
    )
    _circle(axes, finding, spacing_mm)
    _bar(figure, image, axes, f"0: blind; here {np.nanmin(values):.3g} to {np.nanmax(values):.3g}")


def _curve(figure: Figure, finding: Finding, bottom: float) -> None:
    """Contrast at d′ = 3 in the scan and after f, and up to which a lesion is hidden, at the median place."""
    width, height = figure.get_size_inches()
    left = _LEFT_IN + 7 * _STEP_IN + 0.62
    axes = figure.add_axes((left / width, bottom / height, (width - 0.25 - left) / width, _PANEL_IN / height))
    curve, unit = finding.curves["contrast_size"], finding.figures["unit"]
    sizes = curve["diameter_mm"]
    limit = 20.0 * max(curve["d_in_3_median_hu"])
    seen, hidden = (np.minimum(curve[f"{name}_median_hu"], limit) for name in ("d_eps_3", "d_eps_1"))
    axes.plot(
        sizes, curve["d_in_3_median_hu"], color=_SCAN, linewidth=3.2, alpha=0.55, label="d′ = 3 in the scan"
    )
    axes.plot(sizes, seen, color=_AFTER, linewidth=1.4, label="d′ = 3 after f")
    axes.plot(sizes, hidden, color=_AFTER, linewidth=1.2, linestyle="--", label="d′ = 1 after f")
    fits = finding.figures["inserted"]
    if fits is not None:
        size = finding.figures["lesion"]["diameter_mm"]
        marker = "^" if fits["bounded"] else "o"
        axes.plot(
            [size],
            [abs(fits["contrast_hu"])],
            marker,
            color=_MARK,
            markeredgecolor=_INK,
            markersize=7,
            linestyle="none",
            label="fits at least" if fits["bounded"] else "fits at most",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xticks([size for size in (1, 2, 3, 5, 7, 10, 15) if sizes[0] <= size <= sizes[-1]])
    axes.set_yticks([10.0**k * f for k in range(-2, 5) for f in (1, 2, 5)])
    everything = [*curve["d_in_3_median_hu"], *seen, *hidden, *([abs(fits["contrast_hu"])] if fits else [])]
    axes.set_ylim(0.75 * min(everything), 1.3 * max(everything))
    axes.minorticks_off()
    axes.tick_params(labelsize=8.5, length=2)
    axes.grid(color="#e3e3e3", linewidth=0.7)
    axes.set_title(f"contrast of a disc, {unit}, against its diameter, mm", fontsize=10, color=_INK, pad=4)
    axes.legend(
        fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.07), columnspacing=1.0
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _panel(figure: Figure, column: int, bottom: float, title: str) -> Axes:
    width, height = figure.get_size_inches()
    left = _LEFT_IN + column * _STEP_IN
    axes = figure.add_axes((left / width, bottom / height, _PANEL_IN / width, _PANEL_IN / height))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10, color=_INK, pad=4)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _bar(figure: Figure, image: AxesImage, axes: Axes, label: str) -> None:
    """A colour bar below a panel."""
    box, height = axes.get_position(), figure.get_size_inches()[1]
    place = (box.x0 + 0.06 * box.width, box.y0 - 0.12 / height, 0.88 * box.width, 0.07 / height)
    bar = figure.colorbar(image, cax=figure.add_axes(place), orientation="horizontal")
    low, high = image.get_clim()
    ticks = [low, (low + high) / 2, high]
    bar.set_ticks(ticks, labels=[f"{value:.3g}" for value in ticks])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2, pad=1, colors=_INK)
    bar.ax.set_xlabel(label, fontsize=8.5, labelpad=1, color=_QUIET)


def _circle(axes: Axes, finding: Finding, spacing_mm: tuple[float, float]) -> None:
    """A ring around the lesion."""
    lesion = finding.figures["lesion"]
    top, left = (int(part.split(":")[0]) for part in finding.figures["box"].split(",")[1:])
    height, width = (1.35 * lesion["diameter_mm"] / step for step in spacing_mm)
    axes.add_patch(
        Ellipse(
            (lesion["x"] - left, lesion["y"] - top),
            width,
            height,
            fill=False,
            edgecolor=_MARK,
            linewidth=1.3,
        )
    )


def _window(*images: NDArray[np.float32]) -> tuple[float, float]:
    """Display limits that hold nearly all of the scan."""
    low, high = np.percentile(np.stack(images), [0.5, 99.5])
    return float(low), float(max(high, low + 1.0))


def _aspect(spacing_mm: tuple[float, float]) -> float:
    return spacing_mm[0] / spacing_mm[1]
