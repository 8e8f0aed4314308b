"""The letters at the edges of the canvas that say where the patient lies, and the scale bar.

The viewer's world is (z, y, x) = (S, P, L) in mm, so along each axis the values grow towards superior, posterior and left.
The letters follow the order of the axes and a flipped camera. They are napari's own text overlays, so a screenshot has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

from napari.components._viewer_constants import CanvasPosition
from napari.components.overlays import TextOverlay

AXES = (("I", "S"), ("A", "P"), ("R", "L"))
"""For z, y and x the letter towards which the values fall, and that towards which they grow."""

EDGES = {
    "top": CanvasPosition.TOP_CENTER,
    "bottom": CanvasPosition.BOTTOM_CENTER,
    "left": CanvasPosition.MIDDLE_LEFT,
    "right": CanvasPosition.MIDDLE_RIGHT,
}
NAME = "ctinv_{}"


def letters_of(displayed: Sequence[int], ndim: int, orientation: Sequence[Any]) -> dict[str, str]:
    """The letter at each edge, empty where the axis is none of space.

    Args:
        displayed: The axes on the canvas, vertical before horizontal; in 3D there are three and no letters.
        ndim: Number of axes of the viewer; the last three are z, y and x.
        orientation: Where the values of the vertical and of the horizontal axis grow: down or up, right or left.
    """
    if len(displayed) != 2:
        return dict.fromkeys(EDGES, "")
    (above, below), (before, behind) = (_ends(axis - (ndim - 3)) for axis in displayed)
    if str(orientation[0]) == "up":
        above, below = below, above
    if str(orientation[1]) == "left":
        before, behind = behind, before
    return {"top": above, "bottom": below, "left": before, "right": behind}


def mark(viewer: Any, *, visible: bool = True) -> None:
    """Show letters and scale bar in a viewer, or hide them."""
    overlays = viewer.canvas.overlays
    if NAME.format("top") not in overlays:
        for edge, position in EDGES.items():
            overlays[NAME.format(edge)] = TextOverlay(
                position=position, font_size=14, box=False, color="yellow", gridded=True
            )
        _follow(viewer)
    overlays["scale_bar"].visible = visible
    _write(viewer)


def _follow(viewer: Any) -> None:
    owner = ref(viewer)

    def write(event: Any = None) -> None:
        if (found := owner()) is not None:
            _write(found)

    for event in ("order", "ndisplay", "ndim"):
        getattr(viewer.dims.events, event).connect(write)
    viewer.scene.camera.events.orientation.connect(write)


def _write(viewer: Any) -> None:
    dims, overlays = viewer.dims, viewer.canvas.overlays
    found = letters_of(dims.displayed, dims.ndim, viewer.scene.camera.orientation2d)
    shown = overlays["scale_bar"].visible
    for edge, letter in found.items():
        overlay = overlays[NAME.format(edge)]
        overlay.text = letter
        overlay.visible = bool(letter) and shown


def _ends(axis: int) -> tuple[str, str]:
    return AXES[axis] if 0 <= axis < len(AXES) else ("", "")
