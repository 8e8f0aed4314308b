"""Colour bars of maps: a layer tuple cannot ask for one, so it is switched on when its layer arrives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari_ctinv.layers import LayerTuple, layer_info

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

_watched: WeakSet[Any] = WeakSet()


def add_layers(viewer: ViewerModel, layers: Iterable[LayerTuple]) -> list[Layer]:
    """Add layer tuples on top, maps with their colour bar; older layers of the same name stay."""
    from napari.layers import Layer

    show_in(viewer)
    return [viewer.add_layer(Layer.create(*layer)) for layer in layers]


def show_in_current_viewer() -> None:
    """Watch the current viewer, if there is one."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        show_in(viewer)


def show_in(viewer: ViewerModel) -> None:
    """Show the colour bar of every map in this viewer, now and when it is added."""
    for layer in viewer.layers:
        _show(layer)
    if viewer.layers not in _watched:
        _watched.add(viewer.layers)
        viewer.layers.events.inserted.connect(_on_inserted)


def _on_inserted(event: Any) -> None:
    _show(event.value)


def _show(layer: Any) -> None:
    if layer_info(layer.metadata).get("colorbar") and hasattr(layer, "colorbar"):
        layer.colorbar.position = "bottom_right"  # the name stands at the top
        layer.colorbar.size = (15, 110)
        layer.colorbar.visible = True
