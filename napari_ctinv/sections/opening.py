"""Opening: which layer is the scan, how another one is opened, and what is known of it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from magicgui.widgets import ComboBox, Container
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton

from napari_ctinv.chooser import choose_series
from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section

if TYPE_CHECKING:
    from napari_ctinv.session import Session

FILES = "Scans (*.dcm *.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd);;All files (*)"


class Opening(Section):
    """Over `napari_ctinv.session.scan.ScanModel`."""

    title: ClassVar[str] = "Scan"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.scan
        self.layer = ComboBox(
            label="scan",
            choices=self._offered,
            nullable=True,
            tooltip="the layer that all tabs work on, in HU or the unit of its modality",
        )
        self.add(Container(widgets=[self.layer], labels=True))
        listen(self, self.model.events.layers, self._on_layers)
        bind(self.model, "layer", self.layer)
        self.add(self._buttons())
        self.bar = RunBar(
            self, self.model.activity, self.open_folder, tooltip="stop reading; nothing is opened"
        )
        self.bar.button.setVisible(False)
        self.add(self.bar)
        self.facts = QLabel("")
        self.facts.setWordWrap(True)
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.setToolTip("what the header of the scan says; nothing that names a patient is kept")
        self.add(self.facts)
        listen(self, self.model.events.layer, self._on_layer)
        listen(self, self.model.events.choices, self._on_choices)
        listen(self, self.model.activity.events.state, self._on_state)
        self._on_layer()

    def open_folder(self) -> None:
        """Ask for a folder and open it."""
        self._open(QFileDialog.getExistingDirectory(self, "Folder of a DICOM series, or a study (*.zarr)"))

    def open_file(self) -> None:
        """Ask for a file and open it."""
        self._open(QFileDialog.getOpenFileName(self, "DICOM file, NIfTI, NRRD or MetaImage", "", FILES)[0])

    def open(self, path: Path) -> None:
        """Open a scan or a study, and tell what is wrong with it."""
        self.guard(lambda: self.model.open(path))()

    def _open(self, path: str) -> None:
        if path:
            self.model.open(Path(path))

    def _buttons(self) -> QHBoxLayout:
        self.folder = QPushButton("Open f&older…")
        self.folder.setToolTip("a folder with one or more DICOM series, or a study (*.zarr)")
        self.folder.clicked.connect(self.guard(self.open_folder))
        self.file = QPushButton("Open &file…")
        self.file.setToolTip(
            "a DICOM file, which opens its whole series, NIfTI, NRRD or MetaImage in HU and mm"
        )
        self.file.clicked.connect(self.guard(self.open_file))
        row = QHBoxLayout()
        row.addWidget(self.folder)
        row.addWidget(self.file)
        return row

    def _on_layers(self, _layers: Any = None) -> None:
        self.layer.reset_choices()

    def _offered(self, _widget: Any = None) -> list[Any]:
        return [(layer.name, layer) for layer in self.model.layers]

    def _on_layer(self, _layer: Any = None) -> None:
        rows = "".join(
            f"<tr><td>{escape(name)}&nbsp;&nbsp;</td><td>{escape(text)}</td></tr>"
            for name, text in self.model.facts()
        )
        self.facts.setText(
            f"<table>{rows}</table>" if rows else "Open a scan, or drop its folder on the viewer."
        )

    def _on_state(self, state: str) -> None:
        self.bar.button.setVisible(state != "idle")
        for button in (self.folder, self.file):
            button.setEnabled(state == "idle")

    def _on_choices(self, choices: tuple[Any, ...]) -> None:
        """Ask once the run is over, as only then another one can begin."""
        if choices:
            QTimer.singleShot(0, self.guard(self._choose))

    def _choose(self) -> None:
        number = choose_series(self.model.choices, self.window())
        if number is not None and self.model.folder is not None:
            self.model.open(self.model.folder, number)
