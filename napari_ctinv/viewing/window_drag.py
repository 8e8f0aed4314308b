"""Window by mouse: sideways changes the width, up and down the centre, as in other viewers of CT.

A drag begins with Ctrl and the right button, or in the mode of the tab with the left button alone. Everything else the mouse
does in napari stays as it is: zoom by wheel, and pan and the tools of a layer outside the mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ctinv.windows import Window

PIXELS_PER_WIDTH = 200.0
"""A drag over as many pixels changes width or centre by one width; so a narrow window is changed gently."""

SMALLEST_WIDTH = 1.0
LEFT, RIGHT = 1, 2


class Dragged(Protocol):
    """What a drag changes: the levels, which are None where there is no scan."""

    dragging: bool
    levels: Window | None


def window_drag(model: Dragged) -> Callable[[Any, Any], Iterator[None]]:
    """A mouse callback for ``viewer.mouse_drag_callbacks``."""

    def drag(viewer: Any, event: Any) -> Iterator[None]:
        start = model.levels
        if start is None or not _begins(viewer, event, model.dragging):
            return
        event.handled = True  # or the camera would pan or zoom as well
        x, y = (float(value) for value in event.pos)
        yield
        while event.type == "mouse_move":
            model.levels = dragged(start, float(event.pos[0]) - x, float(event.pos[1]) - y)
            event.handled = True
            yield
        event.handled = True

    return drag


def dragged(start: Window, right: float, down: float) -> Window:
    """The window after a drag over so many pixels: wider to the right, darker downwards."""
    step = start.width / PIXELS_PER_WIDTH
    width = max(SMALLEST_WIDTH, round(start.width + right * step, 1))
    return Window(round(start.centre + down * step, 1), width)


def _begins(viewer: Any, event: Any, dragging: bool) -> bool:
    modifiers = {str(getattr(modifier, "name", modifier)) for modifier in event.modifiers}
    if event.button == RIGHT:
        return modifiers == {"Control"}
    active = viewer.layers.selection.active
    free = active is None or str(active.mode) == "pan_zoom"  # other modes draw, and keep their mouse
    return dragging and event.button == LEFT and not modifiers and free
