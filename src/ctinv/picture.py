"""The overview picture of a study, drawn with matplotlib's figure objects and no global state.

Columns: the slice with the certificate table below it; x above the spread; f(x) above the lesion map η; then
the first samples, each above its own feed-back error f(x̃) − f(x).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ctinv.volume import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from ctinv.report import Study

_INK, _QUIET, _MARK = "#1a1a1a", "#5c5c5c", "#ffb000"
_SIZE_IN = (16.0, 7.1)
_SAMPLES = 5
# Left edges and sizes in figure fractions; columns 1-7 are squares of the same size.
_SLICE_LEFT, _SLICE_SIZE = 0.012, 0.168
_LEFT, _STEP, _PANEL = 0.205, 0.1125, 0.105
_TOP, _BOTTOM = 0.565, 0.105


def draw(study: Study, page: Mapping[str, Any], *, scan_slice: NDArray[np.float32] | None) -> Figure:
    """The figure of `ctinv.report.overview`; `page` is its JSON, `scan_slice` (Y, X) HU or None."""
    figure = Figure(figsize=_SIZE_IN, facecolor="white")
    FigureCanvasAgg(figure)
    _header(figure, study, page)
    _images(figure, study, page)
    _maps(figure, study)
    _errors(figure, study, page)
    if scan_slice is not None:
        _slice(figure, study, page, scan_slice)
    _table(figure, page)
    return figure


def _header(figure: Figure, study: Study, page: Mapping[str, Any]) -> None:
    summary, provenance = page["summary"], study.provenance
    same = "result" if provenance.tap == "output" else f"representation at {provenance.tap}"
    title = (
        f"{summary['n']} images that {provenance.denoiser} maps to the same {same}: "
        f"{summary['passed']} certified at tier {summary['tier']}"
    )
    figure.text(_SLICE_LEFT, 0.955, title, fontsize=17, color=_INK, weight="bold", va="center")
    window = page["window_hu"]
    line = (
        f"region {provenance.box} (slice, rows, columns), images in the {window['name']} window "
        f"{window['low']:.0f} to {window['high']:.0f} HU; samples in order, not selected; "
        "the scan outside the region stays, so the spread falls towards its edge"
    )
    figure.text(_SLICE_LEFT, 0.912, line, fontsize=11, color=_QUIET, va="center")
    figure.text(
        0.99, 0.955, page["use"], fontsize=11, color="#b00020", weight="bold", va="center", ha="right"
    )


def _panel(figure: Figure, column: int, bottom: float, title: str, subtitle: str = "") -> Axes:
    """A square panel; column 0 is x, from 2 on the samples."""
    width, height = _SIZE_IN
    axes = figure.add_axes((_LEFT + column * _STEP, bottom, _PANEL, _PANEL * width / height))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=12, color=_INK, pad=4 if not subtitle else 17)
    if subtitle:
        axes.text(
            0.5,
            1.02,
            subtitle,
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=9.5,
            color=_QUIET,
        )
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _bar(figure: Figure, image: AxesImage, columns: tuple[int, int], bottom: float, label: str) -> None:
    """A horizontal colour bar below panels of these columns, both included."""
    first, last = columns
    left = _LEFT + first * _STEP
    axes = figure.add_axes((left, bottom - 0.028, (last - first) * _STEP + _PANEL, 0.014))
    bar = figure.colorbar(image, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    if image.get_clim() == (0.0, 1.0):
        bar.set_ticks([0.0, 0.5, 1.0])
    axes.tick_params(labelsize=9, length=2, pad=2, colors=_INK)
    axes.set_xlabel(label, fontsize=10, labelpad=2, color=_INK)


def _images(figure: Figure, study: Study, page: Mapping[str, Any]) -> None:
    """Row 1: x, f(x) and the samples, all in one window."""
    setting, window = study.setting, page["window_hu"]
    images = [("scan  $x$", setting.volume.hu[0]), ("denoised  $f(x)$", setting.fx)]
    images += [(rf"sample {k}  $\tilde{{x}}$", study.read(k)) for k in page["shown_samples"]]
    for column, (title, hu) in enumerate(images):
        axes = _panel(figure, column, _TOP, title)
        shown = axes.imshow(hu, cmap="gray", vmin=window["low"], vmax=window["high"], interpolation="nearest")
        if column == 0:
            _scale_bar(axes, hu.shape, study.setting.volume.spacing[2])
    _bar(figure, shown, (0, len(images) - 1), _TOP, "HU")


def _maps(figure: Figure, study: Study) -> None:
    """Row 2, left: spread of the samples and lesion map."""
    setting, spread = study.setting, study.spread()
    summary = study.summary()
    axes = _panel(
        figure, 0, _BOTTOM, "spread of samples", f"theory {_short(summary['spread_theory_hu'])} HU RMS"
    )
    image = axes.imshow(spread, cmap="viridis", vmin=0.0, interpolation="nearest")
    _bar(figure, image, (0, 0), _BOTTOM, "HU")
    axes = _panel(figure, 1, _BOTTOM, r"lesion map $\eta$", "0: the network is blind")
    if setting.eta is None:
        axes.text(
            0.5,
            0.5,
            "not evaluated",
            ha="center",
            va="center",
            transform=axes.transAxes,
            color=_QUIET,
            fontsize=11,
        )
        return
    image = axes.imshow(setting.eta, cmap="cividis", vmin=0.0, vmax=1.0, interpolation="nearest")
    _bar(figure, image, (1, 1), _BOTTOM, "detectability kept")


def _errors(figure: Figure, study: Study, page: Mapping[str, Any]) -> None:
    """Row 2, right: f(x̃) − f(x) below each sample, over the region and its halo."""
    scale, setting = page["error_scale_hu"], study.setting
    certificates = {one.k: one for one in study.certificates}
    region, output = Box.parse(study.provenance.box), setting.output_box
    for index, k in enumerate(page["shown_samples"]):
        axes = _panel(
            figure, 2 + index, _BOTTOM, r"$f(\tilde{x}) - f(x)$", f"RMSE {_short(certificates[k].rmse_hu)} HU"
        )
        image = axes.imshow(
            study.read_error(k), cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest"
        )
        corner = (region.x0 - output.x0 - 0.5, region.y0 - output.y0 - 0.5)
        height, width = region.shape
        axes.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=_INK, linewidth=0.8, linestyle="--")
        )
    label = (
        "HU, from −2ε to 2ε; dashed: the region inside its halo"
        if study.provenance.tolerance_unit == "HU"
        else "HU"
    )
    _bar(figure, image, (2, 1 + len(page["shown_samples"])), _BOTTOM, label)


def _slice(figure: Figure, study: Study, page: Mapping[str, Any], scan_slice: NDArray[np.float32]) -> None:
    """The whole slice with the region drawn."""
    width, height = _SIZE_IN
    axes = figure.add_axes((_SLICE_LEFT, _TOP - 0.075, _SLICE_SIZE, _SLICE_SIZE * width / height))
    axes.set_xticks([])
    axes.set_yticks([])
    window = page["window_hu"]
    axes.imshow(scan_slice, cmap="gray", vmin=window["low"], vmax=window["high"], interpolation="antialiased")
    box = Box.parse(study.provenance.box)
    corner = (box.x0 - 0.5, box.y0 - 0.5)
    axes.add_patch(Rectangle(corner, box.shape[1], box.shape[0], fill=False, edgecolor=_MARK, linewidth=1.8))
    _scale_bar(axes, scan_slice.shape, study.setting.volume.spacing[2])


def _scale_bar(axes: Axes, shape: tuple[int, ...], spacing_mm: float) -> None:
    """A bar of a round length of about a quarter of the panel, lower left."""
    height, width = shape
    wanted = 0.3 * width * spacing_mm
    length = max((value for value in (1, 2, 5, 10, 20, 50, 100, 200) if value <= wanted), default=1)
    left, y = 0.05 * width, 0.93 * height
    axes.add_patch(Rectangle((left, y), length / spacing_mm, 0.018 * height, color=_MARK))
    axes.text(left, y - 0.02 * height, f"{length} mm", color=_MARK, fontsize=9.5, va="bottom", ha="left")


def _table(figure: Figure, page: Mapping[str, Any]) -> None:
    """The certificate table below the slice."""
    top, step = 0.425, 0.0345
    for row, (label, value) in enumerate(page["table"].items()):
        y = top - row * step
        figure.text(_SLICE_LEFT, y, label, fontsize=9.5, color=_QUIET, va="center")
        figure.text(_SLICE_LEFT + _SLICE_SIZE, y, value, fontsize=9.5, color=_INK, va="center", ha="right")


def _short(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.3g}"
