"""DenoiseModel: f(x) of the visible slice or of the whole scan, as layers over it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from ctinv.volume import Acquisition, Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.engine.run import Run
from napari_ctinv.layers import denoised_layers
from napari_ctinv.selection import slice_index, visible_height
from napari_ctinv.work.denoise import DenoisedSlice, DenoiseRequest

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_ctinv.session import Activity, Session

WHOLE, VISIBLE = "whole scan", "visible slice"


@dataclass(eq=False)
class DenoiseModel:
    """What the Denoise tab does.

    Attributes:
        session: The session.
        slices: ``"whole scan"`` or ``"visible slice"``.
        added: Layers of the last run: x − f(x), and f(x) over it.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    slices: str = WHOLE
    added: tuple[Layer, ...] = ()
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Denoise")

    def run(self) -> Run:
        """Denoise; what is finished becomes layers even if the run is stopped.

        Raises:
            InputError: No scan or denoiser is chosen, or the view lies outside the scan.
        """
        volume, window = self.session.scan.volume(), self.session.scan.window
        first, last = 0, volume.shape[0]
        if self.slices == VISIBLE:
            dims = self.session.viewer.dims
            first = slice_index(visible_height(dims.point, dims.displayed), volume)
            last = first + 1
        network = self.session.network
        request = DenoiseRequest(
            volume, network.source, self.session.settings.device, first, last, network.trust or None
        )
        done: list[DenoisedSlice] = []

        def finish(_outcome: Outcome) -> None:
            if done:
                part = volume[first : first + len(done)]
                fx = _other_scan(part, np.stack([plane.hu for plane in done]))
                layers = denoised_layers(part, fx, denoiser=done[0].denoiser, window=window)
                self.added = tuple(add_layers(self.session.viewer, layers))

        return self.activity.start(
            "napari_ctinv.work.denoise:denoise", request, on_item=done.append, on_end=finish
        )


def _other_scan(part: Volume, hu: NDArray[np.float32]) -> Volume:
    """New voxels in the same place: another identity, and the noise of the scan no longer applies."""
    return replace(part.with_hu(hu), acquisition=Acquisition(window=part.acquisition.window))
