"""Volumes, studies and maps as layer tuples: the only place that knows layer arguments.

Every layer has its units (mm), its window, a name without any identity, and under ``metadata["ctinv"]`` its
kind, full affine and provenance. Nothing here needs a running viewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.sampler.words import TARGET_DOMAIN
from ctinv.volume import Box, Volume
from ctinv.windows import default_window
from napari_ctinv.placement import affine_at, canonical, place

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding, Map
    from ctinv.sampler import Samples, Store

LayerTuple = tuple[Any, dict[str, Any], str]

KEY = "ctinv"
"""The entry of ``layer.metadata`` that belongs to this package."""

_FINDING_IMAGES = ("scan", "denoised", "inserted", "denoised_inserted")
"""Maps of findings that are images, to be seen in the window of the scan."""

SLICE_LABELS = ("z", "y", "x")


def window_limits(volume: Volume) -> tuple[float, float]:
    """Contrast limits in the unit of the volume: the first window of the header if there is one, else soft tissue for a
    CT and percentile 1 to 99 for another modality."""
    return default_window(volume.hu, volume.acquisition.window, volume.unit).limits


def volume_layer(
    volume: Volume,
    *,
    name: str | None = None,
    kind: str = "ct",
    window: tuple[float, float] | None = None,
    **extra: Any,
) -> LayerTuple:
    """A volume: a CT in HU, or another modality in its unit.

    Args:
        volume: The scan; axes of a sagittal or coronal series are put in order first.
        name: Layer name; by default the modality, with the dose where the scan was simulated.
        kind: ``"ct"`` or ``"denoised"``.
        window: Contrast limits in HU; by default the header's window or soft tissue.
        extra: Further plain entries for the metadata.

    Raises:
        SeriesError: The volume is oblique and would be shown in a wrong place.
    """
    volume = canonical(volume)
    fraction = volume.acquisition.dose_fraction
    dose = f" {100 * fraction:.3g} % dose" if fraction is not None and fraction < 1 else ""
    return _image(
        volume.hu,
        volume.affine,
        name or f"{volume.modality}{dose}",
        limits=window or window_limits(volume),
        info={"kind": kind, "volume": volume, "unit": volume.unit, "notes": list(volume.notes), **extra},
    )


def denoised_layer(
    volume: Volume,
    fx: NDArray[np.float32],
    *,
    denoiser: str,
    window: tuple[float, float] | None = None,
) -> LayerTuple:
    """f(x) in the window of x.

    Args:
        volume: x.
        fx: Of its shape; shown as it is filled, and what is NaN is not shown.
        denoiser: Name of f.
        window: Contrast limits; by default the header's window or soft tissue.
    """
    info = {"kind": "denoised", "unit": volume.unit, "denoiser": denoiser}
    limits = window or window_limits(volume)
    return _image(fx, volume.affine, f"f(x) {denoiser}", limits=limits, info=info)


def removed_layer(volume: Volume, removed: NDArray[np.float32], *, denoiser: str) -> LayerTuple:
    """The removed part x − f(x), of the shape of the volume, around zero and hidden at first."""
    return _signed(removed, volume.affine, f"x − f(x) {denoiser} [{volume.unit}]", volume.unit)


def study_layers(study: Samples | Store, *, window: tuple[float, float] | None = None) -> list[LayerTuple]:
    """All layers of a study, the first at the bottom: x, f(x), maps, and the lazy stack of samples on top.

    Args:
        study: Samples in memory or an opened store; no network is needed.
        window: Contrast limits of the images in HU; by default the header's window or soft tissue.
    """
    return [region_layer(study, window=window), *result_layers(study, window=window)]


def outline_layer(volume: Volume, box: Box) -> LayerTuple:
    """A rectangle around the voxels of a box, which the Invariances widget takes as its region.

    Raises:
        InputError: The box lies outside the volume.
    """
    box.check_inside(volume.shape)
    corners = _corners(box.z, (box.y0, box.y1), (box.x0, box.x1))
    return _shapes(volume, [corners], f"region {box}", {"kind": "outline", "box": box})


def squares_layer(volume: Volume, size: int, places: Sequence[tuple[int, int, int]]) -> LayerTuple:
    """Outlines of n x n squares, by slice, first row and first column, in which noise was read."""
    drawn = [_corners(z, (y, y + size), (x, x + size)) for z, y, x in places]
    return _shapes(volume, drawn, "squares of the noise", {"kind": "squares"})


def regions_layer(volume: Volume) -> LayerTuple:
    """A layer to draw regions of interest in, on the voxels of a volume; empty at first."""
    return _shapes(volume, [], "regions of interest", {"kind": "regions"})


def _corners(z: int, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.float64]:
    """(4, 3) corners around rows and columns of a slice, half open as in NumPy."""
    (y0, y1), (x0, x1) = ((first - 0.5, last - 0.5) for first, last in (rows, columns))
    return np.array([(z, y0, x0), (z, y0, x1), (z, y1, x1), (z, y1, x0)])


def _shapes(volume: Volume, drawn: list[NDArray[np.float64]], name: str, info: dict[str, Any]) -> LayerTuple:
    """Yellow rectangles on the voxels of a volume."""
    placement = place(volume.affine, volume.shape)
    arguments = {
        "name": name,
        "ndim": 3,
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
        "edge_width": 1,
        "scale": placement.scale,
        "translate": placement.translate,
        "units": ("mm", "mm", "mm"),
        "axis_labels": SLICE_LABELS,
        "metadata": {KEY: info},
    }
    return drawn, arguments, "shapes"


def result_layers(study: Samples | Store, *, window: tuple[float, float] | None = None) -> list[LayerTuple]:
    """What a run adds over the scan: f(x), the maps and the samples."""
    layers = [fx_layer(study, window=window), *map_layers(study, window=window)]
    return [*layers, samples_layer(study, window=window)]


def region_layer(study: Samples | Store, *, window: tuple[float, float] | None = None) -> LayerTuple:
    """The region of the scan that was studied."""
    region = study.setting.volume
    return volume_layer(region, name="x region", window=window, provenance=study.provenance.to_json())


def fx_layer(study: Samples | Store, *, window: tuple[float, float] | None = None) -> LayerTuple:
    """f(x) over the region."""
    region = study.setting.volume
    limits = window or window_limits(region)
    info = {"kind": "denoised", "unit": region.unit, **_about(study)}
    return _image(
        study.setting.fx[None], region.affine, f"f(x) {study.provenance.denoiser}", limits=limits, info=info
    )


def samples_layer(study: Samples | Store, *, window: tuple[float, float] | None = None) -> LayerTuple:
    """The finished samples x̃ as one lazy (n, z, y, x) stack exactly over the scan; the name tells the target domain."""
    region, provenance = study.setting.volume, study.provenance
    name = f"x̃ {provenance.denoiser} {provenance.tap}"
    if provenance.domain == "target":
        name = f"ỹ {provenance.generator} ({TARGET_DOMAIN})"
    info = {"kind": "samples", "domain": provenance.domain, "unit": region.unit, "study": study}
    return _image(
        sample_stack(study),
        region.affine,
        name,
        limits=window or window_limits(region),
        info={**info, **_about(study)},
        plane=region.shape,
    )


def errors_layer(study: Samples | Store) -> LayerTuple:
    """f(x̃) − f(x) of the finished samples over the output box, around zero, as lazy as the samples; hidden at first.

    The colours end at the largest error of any sample, so that no step of the slider changes their meaning.
    """
    unit = study.setting.volume.unit
    largest = np.array([certificate.max_hu for certificate in study.certificates], dtype=np.float32)
    info = {"kind": "errors", "unit": unit, "colorbar": True, **_about(study)}
    return _error_image(error_stack(study), study, f"f(x̃) − f(x) [{unit}]", _ceiling(largest), info)


def raw_layers(
    study: Samples | Store, candidates: Any, errors: Any, *, window: tuple[float, float] | None = None
) -> list[LayerTuple]:
    """Candidates before correction and f(raw) − f(x), as stacks beside the samples; hidden at first.

    Args:
        study: The study.
        candidates: (n, 1, h, w) HU, in the axes of the scan; NaN where none has been drawn yet.
        errors: (n, 1, H', W') HU over the output box, likewise.
        window: Contrast limits of the candidates in HU.
    """
    region = study.setting.volume
    largest = np.array([certificate.rmse_hu_raw for certificate in study.certificates], dtype=np.float32)
    info = {"unit": region.unit, **_about(study)}
    raw = _image(
        in_view_order(study, candidates),
        region.affine,
        f"x̃ raw {study.provenance.generator}",
        limits=window or window_limits(region),
        info={"kind": "raw", **info},
        plane=region.shape,
        visible=False,
    )
    difference = _error_image(
        in_view_order(study, errors),
        study,
        f"f(x̃ raw) − f(x) [{region.unit}]",
        _ceiling(3 * largest),
        {"kind": "raw errors", "colorbar": True, **info},
    )
    return [raw, difference]


def sample_stack(study: Samples | Store) -> Any:
    """(n, 1, h, w) float32 HU of the finished rows, in their order; read from disk only where it is shown.

    The axes are those of the viewer, which for a sagittal or coronal region is not the order of the scan.
    """
    return in_view_order(study, study.lazy())


def error_stack(study: Samples | Store) -> Any:
    """(n, 1, H', W') float32 HU, f(x̃) − f(x) of the finished rows, likewise."""
    return in_view_order(study, study.lazy_error())


def in_view_order(study: Samples | Store, stack: Any) -> Any:
    """A (n, 1, h, w) stack in the axes of the scan with its axes in the order of the viewer's."""
    order = place(study.setting.volume.affine, study.setting.volume.shape).order
    return stack.transpose((0, *(axis + 1 for axis in order)))


