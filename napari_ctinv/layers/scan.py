"""A scan, what a denoiser makes of it, and regions that are drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.volume import Box, Volume
from ctinv.windows import default_window
from napari_ctinv.layers._image import KEY, SLICE_LABELS, LayerTuple, image_layer, signed_layer
from napari_ctinv.placement import canonical, place


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
    return image_layer(
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
    return image_layer(fx, volume.affine, f"f(x) {denoiser}", limits=limits, info=info)


def removed_layer(volume: Volume, removed: NDArray[np.float32], *, denoiser: str) -> LayerTuple:
    """The removed part x − f(x), of the shape of the volume, around zero and hidden at first."""
    return signed_layer(removed, volume.affine, f"x − f(x) {denoiser} [{volume.unit}]", volume.unit)


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
