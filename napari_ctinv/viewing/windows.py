"""Windows of scans in a viewer: which there are for one, and which layers share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ctinv.volume import Volume
from ctinv.windows import PRESETS, Window, percentile_window
from napari_ctinv.layers import layer_info

IMAGES = ("ct", "denoised", "samples")
"""Kinds of layers that show values of the scan itself, which maps and differences do not."""

PERCENTILES = "percentiles 1 to 99"


def presets_of(scan: Any) -> dict[str, Window]:
    """What can be chosen for the layer of a scan, by name: the windows of its header first, then the usual ones of a CT, or
    the percentiles of another modality."""
    volume = layer_info(scan.metadata).get("volume")
    if not isinstance(volume, Volume):
        return dict(PRESETS)
    stated = volume.acquisition.window
    header = {
        "header" if len(stated) == 1 else f"header {k}": Window(*window)
        for k, window in enumerate(stated, start=1)
    }
    if volume.modality == "CT":
        return {**header, **PRESETS}
    return {**header, PERCENTILES: percentile_window(volume.hu)}


def window_of(layer: Any) -> Window:
    """The window in which a layer is shown."""
    low, high = (float(value) for value in layer.contrast_limits)
    return Window.between(low, high)


def show_window(layers: Iterable[Any], window: Window) -> None:
    """Show these layers in one window."""
    for layer in layers:
        if tuple(layer.contrast_limits) != window.limits:
            layer.contrast_limits = window.limits


def sharing_window(layers: Iterable[Any], scan: Any) -> list[Any]:
    """The layers that show values in the unit of the scan: the scan itself, other scans, f(x) and x̃."""
    unit = layer_info(scan.metadata).get("unit")
    alike = [
        layer
        for layer in layers
        if (info := layer_info(layer.metadata)).get("kind") in IMAGES and info.get("unit") == unit
    ]
    return alike if scan in alike else [scan, *alike]
