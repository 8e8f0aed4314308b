"""Denoise: f(x) of the visible slice or of the whole scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox, Container

from ctinv.errors import InputError
from napari_ctinv.selection import slice_index, visible_height, volume_of
from napari_ctinv.steps import DenoiseRequest, DenoiseWork
from napari_ctinv.widgets._choices import bundle_edit, chosen_denoiser, denoiser_box, device_box
from napari_ctinv.widgets._panel import Panel

if TYPE_CHECKING:
    from napari.components import ViewerModel

WHOLE, VISIBLE = "whole scan", "visible slice"


class DenoiseWidget(Panel):
    """Choose a layer and a denoiser, press Denoise."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, title="Denoise")
        self.image = ComboBox(label="scan", choices=self.image_choices)
        self.denoiser = denoiser_box()
        self.bundle = bundle_edit()
        self.slices = ComboBox(label="slices", choices=(WHOLE, VISIBLE), value=WHOLE)
        self.device = device_box()
        form = Container(
            widgets=[self.image, self.denoiser, self.bundle, self.slices, self.device], labels=True
        )
        self.show_form(form)
        self.reset_choices()

    def make_work(self) -> DenoiseWork:
        """The request of the form.

        Raises:
            InputError: No scan or denoiser is chosen, or the view lies outside the scan.
        """
        layer = self.image.value
        if layer is None:
            raise InputError("no scan is chosen; open a CT first, for example by File > Open Sample.")
        volume = volume_of(layer)
        first, last = 0, volume.shape[0]
        if self.slices.value == VISIBLE:
            first = slice_index(visible_height(self.viewer.dims.point, self.viewer.dims.displayed), volume)
            last = first + 1
        return DenoiseWork(
            DenoiseRequest(
                volume=volume,
                denoiser=chosen_denoiser(self.denoiser, self.bundle),
                device=str(self.device.value),
                first=first,
                last=last,
                window=(float(layer.contrast_limits[0]), float(layer.contrast_limits[1])),
            )
        )
