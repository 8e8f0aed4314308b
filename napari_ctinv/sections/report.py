"""Report: the page about a study that one can sign, in one click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import Container
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QLabel, QPushButton

from ctinv.errors import InputError
from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._paths import PathField
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session


class Report(Section):
    """Where the report goes, the button, and what it says."""

    title = "Report"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = model = session.report
        self.folder = PathField(
            "folder",
            FileDialogMode.EXISTING_DIRECTORY,
            "where report.html and its record report.json go; empty: a folder beside the study",
        )
        self.add(Container(widgets=[self.folder.edit], labels=True))
        self.folder.bind(model, "folder")
        self.bar = RunBar(
            self,
            model.activity,
            model.run,
            tooltip="what was asked, what holds, eight figures, limits and provenance, in one HTML file",
        )
        self.add(self.bar)
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.add(self.verdict)
        self.open_button = QPushButton("Open in the browser")
        self.open_button.setToolTip("open report.html in the browser of this computer")
        self.open_button.clicked.connect(self.guard(self._open))
        self.add(self.open_button)
        listen(self, model.events.page, self._on_page)
        listen(self, model.events.verdict, lambda verdict: self.verdict.setText(verdict))
        self._on_page(model.page)
        self.verdict.setText(model.verdict)

    def _on_page(self, page: Path | None) -> None:
        self.open_button.setVisible(page is not None)
        self.verdict.setVisible(page is not None)
        if page is not None:
            self.reveal(self.open_button)

    def _open(self) -> Any:
        page = self._model.page
        if page is None or not page.is_file():
            raise InputError("the report is no longer where it was written; write it again.")
        return QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
