"""Volumes, studies and maps as layer tuples: the only place that knows layer arguments.

Every layer has its units (mm), its window, a name without any identity, and under ``metadata["ctinv"]`` its
kind, full affine and provenance. Nothing here needs a running viewer.
"""

from __future__ import annotations

from napari_ctinv.layers._image import KEY, SLICE_LABELS, LayerTuple, layer_info
from napari_ctinv.layers.marks import (
    divider_layer,
    part_layer,
    probe_layer,
    shows_intensity,
)
from napari_ctinv.layers.scan import (
    denoised_layer,
    outline_layer,
    regions_layer,
    removed_layer,
    squares_layer,
    volume_layer,
    window_limits,
)
from napari_ctinv.layers.study import (
    error_stack,
    errors_layer,
    finding_layer,
    fx_layer,
    in_view_order,
    map_layers,
    mean_layer,
    raw_layers,
    region_layer,
    result_layers,
    sample_stack,
    samples_layer,
    spread_layer,
    study_layers,
)

__all__ = [
    "KEY",
    "SLICE_LABELS",
    "LayerTuple",
    "denoised_layer",
    "divider_layer",
    "error_stack",
    "errors_layer",
    "finding_layer",
    "fx_layer",
    "in_view_order",
    "layer_info",
    "map_layers",
    "mean_layer",
    "outline_layer",
    "part_layer",
    "probe_layer",
    "raw_layers",
    "region_layer",
    "regions_layer",
    "removed_layer",
    "result_layers",
    "sample_stack",
    "samples_layer",
    "shows_intensity",
    "spread_layer",
    "squares_layer",
    "study_layers",
    "volume_layer",
    "window_limits",
]
