"""Sample: region, tap, generator, tier, and the button."""

from __future__ import annotations

from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, SpinBox
from napari.layers import Shapes
from qtpy.QtWidgets import QPushButton

from ctinv.generators.kinds import TRAINING_FREE
from napari_ctinv.sections._bind import bind, listen, offer
from napari_ctinv.sections._estimate import EstimateLine
from napari_ctinv.sections._paths import PathField
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.invariances import DRAWN, REGIONS, WHOLE

TIERS = {"T0 numeric": "T0", "T1 DICOM": "T1", "T2 display": "T2", "T3 noise": "T3"}


class Sampling(Section):
    """What to sample."""

    title = "Sample"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        model = session.invariances
        self.region = ComboBox(
            label="region",
            choices=REGIONS,
            tooltip="a square of voxels at the centre of the view, a rectangle that is drawn or placed by a click, or the "
            "whole slice",
        )
        self.edge = SpinBox(
            label="edge", min=8, max=2048, value=model.edge, tooltip="edge of the square, in voxels"
        )
        self.pick = QPushButton("Place the s&quare by a click")
        self.pick.setCheckable(True)
        self.pick.setToolTip("the next click on the image is the middle of a square of this edge, the region")
        self.shapes = ComboBox(
            label="drawn in",
            choices=self._drawings,
            nullable=True,
            tooltip="the Shapes layer that holds the rectangle",
        )
        self.tap = ComboBox(
            label="tap",
            choices=session.network.taps,
            tooltip="the layer whose representation must stay; output is the denoised image itself",
        )
        self.generator = ComboBox(
            label="generator",
            choices=TRAINING_FREE,
            tooltip="who proposes candidates. renoise: noise on f(x); metamer: feature matching from noise; the others are "
            "trained for a denoiser and a tap. vae_y makes images as f should make them: shown, not fed back",
        )
        self.own = PathField(
            "or its bundle",
            FileDialogMode.EXISTING_DIRECTORY,
            "a generator you trained: the bundle folder that training wrote; leave empty to use the one above",
        )
        self.n = SpinBox(
            label="samples",
            min=1,
            max=100_000,
            value=model.n,
            tooltip="how many samples the study shall hold",
        )
        self.tier = ComboBox(
            label="tier",
            choices=list(TIERS.items()),
            value=model.tier,
            tooltip="how closely f(x̃) must agree with f(x). T0: the same numbers; T1: the same integer HU; T2: the same "
            "8-bit picture; T3: within the noise",
        )
        self.seed = SpinBox(
            label="seed", min=0, max=2**31 - 1, tooltip="sample k depends on the seed and on k only"
        )
        self.folder = PathField(
            "study",
            FileDialogMode.OPTIONAL_FILE,
            "folder to write or to continue; empty: in your data folder, named by its key",
        )
        fields = [self.region, self.edge, self.shapes, self.tap, self.generator, self.own.edit]
        self.add(Container(widgets=[*fields, self.n, self.tier, self.seed, self.folder.edit], labels=True))
        self.add(self.pick)
        self.estimate = EstimateLine(session)
        self.add(self.estimate)
        self.bar = RunBar(
            self,
            model.activity,
            model.run,
            tooltip="draw samples and feed each one back; what is finished is kept",
        )
        self.add(self.bar)
        self._connect()

    def _connect(self) -> None:
        model, network = self.session.invariances, self.session.network
        for name in ("region", "edge", "tap", "generator", "n", "tier", "seed", "shapes"):
            bind(model, name, getattr(self, name))
        self.own.bind(model, "own_generator")
        self.folder.bind(model, "folder")
        listen(self, model.events.region, self._on_region)
        listen(self, model.events.notice, self.say)
        self.pick.toggled.connect(self._on_pick)
        listen(self, model.events.picking, lambda on: self.pick.setChecked(on))
        self._on_region(model.region)
        for signal in (network.events.name, network.events.own, network.events.facts, model.events.tap):
            listen(self, signal, self._on_network)
        self._on_network()
        layers = self.session.viewer.layers.events
        for signal in (layers.inserted, layers.removed):
            listen(self, signal, self._on_layers, position="last")

    def _on_region(self, region: str) -> None:
        self.edge.visible = region != WHOLE
        self.shapes.visible = region == DRAWN

    def _on_pick(self, on: bool) -> None:
        self.session.invariances.picking = on

    def _on_network(self, _value: Any = None) -> None:
        network = self.session.network
        offer(self.tap, network.taps)
        offer(self.generator, network.generators(self.session.invariances.tap))

    def _on_layers(self, event: Any) -> None:
        if isinstance(event.value, Shapes):
            self.shapes.reset_choices()
            if self.session.invariances.shapes is not None:
                self.shapes.value = self.session.invariances.shapes

    def _drawings(self, _widget: Any = None) -> list[tuple[str, Shapes]]:
        layers = self.session.viewer.layers
        return [(layer.name, layer) for layer in layers if isinstance(layer, Shapes)]
