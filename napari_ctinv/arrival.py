"""What a layer tuple cannot ask for, done when its layer arrives: a map's colour bar, the slice where samples lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from napari_ctinv.layers import LayerTuple, layer_info

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

_watched: WeakSet[Any] = WeakSet()


def add_layers(
    viewer: ViewerModel, layers: Iterable[LayerTuple], *, below: Layer | None = None
) -> list[Layer]:
    """Add layer tuples, maps with their colour bar; older layers of the same name stay.

    Args:
        viewer: The viewer.
        layers: What to add, the lowest first.
        below: They go directly below this layer; on top of all where it is None or gone.
    """
    from napari.layers import Layer

    show_in(viewer)
    added = []
    for layer in layers:
        place = viewer.layers.index(below) if below in viewer.layers else len(viewer.layers)
        added.append(Layer.create(*layer))
        viewer.layers.insert(place, added[-1])
    return added


def show_in_current_viewer() -> None:
    """Watch the current viewer, if there is one."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        show_in(viewer)


def show_in(viewer: ViewerModel) -> None:
    """Show the colour bar of every map that is seen in this viewer, and go to the slice of samples when they are added."""
    if viewer.layers in _watched:
        return
    _watched.add(viewer.layers)
    watched = ref(viewer)

    def on_inserted(event: Any) -> None:
        _give_bar(event.value)
        owner = watched()
        if owner is not None:
            _go_to_samples(owner, event.value)

    for layer in viewer.layers:
        _give_bar(layer)

    # Last, so that the viewer knows the new layer's extent already.
    viewer.layers.events.inserted.connect(on_inserted, position="last")


def _go_to_samples(viewer: Any, layer: Any) -> None:
    if layer_info(layer.metadata).get("kind") == "samples":
        viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world([0, 0, 0, 0])[-3])


def _give_bar(layer: Any) -> None:
    """Show the bar of a map when the map is first seen: to make one takes as long as to make the layer."""
    if not layer_info(layer.metadata).get("colorbar") or not hasattr(layer, "colorbar"):
        return
    if layer.visible:
        _show_bar(layer)
        return

    def on_visible(_event: Any) -> None:
        if not layer.visible:  # hidden again, which napari tells as well
            return
        layer.events.visible.disconnect(on_visible)
        _show_bar(layer)

    layer.events.visible.connect(on_visible)


def _show_bar(layer: Any) -> None:
    layer.colorbar.position = "bottom_right"  # the name stands at the top
    layer.colorbar.size = (15, 110)
    layer.colorbar.visible = True
