"""Denoise: f(x) of the visible slice or of the whole scan."""

from __future__ import annotations

from magicgui.widgets import ComboBox, Container

from napari_ctinv.sections._bind import bind
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.denoise import VISIBLE, WHOLE


class Denoising(Section):
    """Choose what to denoise, press Denoise."""

    title = "Denoise"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        model = session.denoise
        self.slices = ComboBox(
            label="slices", choices=(WHOLE, VISIBLE), tooltip="the whole scan, or the slice that is seen"
        )
        self.add(Container(widgets=[self.slices], labels=True))
        self.bar = RunBar(
            self, model.activity, model.run, tooltip="f(x), in the window of the scan, and x − f(x), hidden"
        )
        self.add(self.bar)
        bind(model, "slices", self.slices)
