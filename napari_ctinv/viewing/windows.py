"""Windows of scans in a viewer: which there are for one, and which layers share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ctinv.volume import Acquisition, Volume
from ctinv.windows import PRESETS, Window, percentile_window
from napari_ctinv.layers import layer_info

IMAGES = ("ct", "denoised", "samples")
"""Kinds of layers that show values of the scan itself, as a map does only if it says so."""

PERCENTILES = "percentiles 1 to 99"


def presets_of(scan: Any) -> dict[str, Window]:
    """What can be chosen for the layer of a scan, by name: the windows of its header first, then the usual ones of a CT, or
    the percentiles of another modality."""
    volume = layer_info(scan.metadata).get("volume")
    if not isinstance(volume, Volume):
        return dict(PRESETS)
    header = _header_windows(volume.acquisition)
    if volume.modality == "CT":
        return {**header, **PRESETS}
    return {**header, PERCENTILES: percentile_window(volume.hu)}


def _header_windows(acquisition: Acquisition) -> dict[str, Window]:
    """One entry for each window of the header, with what the header calls it."""
    names = acquisition.window_names or ("",) * len(acquisition.window)
    numbers = [""] if len(names) == 1 else [f" {k}" for k in range(1, len(names) + 1)]
    return {
        f"header{number}" + (f" ({name.lower()})" if name else ""): Window(*window)
        for number, name, window in zip(numbers, names, acquisition.window, strict=True)
    }


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
    """The layers that show values of the scan in its unit: the scan itself, other scans, f(x), x̃ and their mean."""
    unit = layer_info(scan.metadata).get("unit")
    alike = [
        layer
        for layer in layers
        if _is_image(info := layer_info(layer.metadata)) and info.get("unit") == unit
    ]
    return alike if scan in alike else [scan, *alike]


def _is_image(info: dict[str, Any]) -> bool:
    return info.get("kind") in IMAGES or bool(info.get("intensity"))
