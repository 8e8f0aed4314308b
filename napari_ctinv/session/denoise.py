"""DenoiseModel: f(x) of the visible slice or of the whole scan, as layers over it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from napari.layers import Image, Layer
from psygnal import SignalGroupDescriptor

from ctinv.volume import Acquisition, Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.engine.run import Run
from napari_ctinv.layers import KEY, denoised_layer, removed_layer
from napari_ctinv.placement import canonical
from napari_ctinv.selection import slice_index, visible_height
from napari_ctinv.work.denoise import DenoisedSlice, DenoiseRequest

if TYPE_CHECKING:
    from napari_ctinv.session import Activity, Session

WHOLE, VISIBLE = "whole scan", "visible slice"


@dataclass(eq=False)
class DenoiseModel:
    """What the Denoise tab does.

    Attributes:
        session: The session.
        slices: ``"whole scan"`` or ``"visible slice"``.
        finished: How many slices of the last run are on the screen.
        added: Layers of the last run once it has ended: x − f(x), and f(x) over it.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    slices: str = WHOLE
    finished: int = 0
    added: tuple[Layer, ...] = ()
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Denoise")

    def run(self) -> Run:
        """Denoise; f(x) grows slice by slice, and what is finished stays even if the run is stopped.

        Raises:
            InputError: No scan or denoiser is chosen, or the view lies outside the scan.
        """
        volume, window = canonical(self.session.scan.volume()), self.session.scan.window
        first, last = 0, volume.shape[0]
        if self.slices == VISIBLE:
            dims = self.session.viewer.dims
            first = slice_index(visible_height(dims.point, dims.displayed), volume)
            last = first + 1
        network = self.session.network
        request = DenoiseRequest(
            volume, network.source, self.session.settings.device, first, last, **network.loading
        )
        arrival = _Arrival(self, volume[first:last], first, window)
        run = self.activity.start(
            "napari_ctinv.work.denoise:denoise", request, on_item=arrival.take, on_end=arrival.finish
        )
        self.finished, self.added = 0, ()
        return run


class _Arrival:
    """Fills one array that is on the screen, so that nothing is left to be done when the last slice arrives.

    Args:
        model: The model.
        part: The slices that are denoised.
        first: Index of the first of them in the scan.
        window: Contrast limits.
    """

    def __init__(
        self, model: DenoiseModel, part: Volume, first: int, window: tuple[float, float] | None
    ) -> None:
        self._model, self._part, self._first, self._window = model, part, first, window
        self._fx = np.full(part.shape, np.nan, dtype=np.float32)
        self._removed = np.empty(part.shape, dtype=np.float32)
        self._digest = hashlib.sha256(part.uid.encode())
        self._done, self._denoiser = 0, ""
        self._layer: Image | None = None

    def take(self, plane: DenoisedSlice) -> None:
        """A slice is finished."""
        z = plane.z - self._first
        self._fx[z] = plane.hu
        np.subtract(self._part.hu[z], plane.hu, out=self._removed[z])
        self._digest.update(self._fx[z])
        self._done, self._denoiser = z + 1, plane.denoiser
        viewer = self._model.session.viewer
        if self._layer is None:
            tuple_ = denoised_layer(self._part, self._fx, denoiser=plane.denoiser, window=self._window)
            (self._layer,) = add_layers(viewer, [tuple_])
        elif self._layer in viewer.layers and self._shows(z):
            self._layer.refresh(thumbnail=False)
        self._model.finished = self._done

    def finish(self, _outcome: Outcome) -> None:
        """The run has ended, in whatever way: what is finished is a volume of its own."""
        layer, layers = self._layer, self._model.session.viewer.layers
        if layer is None:
            return
        whole = self._done == len(self._fx)
        part = self._part if whole else self._part[: self._done]
        fx = self._fx if whole else self._fx[: self._done]
        # The noise of the scan no longer applies; the identity is that of `Volume.with_hu`, hashed as the slices came.
        acquisition = Acquisition(window=part.acquisition.window)
        volume = replace(part, hu=fx, uid=f"sha256:{self._digest.hexdigest()}", acquisition=acquisition)
        if not whole:
            layer.data = fx
        layer.metadata = {**layer.metadata, KEY: {**layer.metadata[KEY], "volume": volume}}
        (removed,) = add_layers(
            self._model.session.viewer,
            [removed_layer(part, self._removed[: self._done], denoiser=self._denoiser)],
        )
        if layer in layers:
            layers.move(layers.index(removed), layers.index(layer))
            layer.refresh()
        self._model.added = (removed, layer)

    def _shows(self, z: int) -> bool:
        """Whether this slice is the one that is seen; in other views the picture follows at the end."""
        dims = self._model.session.viewer.dims
        if self._layer is None or tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
            return False
        return round(self._layer.world_to_data(dims.point[-3:])[0]) == z
