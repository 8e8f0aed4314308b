"""Export: a study for other programs."""

from __future__ import annotations

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, LineEdit
from qtpy.QtWidgets import QLabel

from ctinv.export import FORMATS
from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._paths import PathField
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.export import PHRASE

_TICKS = {
    "scan": ("images", "x", "the scan over the region, HU"),
    "denoised": ("images", "f(x)", "the denoised image over the region, HU"),
    "mean": ("images", "mean of x̃", "mean of all samples, HU"),
    "spread": ("maps", "spread", "standard deviation over the samples, HU"),
    "worst": ("maps", "worst error", "largest feed-back error |f(x̃) − f(x)| over the samples, HU"),
    "eta": ("maps", "η", "lesion map: the share of a lesion's detectability that f keeps, 0 to 1"),
}


class Export(Section):
    """Choose a format and what goes into it, name the target, press Export."""

    title = "Export"
    unfolded = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        model = session.export
        self.format = ComboBox(
            label="format",
            choices=FORMATS,
            tooltip="dicom: derived CT series, one for each sample; parametric-map: maps as DICOM with their unit; "
            "nifti and ome-zarr: everything; png and svg: the overview figure",
        )
        self.samples = LineEdit(label="samples", tooltip="all, none, or numbers such as 0,3,5")
        self.ticks = {name: CheckBox(text=text, tooltip=tip) for name, (_kind, text, tip) in _TICKS.items()}
        self.add(Container(widgets=[self.format, self.samples], labels=True))
        for kind in ("images", "maps"):
            row = [self.ticks[name] for name, (of, _text, _tip) in _TICKS.items() if of == kind]
            self.add(Container(widgets=row, layout="horizontal", labels=False))
        self.study = PathField(
            "study", FileDialogMode.EXISTING_DIRECTORY, "folder of a study; empty for the one on the screen"
        )
        self.target = PathField(
            "target",
            FileDialogMode.OPTIONAL_FILE,
            "what comes into being: a folder, or a file for png and svg; nothing is overwritten",
        )
        self.add(Container(widgets=[self.study.edit, self.target.edit], labels=True))
        self.template = PathField(
            "file of scan",
            FileDialogMode.EXISTING_FILE,
            "a DICOM file of the scan, only where the patient's identity shall be taken over from it; usually empty",
        )
        self.words = LineEdit(
            label="in words",
            tooltip=f"nobody's identity is written unless you type here: {PHRASE}",
        )
        hint = QLabel(
            f"Nobody's identity is written. To take it over, name a file of the scan and type: {PHRASE}"
        )
        hint.setWordWrap(True)
        self.add(hint)
        self.add(Container(widgets=[self.template.edit, self.words], labels=True))
        self.study.edit.line_edit.native.setPlaceholderText("the one on the screen")
        self.words.native.setPlaceholderText("empty: nobody's")
        self.bar = RunBar(
            self, model.activity, model.run, tooltip="write it, whole or not at all, over nothing that exists"
        )
        self.add(self.bar)
        for name, widget in {
            "format": self.format,
            "samples": self.samples,
            "words": self.words,
            **self.ticks,
        }.items():
            bind(model, name, widget)
        for name in ("study", "target", "template"):
            getattr(self, name).bind(model, name)
        listen(self, model.events.format, self._offer)
        listen(self, model.events.said, self.say)
        self._offer()

    def _offer(self, *_format: str) -> None:
        """Grey out what the format does not hold."""
        takes = self.session.export.takes
        self.samples.enabled = "samples" in takes
        for name, (kind, _text, _tip) in _TICKS.items():
            self.ticks[name].enabled = kind in takes
        dicom = self.session.export.format in ("dicom", "parametric-map")
        self.template.edit.enabled = self.words.enabled = dicom
