"""RawModel: the candidates before correction, beside the samples. They are drawn again where the slider stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.generators.kinds import TRAINING_FREE
from ctinv.models.shipped import find_by_hash
from ctinv.sampler.stack import ImageStack
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import in_view_order, raw_layers
from napari_ctinv.work.raw import RawRequest, RawSample

if TYPE_CHECKING:
    from napari.layers import Image

    from ctinv.sampler import Store
    from napari_ctinv.session import Activity, Session


class Gathered:
    """Images that arrive one by one, in any order; NaN, which is clear, where none has arrived yet.

    Args:
        plane: Height and width in voxels.
    """

    def __init__(self, plane: tuple[int, int]) -> None:
        self._plane = plane
        self._images: dict[int, NDArray[np.float32]] = {}

    def __contains__(self, place: int) -> bool:
        return place in self._images

    def put(self, place: int, image: NDArray[np.float32]) -> None:
        """Take in the (h, w) image of a place."""
        self._images[place] = image

    def stack(self, count: int) -> ImageStack:
        """The first so many as an array that a layer takes."""
        return ImageStack(count, self._plane, self._image)

    def _image(self, place: int) -> NDArray[np.float32]:
        found = self._images.get(place)
        return np.full((1, *self._plane), np.nan, np.float32) if found is None else found[None]


@dataclass(eq=False)
class RawModel:
    """Candidates of the study on the screen.

    Attributes:
        session: The session.
        layers: The layer of candidates and that of f(raw) − f(x); empty before `show`.
        line: What is known of the candidate on the screen, in one sentence.
        activity: Drawing them.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    layers: tuple[Image, ...] = ()
    line: str = ""
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Draw candidates")
        self._images = self._errors = Gathered((0, 0))
        self._lines: dict[int, str] = {}
        self._on = False
        self._refused = ""
        shown = self.session.shown
        shown.events.place.connect(self._draw)
        shown.events.samples.connect(self._forget)
        shown.events.finished.connect(self._grow)
        self.activity.events.state.connect(self._draw)

    def show(self) -> list[Image]:
        """Layers to lay side by side: x̃ raw, x̃, f(raw) − f(x), f(x̃) − f(x); what is missing is drawn.

        Raises:
            InputError: No stored study of samples that are fed back is shown, or its scan is needed and is not open.
        """
        shown = self.session.shown
        study, samples = self._study(), shown.samples
        assert samples is not None
        self._request(study, 0)
        if not self.layers or any(layer not in self.session.viewer.layers for layer in self.layers):
            self._make_layers(study)
        errors = shown.errors()
        assert errors is not None
        self._on, self._refused = True, ""
        self._draw()
        return [self.layers[0], samples, self.layers[1], errors]

    def hide(self) -> None:
        """Draw no more of them."""
        self._on = False
        self.activity.cancel()

    def _make_layers(self, study: Store) -> None:
        setting, count = study.setting, self.session.shown.finished
        viewer, samples = self.session.viewer, self.session.shown.samples
        self._images, self._errors = Gathered(setting.region), Gathered(setting.output_box.shape)
        self._lines = {}
        limits = samples.contrast_limits if samples is not None else None
        window = None if limits is None else (float(limits[0]), float(limits[1]))
        tuples = raw_layers(study, self._images.stack(count), self._errors.stack(count), window=window)
        self.layers = tuple(add_layers(viewer, tuples))
        viewer.layers.selection.active = samples

    def _study(self) -> Store:
        study = self.session.shown.study
        if study is None or not hasattr(study, "path") or study.provenance.domain == "target":
            raise InputError(
                "candidates are drawn for a stored study of samples that are fed back; show one first."
            )
        return study

    def _draw(self, _value: Any = None) -> None:
        """Draw the candidate of the sample on the screen if it is not there yet; one at a time."""
        place, certificate = self.session.shown.place, self.session.shown.certificate
        if not self._on or certificate is None:
            return
        self.line = self._refused or self._lines.get(place, "drawing the candidate…")
        if place in self._images or self.activity.running or self._refused:
            return
        request = self._request(self._study(), certificate.k)
        self.activity.start(
            "napari_ctinv.work.raw:raw",
            request,
            on_item=lambda found: self._take(place, found),
            on_end=self._on_end,
        )

    def _on_end(self, outcome: Any) -> None:
        if outcome.state == "failed":  # asking again for every step of the slider would fail again
            self._refused = self.line = outcome.message

    def _request(self, study: Store, k: int) -> RawRequest:
        """What the engine needs to draw candidate k.

        Raises:
            InputError: The scan is needed and is not open.
        """
        provenance, network = study.provenance, self.session.network
        shipped = _is_shipped(provenance.weights_sha256)
        own = self.session.invariances.own_generator
        needs_scan = provenance.generator not in TRAINING_FREE
        return RawRequest(
            study.path,
            (k,),
            self.session.settings.device,
            None if shipped else network.source,
            {} if shipped else network.loading,
            self.session.scan.volume() if needs_scan else None,
            str(own) if own and needs_scan else None,
        )

    def _take(self, place: int, found: RawSample) -> None:
        self._images.put(place, found.x)
        self._errors.put(place, found.error)
        unit = self._study().provenance.unit
        said = f"k = {found.k}: the raw candidate misses f(x) by {found.rmse_hu:.2f} {unit} RMSE"
        other = (
            ""
            if found.agrees
            else "; its certificate says otherwise, so this is not the candidate that was corrected"
        )
        self._lines[place] = f"{said}{other}."
        self.line = self._lines.get(self.session.shown.place, "")
        for layer in self.layers:
            layer.refresh(extent=False, thumbnail=False)

    def _grow(self, count: int) -> None:
        """More samples have arrived: there is a place for each of their candidates."""
        if self.layers and count > len(self.layers[0].data):
            for layer, images in zip(self.layers, (self._images, self._errors), strict=True):
                layer.data = in_view_order(self._study(), images.stack(count))

    def _forget(self, _samples: Any) -> None:
        """Another study: its candidates are others."""
        self.hide()
        gone, self.layers = self.layers, ()
        for layer in gone:
            if layer in self.session.viewer.layers:
                self.session.viewer.layers.remove(layer)


def _is_shipped(weights_sha256: Any) -> bool:
    """Whether a denoiser with these weights is shipped."""
    from ctinv.errors import ModelError

    try:
        return bool(weights_sha256) and bool(find_by_hash(next(iter(weights_sha256.values()))))
    except ModelError:
        return False
