"""What all image layers share: units, place, window, a name without any identity, and the entry of their metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctinv.placement import place

LayerTuple = tuple[Any, dict[str, Any], str]

KEY = "ctinv"
"""The entry of ``layer.metadata`` that belongs to this package."""

SLICE_LABELS = ("z", "y", "x")


def layer_info(metadata: dict[str, Any]) -> dict[str, Any]:
    """This package's entry of a layer's metadata, empty for layers from elsewhere."""
    info = metadata.get(KEY)
    return info if isinstance(info, dict) else {}


def image_layer(
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


def map_layer(
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
    return image_layer(
        values[None], affine, name, limits=limits, colormap=_colormap(colormap), info=info, visible=False
    )


def signed_layer(
    values: NDArray[np.float32], affine: NDArray[np.float64], name: str, unit: str
) -> LayerTuple:
    # A part of them, as this runs in the thread of the interface.
    top = ceiling(np.abs(values[:: max(1, len(values) // 8), ::4, ::4]))
    info = {"kind": "map", "unit": unit, "colorbar": True}
    return image_layer(values, affine, name, limits=(-top, top), colormap="RdBu_r", info=info, visible=False)


def ceiling(values: NDArray[np.float32]) -> float:
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
