"""Layers side by side: one cell per layer with its name and colour bar, all zoomed to the same place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_ctinv.layers import layer_info

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


def side_by_side(viewer: ViewerModel, layers: Sequence[Layer]) -> None:
    """Show the given layers in a grid, zoomed to the region; others are hidden.

    Args:
        viewer: The viewer that holds the layers.
        layers: The scan and the results over its region; the view is fitted to all but the first.
    """
    for layer in viewer.layers:
        layer.visible = layer in layers
        layer.name_overlay.visible = layer in layers
    viewer.canvas.grid.enabled = True
    viewer.reset_view(layers=list(layers[1:]) or None, margin=0.1)


def on_top_of_each_other(viewer: ViewerModel) -> None:
    """Leave the grid; images are shown again, maps wait for a click on their eye."""
    viewer.canvas.grid.enabled = False
    for layer in viewer.layers:
        layer.name_overlay.visible = False
        layer.visible = layer_info(layer.metadata).get("kind") != "map"
    viewer.reset_view()
