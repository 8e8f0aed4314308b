"""Clicks on the canvas: a press that is released where it began. A drag still moves the view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Clicks:
    """Listens for clicks of the left button while it is on.

    Args:
        act: Called with the place of a click in the viewer's world.
    """

    def __init__(self, act: Callable[[tuple[float, ...]], None]) -> None:
        self._act = act

    def listen(self, viewer: ViewerModel, on: bool) -> None:
        """Begin or end to listen to a viewer."""
        callbacks = viewer.mouse_drag_callbacks
        if on and self._click not in callbacks:
            callbacks.append(self._click)
        elif not on and self._click in callbacks:
            callbacks.remove(self._click)

    def _click(self, _viewer: Any, event: Any) -> Iterator[None]:
        yield
        moved = False
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved and event.button == 1:
            self._act(tuple(event.position))
