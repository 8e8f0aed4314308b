"""Colour bars of maps: a layer tuple cannot ask for one, so it is switched on when its layer arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari_ctinv.layers import layer_info

if TYPE_CHECKING:
    from napari.components import ViewerModel

_watched: WeakSet[Any] = WeakSet()


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
        layer.colorbar.visible = True
