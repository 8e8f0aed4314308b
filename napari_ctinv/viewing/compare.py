"""Ways to compare layers: side by side, blinking, and one cut into the other. Each can be left without a trace.

They work on napari's model of a viewer, with or without a window; time and mouse are the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ctinv.errors import InputError
from napari_ctinv.layers import divider_layer, layer_info, part_layer, shows_intensity
from napari_ctinv.viewing.cut import Checkerboard, Cut, Part, Swipe
from napari_ctinv.viewing.stage import Stage

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

MARGIN = 0.95
"""Share of the canvas that two layers fill at first."""

REACH = 12
"""How close to the divider a mouse must press to take hold of it, in pixels of the screen."""


class Comparison(Protocol):
    """One way to compare that is in force."""

    layers: tuple[Layer, ...]

    def leave(self) -> None:
        """End it and put back what was there."""
        ...


class SideBySide:
    """Layers in a grid with their names, zoomed to the region; those that show intensities share one window.

    Args:
        viewer: The viewer.
        layers: In the order of the cells; the first sets the window.
        fit: Layers to which the view is fitted; all by default.
    """

    def __init__(self, viewer: ViewerModel, layers: Sequence[Image], fit: Sequence[Layer] = ()) -> None:
        self.layers = tuple(layers)
        self._viewer, self._stage = viewer, Stage(viewer)
        self._stage.arrange(layers)
        self._stage.show_only(layers, named=True)
        self._linked = link_windows(viewer, layers)
        grid = viewer.canvas.grid
        grid.stride, grid.shape, grid.enabled = 1, (-1, -1), True
        viewer.reset_view(layers=list(fit or layers), margin=0.05)

    def leave(self) -> None:
        """Put windows, grid and order back."""
        unlink_windows(self._viewer, self._linked)
        self._stage.restore()


class Blink:
    """Two layers shown in turn, in one place and one window.

    Args:
        viewer: The viewer.
        below: The layer that is shown first.
        above: The other one.
    """

    def __init__(self, viewer: ViewerModel, below: Image, above: Image) -> None:
        self.layers = (below, above)
        self._viewer, self._stage = viewer, Stage(viewer)
        self._stage.show_only((below,))
        for layer in self.layers:
            self._stage.name(layer)
        self._linked = link_windows(viewer, (below, above))
        fit_pair(viewer, below, above)

    @property
    def shown(self) -> Layer:
        """The layer that is seen now."""
        return self.layers[1] if self.layers[1].visible else self.layers[0]

    def tick(self) -> None:
        """Show the other one."""
        below, above = self.layers
        above.visible = not above.visible
        below.visible = not above.visible

    def leave(self) -> None:
        """Put visibility and windows back."""
        unlink_windows(self._viewer, self._linked)
        self._stage.restore()


class CutIn:
    """One layer seen through a cut over another one, each with its own colours.

    The cut part is a layer of its own, computed where it is shown; both layers stay what they are.

    Args:
        viewer: The viewer.
        below: The layer that is seen everywhere else.
        above: The layer that is cut.
        cut: Where it is seen.
    """

    def __init__(self, viewer: ViewerModel, below: Image, above: Image, cut: Cut) -> None:
        from napari.layers import Layer

        self.layers: tuple[Layer, ...] = (below, above)
        self._viewer, self._stage = viewer, Stage(viewer)
        self._part = Part(above, cut)
        self.part = viewer.add_layer(Layer.create(*part_layer(above, self._part)))
        self._stage.show_only((below, self.part))
        self._linked = link_windows(viewer, (below, above))
        viewer.layers.link_layers([above, self.part], ("contrast_limits", "colormap", "gamma"))
        above.events.data.connect(self._follow)
        viewer.layers.selection.active = above
        fit_pair(viewer, below, above)

    @property
    def cut(self) -> Cut:
        """Where the upper layer is seen."""
        return self._part.cut

    @cut.setter
    def cut(self, cut: Cut) -> None:
        self._part.cut = cut
        self.part.refresh(extent=False, thumbnail=False)

    def _follow(self, _event: Any = None) -> None:
        self.part.data = self._part

    def leave(self) -> None:
        """Take the part away and put visibility and windows back."""
        self.layers[1].events.data.disconnect(self._follow)
        unlink_windows(self._viewer, self._linked)
        if self.part in self._viewer.layers:
            self._viewer.layers.remove(self.part)
        self._stage.restore()


class SwipeOver(CutIn):
    """A divider that can be dragged: right of it the upper layer, left of it the lower one.

    Args:
        viewer: The viewer.
        below: The layer on the left.
        above: The layer on the right.
        share: Where the divider stands, as a share of the upper layer's width.
        moved: Told the share when the mouse has moved the divider.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        below: Image,
        above: Image,
        share: float,
        moved: Callable[[float], None] = lambda share: None,
    ) -> None:
        from napari.layers import Layer

        self._left, self._right, self._top, self._bottom = bounds(above)
        self._moved = moved
        super().__init__(viewer, below, above, Swipe(self._position(share)))
        self.line = viewer.add_layer(
            Layer.create(*divider_layer(self._ends(share), (self._right - self._left) / 200))
        )
        viewer.layers.selection.active = above
        viewer.mouse_drag_callbacks.append(self._drag)

    @property
    def share(self) -> float:
        """Where the divider stands, from 0 at the left end of the upper layer to 1 at its right end."""
        cut = self.cut
        assert isinstance(cut, Swipe)
        return (cut.x - self._left) / (self._right - self._left)

    @share.setter
    def share(self, share: float) -> None:
        share = min(1.0, max(0.0, share))
        self.cut = Swipe(self._position(share))
        self.line.data = self._ends(share)

    def leave(self) -> None:
        """Take the divider away too."""
        self._viewer.mouse_drag_callbacks.remove(self._drag)
        if self.line in self._viewer.layers:
            self._viewer.layers.remove(self.line)
        super().leave()

    def _position(self, share: float) -> float:
        return self._left + share * (self._right - self._left)

    def _ends(self, share: float) -> np.ndarray:
        """(1, 2, 2) the divider as a start (y, x) and a direction in mm."""
        return np.array([[[self._top, self._position(share)], [self._bottom - self._top, 0.0]]])

    def _drag(self, viewer: Any, event: Any) -> Any:
        """Take hold of the divider where the mouse presses it; elsewhere the view is moved as always."""
        camera = viewer.scene.camera
        if abs(event.position[-1] - self._position(self.share)) * camera.zoom > REACH:
            return
        panned, camera.mouse_pan = camera.mouse_pan, False
        try:
            yield
            while event.type == "mouse_move":
                self.share = (event.position[-1] - self._left) / (self._right - self._left)
                self._moved(self.share)
                yield
        finally:
            camera.mouse_pan = panned


