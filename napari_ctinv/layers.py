"""Volumes, studies and maps as layer tuples: the only place that knows layer arguments.

Every layer has its units (mm), its window, a name without any identity, and under ``metadata["ctinv"]`` its
kind, full affine and provenance. Nothing here needs a running viewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.sampler.words import TARGET_DOMAIN
from ctinv.volume import Box, Volume
from napari_ctinv.placement import affine_at, canonical, place

if TYPE_CHECKING:
    from ctinv.sampler import Samples, Store

LayerTuple = tuple[Any, dict[str, Any], str]

SOFT_TISSUE = (40.0, 400.0)
"""Centre and width of the window that is used where the header of a CT names none, HU."""

KEY = "ctinv"
"""The entry of ``layer.metadata`` that belongs to this package."""

SLICE_LABELS = ("z", "y", "x")


def window_limits(volume: Volume) -> tuple[float, float]:
    """Contrast limits in the unit of the volume: the first window of the header if there is one, else soft tissue for a
    CT and percentile 1 to 99 for another modality."""
    window = volume.acquisition.window
    if not window and volume.modality != "CT":
        low, high = (float(value) for value in np.percentile(volume.hu, [1.0, 99.0]))
        return low, high if high > low else low + 1.0
    centre, width = window[0] if window else SOFT_TISSUE
    return centre - width / 2, centre + width / 2


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
    placement = place(volume.affine, volume.shape)
    rows, columns = (box.y0 - 0.5, box.y1 - 0.5), (box.x0 - 0.5, box.x1 - 0.5)
    drawn = [(rows[0], columns[0]), (rows[0], columns[1]), (rows[1], columns[1]), (rows[1], columns[0])]
    arguments = {
        "name": f"region {box}",
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
        "edge_width": 1,
        "scale": placement.scale,
        "translate": placement.translate,
        "units": ("mm", "mm", "mm"),
        "axis_labels": SLICE_LABELS,
        "metadata": {KEY: {"kind": "outline", "box": box}},
    }
    return [np.array([(box.z, *corner) for corner in drawn])], arguments, "shapes"


def result_layers(study: Samples | Store, *, window: tuple[float, float] | None = None) -> list[LayerTuple]:
    """What a run adds over the scan: f(x), the maps and the samples."""
    return [fx_layer(study, window=window), *map_layers(study), samples_layer(study, window=window)]


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
    return _image(
        sample_stack(study),
        region.affine,
        name,
        limits=window or window_limits(region),
        info={"kind": "samples", "domain": provenance.domain, "unit": region.unit, **_about(study)},
    )


def sample_stack(study: Samples | Store) -> Any:
    """(n, 1, h, w) float32 HU of the finished rows, in their order; read from disk only where it is shown.

    The axes are those of the viewer, which for a sagittal or coronal region is not the order of the scan.
    """
    order = place(study.setting.volume.affine, study.setting.volume.shape).order
    return study.lazy().transpose((0, *(axis + 1 for axis in order)))


def map_layers(study: Samples | Store) -> list[LayerTuple]:
    """Spread, worst feed-back error and, where there is one, the lesion map η; hidden until asked for."""
    return list(_map_layers(study))


def _map_layers(study: Samples | Store) -> Iterator[LayerTuple]:
    setting = study.setting
    about = _about(study)
    box = setting.output_box
    corner = affine_at(np.array(study.provenance.affine), (box.z, box.y0, box.x0))
    region, unit = setting.volume.affine, setting.volume.unit
    if setting.eta is not None:
        yield _map(setting.eta, region, "lesion map η", "blindness", 1.0, about, "1")
    if study.provenance.domain != "target":  # those are not fed back
        worst = np.asarray(study.worst(), dtype=np.float32)
        yield _map(worst, corner, f"worst feed-back error [{unit}]", "magma", _ceiling(worst), about, unit)
    spread = np.asarray(study.spread(), dtype=np.float32)
    yield _map(spread, region, f"spread [{unit}]", "magma", _ceiling(spread), about, unit)


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
    top: float,
    about: dict[str, Any],
    unit: str,
) -> LayerTuple:
    """A (H, W) map in one slice, from 0 to `top`, with a colour bar."""
    info = {"kind": "map", "unit": unit, "colorbar": True, **about}
    return _image(
        values[None], affine, name, limits=(0.0, top), colormap=_colormap(colormap), info=info, visible=False
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
) -> LayerTuple:
    """An image layer of (z, y, x) data or of a (n, z, y, x) stack whose axes are in order already."""
    stacked = data.ndim == 4
    shape = info["box"].shape if stacked else data.shape
    placement = place(affine, (1, *shape) if stacked else shape)
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