def _error_image(
    stack: Any, study: Samples | Store, name: str, top: float, info: dict[str, Any]
) -> LayerTuple:
    """A stack over the output box, around zero."""
    return _image(
        stack,
        _output_affine(study),
        name,
        limits=(-top, top),
        info=info,
        colormap="RdBu_r",
        plane=(1, *study.setting.output_box.shape),
        visible=False,
    )


def _output_affine(study: Samples | Store) -> NDArray[np.float64]:
    box = study.setting.output_box
    return affine_at(np.array(study.provenance.affine), (box.z, box.y0, box.x0))


def map_layers(study: Samples | Store, *, window: tuple[float, float] | None = None) -> list[LayerTuple]:
    """Mean, spread, worst feed-back error and, where there is one, the lesion map η; hidden until asked for.

    Args:
        study: The study.
        window: Contrast limits of the mean in HU; by default the header's window or soft tissue.
    """
    return list(_map_layers(study, window))


def _map_layers(study: Samples | Store, window: tuple[float, float] | None) -> Iterator[LayerTuple]:
    setting, about = study.setting, _about(study)
    region, unit = setting.volume.affine, setting.volume.unit
    yield mean_layer(study, window=window)
    if setting.eta is not None:
        yield _map(setting.eta, region, "lesion map η", "blindness", (0.0, 1.0), about, "1")
    if study.provenance.domain != "target":  # those are not fed back
        worst = np.asarray(study.worst(), dtype=np.float32)
        name, limits = f"worst feed-back error [{unit}]", (0.0, _ceiling(worst))
        yield _map(worst, _output_affine(study), name, "magma", limits, about, unit)
    yield spread_layer(study)


