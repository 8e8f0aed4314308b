"""The viewer of the tour: opened at the size of a small laptop, with the plugin's dock, and closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _tour.stage import SIZE, Stage

PLUGIN = "napari-ctinv"
WIDGET = "CT Invariances"


@contextmanager
def opened(out: Path, *, quick: bool, home: Path) -> Iterator[Stage]:
    """A stage with an empty viewer."""
    import napari

    from napari_ctinv.session import session_of

    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    try:
        viewer.window.resize(*SIZE)
        _dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        stage = Stage(viewer, widget, session_of(viewer), out, home, quick=quick)
        stage.pause(0.5)
        yield stage
    finally:
        viewer.close()