def checkerboard(layer: Image, tile: float) -> Checkerboard:
    """Tiles over a layer, the first one at its corner.

    Args:
        layer: The layer that is cut.
        tile: Edge of a tile in mm.

    Raises:
        InputError: A tile would be smaller than a voxel.
    """
    smallest = float(np.abs(layer.scale[-2:]).max())
    if tile < smallest:
        raise InputError(f"a tile of {tile:g} mm is smaller than a voxel; choose at least {smallest:.3g} mm.")
    left, _right, top, _bottom = bounds(layer)
    return Checkerboard(tile, (top, left))


def bounds(layer: Image) -> tuple[float, float, float, float]:
    """Left, right, top and bottom edge of a layer in mm."""
    (height, width), (dy, dx) = layer.data.shape[-2:], layer.scale[-2:]
    y0, x0 = layer.translate[-2:]
    xs = sorted((float(x0 - dx / 2), float(x0 + (width - 0.5) * dx)))
    ys = sorted((float(y0 - dy / 2), float(y0 + (height - 0.5) * dy)))
    return xs[0], xs[1], ys[0], ys[1]


def check_pair(below: Image, above: Image) -> None:
    """Raise InputError unless two layers can be compared in one place."""
    if below is above:
        raise InputError("choose two different layers to compare.")
    for layer in (below, above):
        if getattr(layer, "rgb", False) or layer.multiscale:
            raise InputError(f"{layer.name} is no grey-value image; choose a scan, samples or a map.")
    left, right, top, bottom = bounds(below)
    other = bounds(above)
    if min(right, other[1]) <= max(left, other[0]) or min(bottom, other[3]) <= max(top, other[2]):
        raise InputError(f"{below.name} and {above.name} do not overlap, so there is nothing to compare.")


def fit_pair(viewer: ViewerModel, below: Image, above: Image) -> None:
    """Zoom to what two layers have in common; a view along another axis stays as it is."""
    ndim = viewer.dims.ndim
    if tuple(viewer.dims.displayed) != (ndim - 2, ndim - 1):
        return
    (l0, r0, t0, b0), (l1, r1, t1, b1) = bounds(below), bounds(above)
    left, right, top, bottom = max(l0, l1), min(r0, r1), max(t0, t1), min(b0, b1)
    height, width = viewer.canvas.size
    camera = viewer.scene.camera
    camera.center = (camera.center[0], (top + bottom) / 2, (left + right) / 2)
    camera.zoom = MARGIN * min(height / (bottom - top), width / (right - left))


def link_windows(viewer: ViewerModel, layers: Sequence[Image]) -> list[Image]:
    """Give all layers that show intensities the window of the first of them, now and from now on.

    Returns:
        The linked layers, for `unlink_windows`.
    """
    linked = [layer for layer in layers if shows_intensity(layer_info(layer.metadata))]
    for layer in linked[1:]:
        layer.contrast_limits = linked[0].contrast_limits
    if len(linked) > 1:
        viewer.layers.link_layers(linked, ("contrast_limits",))
    return linked


def unlink_windows(viewer: ViewerModel, layers: Sequence[Image]) -> None:
    """Let each go its own way again."""
    if len(layers) > 1:
        viewer.layers.unlink_layers(layers, ("contrast_limits",))