def mean_layer(study: Samples | Store, *, window: tuple[float, float] | None = None) -> LayerTuple:
    """The mean of the samples over the region, hidden until asked for."""
    region = study.setting.volume
    mean = np.asarray(study.mean(), dtype=np.float32)
    info = {"intensity": True, **_about(study)}
    limits = window or window_limits(region)
    return _map(mean, region.affine, f"mean [{region.unit}]", "gray", limits, info, region.unit)


def spread_layer(study: Samples | Store) -> LayerTuple:
    """The standard deviation of the samples over the region, hidden until asked for."""
    region = study.setting.volume
    spread = np.asarray(study.spread(), dtype=np.float32)
    name = f"spread [{region.unit}]"
    return _map(spread, region.affine, name, "magma", (0.0, _ceiling(spread)), _about(study), region.unit)


def finding_layer(
    study: Samples | Store, finding: Finding, key: str, *, window: tuple[float, float] | None = None
) -> LayerTuple:
    """One map of a finding over the region, hidden until asked for.

    Args:
        study: The study that was analysed.
        finding: The finding.
        key: Name of the map in it.
        window: Contrast limits of maps that are images.
    """
    found, region = finding.maps[key], study.setting.volume
    name = found.title if found.unit == "1" else f"{found.title} [{found.unit}]"
    colormap, limits = _finding_colours(key, found, window or window_limits(region))
    info = {"finding": finding.name, "intensity": key in _FINDING_IMAGES, **_about(study)}
    return _map(found.values, region.affine, name, colormap, limits, info, found.unit)


