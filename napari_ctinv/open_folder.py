"""The menu entry that opens a DICOM folder or a study: napari's own reader would fail on both."""

from __future__ import annotations

import napari


def open_folder(viewer: napari.Viewer) -> None:
    """Ask for a folder and open it with this plugin."""
    from qtpy.QtWidgets import QFileDialog

    folder = QFileDialog.getExistingDirectory(None, "Folder of one CT series, or a study (*.zarr)")
    if folder:
        viewer.open(folder, plugin="napari-ctinv")
