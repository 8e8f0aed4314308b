"""Panels of one look: small enough for a telephone, sharp enough for print, and the same bytes each time.

matplotlib's own fonts and defaults are used whatever the user has configured, and neither a date nor a version is
written into a PNG.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from ctinv.statement import png_text

INK, QUIET, ALARM, MARK, GRID = "#1a1a1a", "#5c5c5c", "#b00020", "#ffb000", "#e3e3e3"
BLUE, ORANGE, GREEN, VIOLET = "#1f5fa8", "#c2410c", "#2f7d32", "#6a4c93"
DPI = 200
PLOT_IN = (3.5, 2.75)
TILE_IN = 2.3
TEXT, SMALL = 8.0, 7.0
PLOT, TILE = "plot", "tile"
_HEAD_IN, _FOOT_IN, _TITLE_WIDTH = 0.36, 0.46, 30

Rect = tuple[float, float, float, float]


@dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Attributes:
        name: Name within the figure, of letters, digits and hyphens.
        alt: What it shows, for those who cannot see it.
        draw: Makes the picture.
        kind: `PLOT` or `TILE`; decides its place on the page.
        note: A line below it.
        group: Heading of the tiles it stands among.
    """

    name: str
    alt: str
    draw: Callable[[], Figure]
    kind: str = PLOT
    note: str = ""
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A small table of text; the first column is a heading."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Plate:
    """One numbered figure.

    Attributes:
        title: A few words.
        caption: What to read in it, with numbers and units.
        panels: Its pictures.
        tables: Tables below them.
        missing: Sentences on what is not shown, and why.
    """

    title: str
    caption: str
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: tuple[str, ...] = field(default=())


def png(panel: Panel) -> bytes:
    """The bytes of a panel's picture."""
    with matplotlib.style.context("default", after_reset=True):
        figure, buffer = panel.draw(), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata=png_text())
    return buffer.getvalue()


def sheet(width: float, height: float) -> Figure:
    """An empty picture of this size in inches."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plot(title: str, *, across: str, up: str, size: tuple[float, float] = PLOT_IN) -> tuple[Figure, Axes]:
    """A plot with its title and the names of its axes."""
    figure = sheet(*size)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=TEXT + 1, color=INK, loc="left")
    axes.set_xlabel(across, fontsize=TEXT, color=INK)
    axes.set_ylabel(up, fontsize=TEXT, color=INK)
    axes.tick_params(labelsize=TEXT, colors=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def legend(axes: Axes, **options: object) -> None:
    """A plain legend."""
    axes.legend(**{"fontsize": SMALL, "frameon": False, "labelcolor": INK, "handlelength": 1.6, **options})


def tile(
    values: NDArray[np.float32],
    title: str,
    *,
    unit: str,
    limits: tuple[float, float],
    spacing_mm: tuple[float, float],
    colours: str = "gray",
    box: Rect | None = None,
) -> Figure:
    """An image in its true proportions, with a bar of lengths and a bar of colours.

    Args:
        values: (h, w); NaN stays white.
        title: Above it.
        unit: Of the values.
        limits: Ends of the colours.
        spacing_mm: Distance of rows and of columns in mm.
        colours: Name of the colour map.
        box: Left, top, width and height of a rectangle to draw, in pixels.
    """
    height, width = values.shape
    inner = TILE_IN - 0.1
    shape = height * spacing_mm[0] / (width * spacing_mm[1])
    tall = float(np.clip(inner * shape, 0.6, 2.0 * inner))
    figure = sheet(TILE_IN, tall + _FOOT_IN + _HEAD_IN)
    whole = figure.get_figheight()
    axes = figure.add_axes((0.05 / TILE_IN, _FOOT_IN / whole, inner / TILE_IN, tall / whole))
    axes.set_axis_off()
    image = axes.imshow(values, cmap=colours, interpolation="nearest", aspect=spacing_mm[0] / spacing_mm[1])
    image.set_clim(*limits)
    if box is not None:
        axes.add_patch(Rectangle(box[:2], box[2], box[3], fill=False, edgecolor=MARK, linewidth=1.3))
    _scale_bar(axes, (height, width), spacing_mm)
    middle = 1.0 - 0.5 * _HEAD_IN / whole
    figure.text(0.05 / TILE_IN, middle, _two_lines(title), fontsize=TEXT, color=INK, va="center")
    figure.text(0.98, middle, unit, fontsize=SMALL, color=QUIET, va="center", ha="right")
    _colour_bar(figure, image, limits)
    return figure


def _two_lines(title: str) -> str:
    """A long title broken once; formulas are left alone."""
    if "$" in title:
        return title
    return "\n".join(textwrap.wrap(title, _TITLE_WIDTH, max_lines=2, placeholder=" …"))


def _colour_bar(figure: Figure, image: AxesImage, limits: tuple[float, float]) -> None:
    """A bar below the image with both ends and the middle."""
    whole = figure.get_figheight()
    place = figure.add_axes((0.09, 0.34 / whole, 0.82, 0.07 / whole))
    bar = figure.colorbar(image, cax=place, orientation="horizontal")
    ticks = [limits[0], (limits[0] + limits[1]) / 2.0, limits[1]]
    bar.set_ticks(ticks, labels=[f"{value:.3g}".replace("-", "−") for value in ticks])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, length=2, pad=1.5, colors=INK)


def _scale_bar(axes: Axes, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> None:
    """A bar of a round length of about a quarter of the image, lower left."""
    (height, width), (_, dx) = shape, spacing_mm
    wanted = 0.3 * width * dx
    length = max((value for value in (1, 2, 5, 10, 20, 50, 100, 200) if value <= wanted), default=1)
    left, low = 0.05 * width - 0.5, 0.95 * height - 0.5
    axes.add_patch(Rectangle((left, low), length / dx, 0.018 * height, color=MARK))
    text = axes.text(
        left, low - 0.015 * height, f"{length} mm", color=MARK, fontsize=SMALL, va="bottom", ha="left"
    )
    text.set_path_effects([Stroke(linewidth=2.0, foreground=INK), Normal()])


def top(values: NDArray[np.float32]) -> float:
    """The next round number above the largest value, to end a scale with; 1 where there is nothing."""
    finite = values[np.isfinite(values)]
    return ceiling(float(finite.max()) if finite.size else 0.0)


def ceiling(value: float) -> float:
    """The next round number at or above a value; 1 where it is not above 0."""
    if not value > 0:
        return 1.0
    step = 10.0 ** np.floor(np.log10(value))
    return float(next(factor * step for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if factor * step >= value))
