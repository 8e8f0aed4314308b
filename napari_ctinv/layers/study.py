"""A study: x, f(x), samples and their errors as lazy stacks, raw candidates, maps, and maps of findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.sampler.words import TARGET_DOMAIN
from ctinv.volume import Box
from napari_ctinv.layers._image import LayerTuple, ceiling, image_layer, map_layer
from napari_ctinv.layers.scan import volume_layer, window_limits
from napari_ctinv.placement import affine_at, place

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding, Map
    from ctinv.sampler import Samples, Store

_FINDING_IMAGES = ("scan", "denoised", "inserted", "denoised_inserted")
"""Maps of findings that are images, to be seen in the window of the scan."""


def study_layers(study: Samples | Store, *, window: tuple[float, float] | None = None) -> list[LayerTuple]:
    """All layers of a study, the first at the bottom: x, f(x), maps, and the lazy stack of samples on top.

    Args:
        study: Samples in memory or an opened store; no network is needed.
        window: Contrast limits of the images in HU; by default the header's window or soft tissue.
    """
    return [region_layer(study, window=window), *result_layers(study, window=window)]


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
    return image_layer(
        study.setting.fx[None], region.affine, f"f(x) {study.provenance.denoiser}", limits=limits, info=info
    )


def samples_layer(study: Samples | Store, *, window: tuple[float, float] | None = None) -> LayerTuple:
    """The finished samples x̃ as one lazy (n, z, y, x) stack exactly over the scan; the name tells the target domain."""
    region, provenance = study.setting.volume, study.provenance
    name = f"x̃ {provenance.denoiser} {provenance.tap}"
    if provenance.domain == "target":
        name = f"ỹ {provenance.generator} ({TARGET_DOMAIN})"
    info = {"kind": "samples", "domain": provenance.domain, "unit": region.unit, "study": study}
    return image_layer(
        sample_stack(study),
        region.affine,
        name,
        limits=window or window_limits(region),
        info={**info, **_about(study)},
        plane=region.shape,
    )


def sample_stack(study: Samples | Store) -> Any:
    """(n, 1, h, w) float32 HU of the finished rows, in their order; read from disk only where it is shown.

    The axes are those of the viewer, which for a sagittal or coronal region is not the order of the scan.
    """
    return in_view_order(study, study.lazy())


def errors_layer(study: Samples | Store) -> LayerTuple:
    """f(x̃) − f(x) of the finished samples over the output box, around zero, as lazy as the samples; hidden at first.

    The colours end at the largest error of any sample, so that no step of the slider changes their meaning.
    """
    unit = study.setting.volume.unit
    largest = np.array([certificate.max_hu for certificate in study.certificates], dtype=np.float32)
    info = {"kind": "errors", "unit": unit, "colorbar": True, **_about(study)}
    return _error_image(error_stack(study), study, f"f(x̃) − f(x) [{unit}]", ceiling(largest), info)


def error_stack(study: Samples | Store) -> Any:
    """(n, 1, H', W') float32 HU, f(x̃) − f(x) of the finished rows, likewise."""
    return in_view_order(study, study.lazy_error())


def in_view_order(study: Samples | Store, stack: Any) -> Any:
    """A (n, 1, h, w) stack in the axes of the scan with its axes in the order of the viewer's."""
    order = place(study.setting.volume.affine, study.setting.volume.shape).order
    return stack.transpose((0, *(axis + 1 for axis in order)))


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
    raw = image_layer(
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
        ceiling(3 * largest),
        {"kind": "raw errors", "colorbar": True, **info},
    )
    return [raw, difference]


def _error_image(
    stack: Any, study: Samples | Store, name: str, top: float, info: dict[str, Any]
) -> LayerTuple:
    """A stack over the output box, around zero."""
    return image_layer(
        stack,
        _output_affine(study),
        name,
        limits=(-top, top),
        info=info,
        colormap="RdBu_r",
        plane=(1, *study.setting.output_box.shape),
        visible=False,
    )


def map_layers(study: Samples | Store, *, window: tuple[float, float] | None = None) -> Iterator[LayerTuple]:
    """Mean, spread, worst feed-back error and, where there is one, the lesion map η; hidden until asked for.

    Each is read when its turn comes.

    Args:
        study: The study.
        window: Contrast limits of the mean in HU; by default the header's window or soft tissue.
    """
    setting, about = study.setting, _about(study)
    region, unit = setting.volume.affine, setting.volume.unit
    yield mean_layer(study, window=window)
    if setting.eta is not None:
        yield map_layer(setting.eta, region, "lesion map η", "blindness", (0.0, 1.0), about, "1")
    if study.provenance.domain != "target":  # those are not fed back
        worst = np.asarray(study.worst(), dtype=np.float32)
        name, limits = f"worst feed-back error [{unit}]", (0.0, ceiling(worst))
        yield map_layer(worst, _output_affine(study), name, "magma", limits, about, unit)
    yield spread_layer(study)


def mean_layer(study: Samples | Store, *, window: tuple[float, float] | None = None) -> LayerTuple:
    """The mean of the samples over the region, hidden until asked for."""
    region = study.setting.volume
    mean = np.asarray(study.mean(), dtype=np.float32)
    info = {"intensity": True, **_about(study)}
    limits = window or window_limits(region)
    return map_layer(mean, region.affine, f"mean [{region.unit}]", "gray", limits, info, region.unit)


def spread_layer(study: Samples | Store) -> LayerTuple:
    """The standard deviation of the samples over the region, hidden until asked for."""
    region = study.setting.volume
    spread = np.asarray(study.spread(), dtype=np.float32)
    name = f"spread [{region.unit}]"
    return map_layer(spread, region.affine, name, "magma", (0.0, ceiling(spread)), _about(study), region.unit)


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
    return map_layer(found.values, region.affine, name, colormap, limits, info, found.unit)


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
        top = ceiling(np.abs(finite))
        return "RdBu_r", (-top, top)
    return "magma", (0.0, ceiling(finite))


def _output_affine(study: Samples | Store) -> NDArray[np.float64]:
    box = study.setting.output_box
    return affine_at(np.array(study.provenance.affine), (box.z, box.y0, box.x0))


def _about(study: Samples | Store) -> dict[str, Any]:
    return {
        "provenance": study.provenance.to_json(),
        "key": study.provenance.key(),
        "box": Box.parse(study.provenance.box),
    }