def _finding_colours(key: str, found: Map, window: tuple[float, float]) -> tuple[str, tuple[float, float]]:
    """Colour map and limits: images in their window, η from blind to seen, signed maps around zero, the rest from zero."""
    if key in _FINDING_IMAGES:
        return "gray", window
    if key.startswith("eta"):
        return "blindness", (0.0, 1.0)
    if key.startswith("kept_"):
        return "magma", (0.0, 1.0)
    finite = found.values[np.isfinite(found.values)]
    if finite.size and float(finite.min()) < 0:
        top = _ceiling(np.abs(finite))
        return "RdBu_r", (-top, top)
    return "magma", (0.0, _ceiling(finite))


def shows_intensity(info: Mapping[str, Any]) -> bool:
    """Whether a layer shows an image in the unit of the scan, so that it can share the window of the scan."""
    return info.get("kind") not in ("map", "errors", "raw errors") or bool(info.get("intensity"))


def part_layer(layer: Any, data: Any) -> LayerTuple:
    """Part of an image layer as a layer of its own, in the same place and with the same colours.

    Args:
        layer: The whole layer.
        data: An array of its shape, NaN where it is not to be seen.
    """
    arguments = {
        "name": f"part of {layer.name}",
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "units": tuple(layer.units),
        "axis_labels": tuple(layer.axis_labels),
        "contrast_limits": tuple(layer.contrast_limits),
        "colormap": layer.colormap,
        "gamma": layer.gamma,
        "blending": "translucent",
        "interpolation2d": "nearest",  # whatever mixes neighbours would widen the clear part by a voxel
        "metadata": {KEY: {**layer_info(layer.metadata), "whole": layer.name, "colorbar": False}},
        "cache": False,
    }
    arguments["metadata"][KEY].pop("study", None)  # it is the whole layer that stands for the study
    return data, arguments, "image"


def divider_layer(ends: NDArray[np.float64], width: float) -> LayerTuple:
    """The line between two layers that are swiped.

    Args:
        ends: (1, 2, 2) its start (y, x) and its direction, in mm.
        width: Its width in mm.
    """
    arguments = {
        "name": "divider",
        "edge_color": "yellow",
        "edge_width": width,
        "vector_style": "line",
        "units": ("mm", "mm"),
        "axis_labels": SLICE_LABELS[1:],
        "metadata": {KEY: {"kind": "divider"}},
    }
    return ends, arguments, "vectors"


