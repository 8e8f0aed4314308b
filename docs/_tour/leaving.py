"""Station 7: the study leaves as a derived DICOM series, without anybody's name; and the settings."""

from __future__ import annotations

from typing import Any

from _tour.stage import Stage


def export(stage: Stage) -> None:
    """Two samples as DICOM, and all of the study as a picture."""
    section: Any = stage.section("Analyse", "Export")
    section.unfold()
    section.samples.value = "0,3"
    section.target.edit.value = stage.home / "derived"
    with stage.watched("exporting"):
        stage.run(section, stage.session.export.activity)
        stage.pause(0.3)
    stage.session.export.target = None  # a folder of this machine is nothing for a picture
    stage.section("Analyse", "Export")
    stage.picture("export")
    stage.figures["exported_files"] = sum(path.is_file() for path in (stage.home / "derived").rglob("*"))


def preferences(stage: Stage) -> None:
    """The page of the plugin in napari's Preferences."""
    dialog = stage.viewer.window._open_preferences_dialog()
    stage.pause(0.5)
    rows = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    dialog._list.setCurrentRow(rows.index("CT Invariances"))
    dialog.resize(820, 560)
    stage.shown = None
    stage.picture("preferences", dialog=dialog, shows_canvas=False)
    dialog.close()
