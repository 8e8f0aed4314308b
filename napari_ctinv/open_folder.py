"""The menu entry that opens a DICOM folder or a study: napari's own reader would fail on both."""

from __future__ import annotations

from pathlib import Path

import napari


def open_folder(viewer: napari.Viewer) -> None:
    """Ask for a folder, and for one of its series where it holds several, and open it with this plugin."""
    from qtpy.QtWidgets import QFileDialog, QInputDialog

    from napari_ctinv.arrival import add_layers
    from napari_ctinv.series import choices, chosen_layer

    folder = QFileDialog.getExistingDirectory(None, "Folder of one CT series, or a study (*.zarr)")
    if not folder:
        return
    lines = choices(Path(folder))
    if not lines:
        viewer.open(folder, plugin="napari-ctinv")
        return
    line, accepted = QInputDialog.getItem(
        None, "Several series", "Which one shall be opened?", lines, 0, False
    )
    if accepted:
        add_layers(viewer, [chosen_layer(Path(folder), line)])
