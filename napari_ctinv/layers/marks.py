"""What lies over images for a while: part of a layer, the divider of a swipe, the mark of a probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctinv.layers._image import KEY, SLICE_LABELS, LayerTuple, layer_info


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
