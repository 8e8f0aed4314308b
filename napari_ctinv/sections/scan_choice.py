"""Scan: which layer is studied."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, Container

from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session


class ScanChoice(Section):
    """The scan under study."""

    title = "Scan"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        model = session.scan
        self.layer = ComboBox(
            label="scan", choices=self._offered, nullable=True, tooltip="the layer with the CT, in HU"
        )
        self.add(Container(widgets=[self.layer], labels=True))
        listen(self, model.events.layers, self._on_layers)
        bind(model, "layer", self.layer)

    def _on_layers(self, _layers: Any) -> None:
        self.layer.reset_choices()

    def _offered(self, _widget: Any = None) -> list[Any]:
        return [(layer.name, layer) for layer in self.session.scan.layers]
