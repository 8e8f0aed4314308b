"""What a layer tuple cannot ask for, done when its layer arrives: a map's colour bar, the slice where samples lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from napari_ctinv.engine.delivery import in_a_turn_of_its_own
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
    """Show the colour bar of every map in this viewer, and go to the slice of samples when they are added."""
    if viewer.layers in _watched:
        return
    _watched.add(viewer.layers)
    watched, later = ref(viewer), in_a_turn_of_its_own()

    def show_bar(layer: Any) -> None:
        owner = watched()
        if owner is not None and layer in owner.layers:
            _show_bar(layer)

    def on_inserted(event: Any) -> None:
        layer, owner = event.value, watched()
        if _has_bar(layer):
            later(lambda: show_bar(layer))  # it takes half as long to make as the layer
        if owner is not None:
            _go_to_samples(owner, layer)

    for layer in filter(_has_bar, viewer.layers):
        _show_bar(layer)

    # Last, so that the viewer knows the new layer's extent already.
    viewer.layers.events.inserted.connect(on_inserted, position="last")


def _go_to_samples(viewer: Any, layer: Any) -> None:
    if layer_info(layer.metadata).get("kind") == "samples":
        viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world([0, 0, 0, 0])[-3])


def _has_bar(layer: Any) -> bool:
    return bool(layer_info(layer.metadata).get("colorbar")) and hasattr(layer, "colorbar")


def _show_bar(layer: Any) -> None:
    layer.colorbar.position = "bottom_right"  # the name stands at the top
    layer.colorbar.size = (15, 110)
    layer.colorbar.visible = True
