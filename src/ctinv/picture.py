"""The overview picture of a study, drawn with matplotlib's figure objects and no global state.

Left: the slice with the certificate table below it. Then x and f(x) above four maps: what f removes, the
spread of the samples, the lesion map η, the worst feed-back error. Then the first samples x̃, each above its
difference from the scan and its feed-back error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from ctinv.sampler.words import TARGET_DOMAIN
from ctinv.volume import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from ctinv.report import Study

_INK, _QUIET, _MARK = "#1a1a1a", "#5c5c5c", "#ffb000"
_SIZE_IN = (16.0, 9.6)
# Left edges and sizes in figure fractions; columns 1-7 are squares of the same size.
_SLICE_LEFT, _SLICE_SIZE = 0.012, 0.168
_LEFT, _STEP, _PANEL = 0.205, 0.1125, 0.105
_FIRST, _SECOND, _THIRD = 0.695, 0.385, 0.075


def draw(study: Study, page: Mapping[str, Any], *, scan_slice: NDArray[np.float32] | None) -> Figure:
    """The figure of `ctinv.report.overview`; `page` is its JSON, `scan_slice` (Y, X) HU or None."""
    figure = Figure(figsize=_SIZE_IN, facecolor="white")
    FigureCanvasAgg(figure)
    _header(figure, study, page)
    _images(figure, study, page)
    _maps(figure, study)
    _differences(figure, study, page)
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
    if provenance.domain == "target":
        title = f"{summary['n']} images as {provenance.denoiser} should make them: {TARGET_DOMAIN}"
    figure.text(_SLICE_LEFT, 0.966, title, fontsize=17, color=_INK, weight="bold", va="center")
    window = page["window_hu"]
    line = (
        f"region {provenance.box} (slice, rows, columns), images in the {window['name']} window "
        f"{window['low']:.0f} to {window['high']:.0f} {provenance.unit}; samples in order, not selected; "
        "the scan outside the region stays, so the spread falls towards its edge"
    )
    figure.text(_SLICE_LEFT, 0.932, line, fontsize=11, color=_QUIET, va="center")
    figure.text(
        0.99, 0.966, page["use"], fontsize=11, color="#b00020", weight="bold", va="center", ha="right"
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
    inset = 0.008 if first == last else 0.0  # keeps the end labels of neighbouring bars apart
    span = (last - first) * _STEP + _PANEL - 2 * inset
    axes = figure.add_axes((_LEFT + first * _STEP + inset, bottom - 0.022, span, 0.011))
    bar = figure.colorbar(image, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    if first == last:
        low, high = image.get_clim()
        bar.set_ticks(
            [low, (low + high) / 2, high], labels=[f"{v:.3g}" for v in (low, (low + high) / 2, high)]
        )
    axes.tick_params(labelsize=9, length=2, pad=2, colors=_INK)
    axes.set_xlabel(label, fontsize=10, labelpad=2, color=_INK)


def _images(figure: Figure, study: Study, page: Mapping[str, Any]) -> None:
    """Row 1: x, f(x) and the samples, all in one window."""
    setting, window = study.setting, page["window_hu"]
    images = [("scan  $x$", setting.volume.hu[0]), ("denoised  $f(x)$", setting.fx)]
    images += [(rf"sample {k}  $\tilde{{x}}$", study.read(k)) for k in page["shown_samples"]]
    for column, (title, hu) in enumerate(images):
        axes = _panel(figure, column, _FIRST, title)
        shown = axes.imshow(hu, cmap="gray", vmin=window["low"], vmax=window["high"], interpolation="nearest")
        if column == 0:
            _scale_bar(axes, hu.shape, study.setting.volume.spacing[2])
    _bar(figure, shown, (0, len(images) - 1), _FIRST, study.provenance.unit)


def _maps(figure: Figure, study: Study) -> None:
    """Rows 2 and 3, left: what f removes, spread, lesion map, worst feed-back error."""
    setting, summary = study.setting, study.summary()
    removed = setting.volume.hu[0] - setting.fx
    limit = _ceiling(3.0 * float(np.std(removed)))
    axes = _panel(
        figure,
        0,
        _SECOND,
        "removed  $x - f(x)$",
        f"std {_short(float(np.std(removed)))} {study.provenance.unit}",
    )
    image = axes.imshow(removed, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    _bar(figure, image, (0, 0), _SECOND, study.provenance.unit)
    theory = f"theory {_short(summary['spread_theory_hu'])} {study.provenance.unit} RMS"
    axes = _panel(figure, 1, _SECOND, "spread of samples", theory)
    spread = study.spread()
    image = axes.imshow(spread, cmap="viridis", vmin=0.0, vmax=_top(spread), interpolation="nearest")
    _bar(figure, image, (1, 1), _SECOND, study.provenance.unit)
    axes = _panel(figure, 0, _THIRD, r"lesion map $\eta$", "0: the network is blind")
    if setting.eta is None:
        _say(axes, "not evaluated")
    else:
        image = axes.imshow(setting.eta, cmap="cividis", vmin=0.0, vmax=1.0, interpolation="nearest")
        _bar(figure, image, (0, 0), _THIRD, "detectability kept")
    axes = _panel(figure, 1, _THIRD, r"worst  $|f(\tilde{x}) - f(x)|$", f"of {summary['n']} samples")
    if study.provenance.domain == "target":
        _say(axes, TARGET_DOMAIN)
        return
    worst = study.worst()
    image = axes.imshow(worst, cmap="magma", vmin=0.0, vmax=_top(worst), interpolation="nearest")
    _bar(figure, image, (1, 1), _THIRD, study.provenance.unit)


def _say(axes: Axes, text: str) -> None:
    """Words where a picture would be."""
    axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, color=_QUIET, fontsize=11)


def _differences(figure: Figure, study: Study, page: Mapping[str, Any]) -> None:
    """Row 2, right: what differs between each sample and the scan."""
    scan = study.setting.volume.hu[0]
    differences = [study.read(k) - scan for k in page["shown_samples"]]
    limit = _ceiling(3.0 * float(np.std(differences)))
    for index, difference in enumerate(differences):
        rms = float(np.sqrt(np.mean(difference**2)))
        axes = _panel(
            figure, 2 + index, _SECOND, r"$\tilde{x} - x$", f"RMS {_short(rms)} {study.provenance.unit}"
        )
        image = axes.imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    _bar(figure, image, (2, 1 + len(differences)), _SECOND, study.provenance.unit)


def _top(values: NDArray[np.float32]) -> float:
    """Upper end of a scale that starts at zero."""
    return _ceiling(float(np.max(values)))


def _ceiling(value: float) -> float:
    """The next round number, to end a colour scale with; 1 where there is nothing."""
    if not value > 0:
        return 1.0
    step = 10.0 ** np.floor(np.log10(value))
    return float(next(factor * step for factor in (1, 2, 3, 4, 5, 6, 8, 10) if factor * step >= value))


def _errors(figure: Figure, study: Study, page: Mapping[str, Any]) -> None:
    """Row 3, right: f(x̃) − f(x) below each sample, over the region and its halo; nothing for the target domain."""
    if study.provenance.domain == "target":
        return
    scale, setting = page["error_scale_hu"], study.setting
    certificates = {one.k: one for one in study.certificates}
    region, output = Box.parse(study.provenance.box), setting.output_box
    for index, k in enumerate(page["shown_samples"]):
        axes = _panel(
            figure,
            2 + index,
            _THIRD,
            r"$f(\tilde{x}) - f(x)$",
            f"RMSE {_short(certificates[k].rmse_hu)} {study.provenance.unit}",
        )
        image = axes.imshow(
            study.read_error(k), cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest"
        )
        corner = (region.x0 - output.x0 - 0.5, region.y0 - output.y0 - 0.5)
        height, width = region.shape
        axes.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=_INK, linewidth=0.8, linestyle="--")
        )
    label = study.provenance.unit
    if study.provenance.tolerance_unit != "relative":
        label += ", from −2ε to 2ε; dashed: the region inside its halo"
    _bar(figure, image, (2, 1 + len(page["shown_samples"])), _THIRD, label)


def _slice(figure: Figure, study: Study, page: Mapping[str, Any], scan_slice: NDArray[np.float32]) -> None:
    """The whole slice with the region drawn."""
    width, height = _SIZE_IN
    axes = figure.add_axes(
        (
            _SLICE_LEFT,
            _FIRST + (_PANEL - _SLICE_SIZE) * width / height,
            _SLICE_SIZE,
            _SLICE_SIZE * width / height,
        )
    )
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
    text = axes.text(
        left, y - 0.02 * height, f"{length} mm", color=_MARK, fontsize=9.5, va="bottom", ha="left"
    )
    text.set_path_effects([Stroke(linewidth=2.5, foreground=_INK), Normal()])


def _table(figure: Figure, page: Mapping[str, Any]) -> None:
    """The certificate table below the slice."""
    top, step = 0.545, 0.0375
    for row, (label, value) in enumerate(page["table"].items()):
        y = top - row * step
        figure.text(_SLICE_LEFT, y, label, fontsize=9.5, color=_QUIET, va="center")
        figure.text(_SLICE_LEFT + _SLICE_SIZE, y, value, fontsize=9.5, color=_INK, va="center", ha="right")


def _short(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.3g}"