def probe_layer(point: NDArray[np.float64]) -> LayerTuple:
    """The mark at a probed pixel.

    Args:
        point: (1, 2) its place (y, x) in mm.
    """
    arguments = {
        "name": "probed pixel",
        "symbol": "cross",
        "face_color": "transparent",
        "border_color": "yellow",
        "size": 6,
        "units": ("mm", "mm"),
        "axis_labels": SLICE_LABELS[1:],
        "metadata": {KEY: {"kind": "probe"}},
    }
    return point, arguments, "points"


def layer_info(metadata: dict[str, Any]) -> dict[str, Any]:
    """This package's entry of a layer's metadata, empty for layers from elsewhere."""
    info = metadata.get(KEY)
    return info if isinstance(info, dict) else {}


def _about(study: Samples | Store) -> dict[str, Any]:
    return {
        "provenance": study.provenance.to_json(),
        "key": study.provenance.key(),
        "box": Box.parse(study.provenance.box),
    }


def _map(
    values: NDArray[np.float32],
    affine: NDArray[np.float64],
    name: str,
    colormap: str,
    limits: tuple[float, float],
    about: dict[str, Any],
    unit: str,
) -> LayerTuple:
    """A (H, W) map in one slice, with a colour bar."""
    info = {"kind": "map", "unit": unit, "colorbar": True, **about}
    return _image(
        values[None], affine, name, limits=limits, colormap=_colormap(colormap), info=info, visible=False
    )


def _signed(values: NDArray[np.float32], affine: NDArray[np.float64], name: str, unit: str) -> LayerTuple:
    # A part of them, as this runs in the thread of the interface.
    top = _ceiling(np.abs(values[:: max(1, len(values) // 8), ::4, ::4]))
    info = {"kind": "map", "unit": unit, "colorbar": True}
    return _image(values, affine, name, limits=(-top, top), colormap="RdBu_r", info=info, visible=False)


def _image(
    data: Any,
    affine: NDArray[np.float64],
    name: str,
    *,
    limits: tuple[float, float],
    info: dict[str, Any],
    colormap: Any = "gray",
    visible: bool = True,
    plane: tuple[int, int, int] | None = None,
) -> LayerTuple:
    """An image layer of (z, y, x) data, or of a (n, z, y, x) stack whose axes are in order already.

    `plane` is the (1, h, w) shape of a stacked image in the axes of the scan.
    """
    stacked = plane is not None
    placement = place(affine, plane or data.shape)
    if not stacked:
        data = data.transpose(placement.order)
    arguments = {
        "name": name,
        "scale": (1.0, *placement.scale) if stacked else placement.scale,
        "translate": (0.0, *placement.translate) if stacked else placement.translate,
        "units": ("pixel", "mm", "mm", "mm") if stacked else ("mm", "mm", "mm"),
        "axis_labels": ("sample", *SLICE_LABELS) if stacked else SLICE_LABELS,
        "contrast_limits": limits,
        "colormap": colormap,
        "visible": visible,
        "metadata": {KEY: {"affine": np.asarray(affine).tolist(), **info}},
    }
    if stacked:
        arguments["cache"] = False  # the stack grows while samples arrive; a cached plane could be an old one
    return data, arguments, "image"


def _ceiling(values: NDArray[np.float32]) -> float:
    """The largest value, rounded up to two digits so that the colour bar ends on a readable number."""
    finite = values[np.isfinite(values)]
    top = float(finite.max()) if finite.size else 0.0
    if top <= 0:
        return 1.0
    step = 10.0 ** (np.floor(np.log10(top)) - 1)
    return float(round(np.ceil(top / step - 1e-9) * step, 9))


def _colormap(name: str) -> Any:
    """napari's own map, or viridis run backwards so that a blind spot (η = 0) is what shines."""
    if name != "blindness":
        return name
    from napari.utils import Colormap
    from napari.utils.colormaps import ensure_colormap

    return Colormap(ensure_colormap("viridis").colors[::-1], name="blindness", nan_color=(0, 0, 0, 0))
