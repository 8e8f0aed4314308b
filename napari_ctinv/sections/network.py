"""Network: which denoiser is studied."""

from __future__ import annotations

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container

from napari_ctinv.sections._bind import bind
from napari_ctinv.sections._paths import PathField
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session


class Network(Section):
    """A shipped denoiser, or one of the user's own."""

    title = "Network"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        model = session.network
        self.name = ComboBox(label="denoiser", choices=model.names, tooltip="a shipped network")
        self.own = PathField(
            "or your own",
            FileDialogMode.EXISTING_DIRECTORY,
            "your own denoiser: folder of a MONAI bundle, or the typed path of a .safetensors, .pt or .onnx file, with its "
            "card beside it; leave empty to use the one above",
        )
        self.add(Container(widgets=[self.name, self.own.edit], labels=True))
        bind(model, "name", self.name)
        self.own.bind(model, "own")
