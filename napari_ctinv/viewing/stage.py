"""What a viewer shows, taken down so that it can be put back: visibility, order, windows, grid, camera."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class Stage:
    """The state of a viewer at the time this is made.

    Args:
        viewer: The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._order = list(viewer.layers)
        self._visible = {layer: layer.visible for layer in viewer.layers}
        self._named = {layer: (layer.name, layer.name_overlay.visible) for layer in viewer.layers}
        self._limits = {
            layer: tuple(layer.contrast_limits)
            for layer in viewer.layers
            if hasattr(layer, "contrast_limits")
        }
        grid, camera = viewer.canvas.grid, viewer.scene.camera
        self._grid = {name: getattr(grid, name) for name in ("enabled", "shape", "stride", "spacing")}
        self._camera = (tuple(camera.center), camera.zoom)
        self._active = viewer.layers.selection.active

    def show_only(self, layers: Collection[Layer], *, named: bool = False) -> None:
        """Show these layers and hide all others; with their names on the canvas where that is asked."""
        for layer in self._viewer.layers:
            _show(layer, on=layer in layers)
            self.name(layer, on=named and layer in layers)

    @staticmethod
    def name(layer: Layer, *, on: bool = True) -> None:
        """Write the name of a layer over its picture.

        The canvas draws letters one by one and loses a tilde that stands above one: f(x̃) − f(x) would read f(x) − f(x).
        """
        if on:
            layer.name = layer.name.replace("x̃", "x˜").replace("ỹ", "y˜")
        layer.name_overlay.visible = on

    def arrange(self, layers: Sequence[Layer]) -> None:
        """Put these layers on top of all others, in this order from below."""
        there = self._viewer.layers
        for layer in layers:
            there.move(there.index(layer), len(there))

    def restore(self) -> None:
        """Put back what was; layers that came since stay as they are, on top."""
        viewer, there = self._viewer, self._viewer.layers
        viewer.canvas.grid.enabled = False  # while layers move, no cell has to be laid out
        for place, layer in enumerate(layer for layer in self._order if layer in there):
            if there[place] is not layer:
                there.move(there.index(layer), place)
        for name, value in self._grid.items():
            setattr(viewer.canvas.grid, name, value)
        for layer in there:
            self._restore_layer(layer)
        viewer.scene.camera.center, viewer.scene.camera.zoom = self._camera
        if self._active in there:
            there.selection.active = self._active

    def _restore_layer(self, layer: Any) -> None:
        if layer not in self._visible:
            return
        layer.name, layer.name_overlay.visible = self._named[layer]
        _show(layer, on=self._visible[layer])
        if layer in self._limits and tuple(layer.contrast_limits) != self._limits[layer]:
            layer.contrast_limits = self._limits[layer]


def _show(layer: Layer, *, on: bool) -> None:
    """Show or hide a layer; napari lays the whole canvas out anew even where nothing changes."""
    if layer.visible != on:
        layer.visible = on
