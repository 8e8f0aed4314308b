"""Network: which denoiser is studied; asks before a network runs code."""

from __future__ import annotations

from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, LineEdit
from qtpy.QtCore import QTimer

from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._paths import PathField, SourceField, is_function
from napari_ctinv.sections._section import Section
from napari_ctinv.sections._trust import TrustDialog
from napari_ctinv.session import Session
from napari_ctinv.session.network import NEVER
from napari_ctinv.work.network import TrustQuestion

SETTLE_MS = 500
"""A path is looked at once it has not been typed at for so long."""


class Network(Section):
    """A shipped denoiser, or one of the user's own."""

    title = "Network"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.network
        self.dialog: TrustDialog | None = None
        self.name = ComboBox(label="denoiser", choices=self.model.names, tooltip="a shipped network")
        self.own = SourceField(
            "or your own",
            "your own denoiser: a .safetensors, .pt, .pth, .ckpt, .onnx or .pt2 file, the folder of a MONAI bundle, or "
            "module:function of an installed package; leave empty to use the one above",
        )
        self.network_class = LineEdit(
            label="its class",
            tooltip="class of a file of weights where the file does not tell it: CNN10, WGANVGG, REDCNN, DUGAN, "
            "NoiseSubtractionResNet, IRLNet, or monai.networks.nets.… ; empty: found by the names of the tensors",
        )
        self.card = PathField(
            "its card",
            FileDialogMode.EXISTING_FILE,
            "TOML or JSON file with what a file of weights does not say: HU convention, slices, taps; empty: the card "
            "beside the file, NAME.card.toml",
        )
        fields = [self.name, self.own.edit, self.network_class, self.card.edit]
        self.add(Container(widgets=fields, labels=True))
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._look)
        self._connect()

    def _connect(self) -> None:
        model = self.model
        bind(model, "name", self.name)
        bind(model, "network_class", self.network_class)
        self.own.bind(model, "own")
        self.card.bind(model, "card")
        listen(self, model.events.own, self._on_own)
        for signal in (model.events.own, model.events.network_class, model.events.card):
            listen(self, signal, self._on_source)
        listen(self, model.events.question, self._ask)
        listen(self, model.activity.events.message, self._on_message)
        self._on_own(model.own)

    def _on_own(self, own: Any) -> None:
        for one in (self.network_class, self.card.edit):
            one.visible = own is not None

    def _on_source(self, _value: Any) -> None:
        self.say("")
        self._settle.start()

    def _look(self) -> None:
        """Look at a network of the user's own, once what is typed can be one."""
        own = self.model.own
        if own is None:
            return
        if own.exists() or is_function(own):
            self.model.inspect()
        else:
            self.say(f"there is no file or folder {own.name[:60]!r}.")

    def _on_message(self, message: str) -> None:
        if message:
            self.say(message)

    def _ask(self, question: TrustQuestion | None) -> None:
        if question is None:
            return
        self.dialog = TrustDialog(question, self)
        self.dialog.answered.connect(self._answer)
        self.dialog.open()

    def _answer(self, choice: str) -> None:
        question = self.model.question
        self.guard(lambda: self.model.answer(choice))()
        if choice == NEVER and question is not None:
            self.say(f"{question.name[:60]} was not loaded, and nothing of it was run.")
