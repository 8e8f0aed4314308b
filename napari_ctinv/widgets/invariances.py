"""Invariances: sample what the denoiser cannot tell from the scan, certified, stored and over the scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, FileEdit, SpinBox
from napari.layers import Image, Layer, Shapes
from qtpy.QtWidgets import QLabel, QPushButton

from ctinv.errors import InputError, ModelError
from ctinv.generators.kinds import TRAINING_FREE
from ctinv.volume import Box, Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.catalogue import generators_of, taps_of
from napari_ctinv.compare import on_top_of_each_other, side_by_side
from napari_ctinv.layers import fx_layer, outline_layer, sample_stack, samples_layer
from napari_ctinv.selection import box_around, box_from_shape, visible_height, volume_of, whole_slice
from napari_ctinv.steps import SampleRequest, SampleWork
from napari_ctinv.widgets._choices import (
    bundle_edit,
    chosen_denoiser,
    chosen_path,
    denoiser_box,
    device_box,
    generator_edit,
    path_edit,
)
from napari_ctinv.widgets._panel import Panel
from napari_ctinv.widgets.certificates import CertificateTable, progress_line, summary_line
from napari_ctinv.worker import Outcome

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ctinv.sampler import Store

CENTRE, WHOLE = "64 x 64 at the centre of the view", "whole visible slice"
TIERS = {"T0 numeric": "T0", "T1 DICOM": "T1", "T2 display": "T2", "T3 noise": "T3"}


class InvariancesWidget(Panel):
    """Choose a layer, a denoiser, a tap and a region, press Sample; the table fills while samples arrive."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, title="Sample invariances")
        self.image = ComboBox(label="scan", choices=self.image_choices)
        self.region = ComboBox(label="region", choices=self._region_choices)
        self.denoiser = denoiser_box()
        self.bundle = bundle_edit()
        self.tap = ComboBox(label="tap", choices=self._tap_choices)
        self.generator = ComboBox(label="generator", choices=self._generator_choices)
        self.own_generator = generator_edit()
        self.n = SpinBox(label="samples", value=250, min=1, max=100_000)
        self.tier = ComboBox(label="tier", choices=list(TIERS.items()), value="T2")
        self.seed = SpinBox(label="seed", value=0, min=0, max=2**31 - 1)
        self.device = device_box()
        tooltip = "folder to write or to continue; empty: in your data folder, named by its key"
        self.study = path_edit("study", FileDialogMode.OPTIONAL_FILE, tooltip)
        self._explain()
        fields = [
            self.image,
            self.region,
            self.denoiser,
            self.bundle,
            self.tap,
            self.generator,
            self.own_generator,
        ]
        fields += [self.n, self.tier, self.seed, self.device, self.study]
        self.denoiser.changed.connect(self._reset_taps)
        self.bundle.changed.connect(self._reset_taps)
        self.tap.changed.connect(self._reset_generators)
        self.line = QLabel("")
        self.line.setWordWrap(True)
        self.table = CertificateTable()
        self.table.chosen.connect(self.show_sample)
        self.samples: Image | None = None
        self.results: list[Layer] = []
        self.compare = QPushButton("Side by side")
        self.compare.setCheckable(True)
        self.compare.setEnabled(False)
        self.compare.setToolTip("the scan and every result of the last run in a grid, zoomed to the region")
        self.compare.toggled.connect(self._compare)
        self.show_form(Container(widgets=fields, labels=True), self.line, self.compare, self.table)
        self.reset_choices()

    def make_work(self) -> SampleWork:
        """The request of the form; clears the table for the new run.

        Raises:
            CtinvError: Something is missing, or the region does not lie in the scan.
        """
        layer = self._chosen_scan()
        volume = volume_of(layer)
        self._scan = layer
        self._window = (float(layer.contrast_limits[0]), float(layer.contrast_limits[1]))
        request = SampleRequest(
            volume=volume,
            box=self.chosen_box(volume),
            denoiser=chosen_denoiser(self.denoiser, self.bundle),
            tap=str(self.tap.value),
            generator=str(chosen_path(self.own_generator) or self.generator.value),
            n=int(self.n.value),
            tier=str(self.tier.value),
            seed=int(self.seed.value),
            device=str(self.device.value),
            study=_chosen_study(self.study),
        )
        self.samples, self.results = None, []
        self.table.clear_rows()
        self.table.set_unit(volume.unit)
        self.line.setText("")
        self._work = SampleWork(request)
        return self._work

    def chosen_box(self, volume: Volume) -> Box:
        """The region in voxels of the volume: the drawn rectangle, or a part of the visible slice.

        Raises:
            InputError: Nothing is drawn, or the region does not lie in the scan.
        """
        choice = self.region.value
        height = visible_height(self.viewer.dims.point, self.viewer.dims.displayed)
        if isinstance(choice, Shapes):
            return box_from_shape(_last_shape(choice), volume, world_z=height)
        if choice == WHOLE:
            return whole_slice(volume, world_z=height)
        return box_around(self.viewer.scene.camera.center, volume, world_z=height)

    def draw(self, box: Box) -> Layer:
        """Draw a box over the chosen scan, choose it as the region and go to its slice.

        Raises:
            InputError: No scan is chosen, or the box lies outside it.
        """
        volume = volume_of(self._chosen_scan())
        (outline,) = add_layers(self.viewer, [outline_layer(volume, box)])
        self.region.value = outline
        self.viewer.dims.set_point(self.viewer.dims.ndim - 3, outline.data_to_world([box.z, 0, 0])[0])
        return outline

    def show_sample(self, index: int) -> None:
        """Move the sample slider of the viewer."""
        if self.samples is not None and self.samples in self.viewer.layers:
            self.viewer.dims.set_point(self.viewer.dims.ndim - 4, index)

    def on_item(self, item: Store) -> None:
        """More samples are finished: the table and the stack grow."""
        certificates = item.certificates
        if not certificates:
            return
        self.table.extend_to(certificates)
        self.line.setText(progress_line(certificates, tier=item.provenance.tier))
        if self.samples is None:
            fx, samples = fx_layer(item, window=self._window), samples_layer(item, window=self._window)
            self.results = add_layers(self.viewer, [fx, samples])
            self.samples = self.results[-1]
            self._outline_on_top()
            self.show_sample(0)
        elif len(self.samples.data) < len(certificates):
            self.samples.data = sample_stack(item)

    def on_end(self, outcome: Outcome, added: list[Layer]) -> None:
        """The samples lie over the maps, and the line says what was found."""
        layers = self.viewer.layers
        if self.samples is None or self.samples not in layers:
            return
        layers.move(layers.index(self.samples), len(layers))
        self._outline_on_top()
        layers.selection.active = self.samples
        self.results = [*self.results[:-1], *added, self.samples]
        self.compare.setEnabled(True)
        line = summary_line(self._work.summary)
        stopped = (
            f"stopped; {self.table.rowCount()} samples are kept\n" if outcome.state == "cancelled" else ""
        )
        self.line.setText(stopped + line)

    def _chosen_scan(self) -> Image:
        layer = self.image.value
        if not isinstance(layer, Image):
            raise InputError("no scan is chosen; open a CT first, for example by File > Open Sample.")
        return layer

    def _compare(self, on: bool) -> None:
        shown = [layer for layer in (self._scan, *self.results) if layer in self.viewer.layers]
        if on and shown:
            side_by_side(self.viewer, shown)
        elif not on:
            on_top_of_each_other(self.viewer)

    def _outline_on_top(self) -> None:
        """The drawn region stays visible over its results."""
        layers = self.viewer.layers
        if self.region.value in layers:
            layers.move(layers.index(self.region.value), len(layers))

    def _region_choices(self, _widget: Any = None) -> list[Any]:
        drawn = [
            (f"rectangle in {layer.name}", layer) for layer in self.viewer.layers if isinstance(layer, Shapes)
        ]
        return [*drawn, (CENTRE, CENTRE), (WHOLE, WHOLE)]

    def _generator_choices(self, _widget: Any = None) -> list[str]:
        chosen = chosen_path(self.bundle) or self.denoiser.value
        return generators_of(chosen, str(self.tap.value)) if chosen is not None else list(TRAINING_FREE)

    def _tap_choices(self, _widget: Any = None) -> list[str]:
        chosen = chosen_path(self.bundle) or self.denoiser.value
        try:
            return taps_of(chosen) if chosen is not None else ["output"]
        except ModelError as error:
            self._say(str(error))
            return ["output"]

    def _reset_taps(self, _value: Any = None) -> None:
        self._say("")
        self.tap.reset_choices()
        self._reset_generators()

    def _reset_generators(self, _value: Any = None) -> None:
        self.generator.reset_choices()

    def _explain(self) -> None:
        self.region.tooltip = "draw a rectangle in a Shapes layer, or take a part of the visible slice"
        self.tap.tooltip = "the layer whose representation must stay; output is the denoised image itself"
        self.tier.tooltip = (
            "T0: the same numbers; T1: the same integer HU; T2: the same 8-bit picture; T3: within the noise"
        )
        self.generator.tooltip = (
            "renoise: noise on f(x); metamer: feature matching from noise; the others are trained for a denoiser and a tap. "
            "vae_y makes images as f should make them: shown, not fed back"
        )
        self.seed.tooltip = "sample k depends on the seed and k only"


def _last_shape(layer: Shapes) -> np.ndarray:
    """Corners in the world of the selected shape, or of the one drawn last.

    Raises:
        InputError: The layer is empty.
    """
    if len(layer.data) == 0:
        raise InputError(f"nothing is drawn in {layer.name}; draw a rectangle or choose another region.")
    index = max(layer.selected_data) if layer.selected_data else len(layer.data) - 1
    return np.array([layer.data_to_world(corner) for corner in layer.data[index]])


def _chosen_study(edit: FileEdit) -> Path | None:
    path = chosen_path(edit)
    if path is None:
        return None
    return path if path.suffix == ".zarr" else path.with_name(f"{path.name}.zarr")
