"""ShownModel: which study is on the screen, and which of its samples. Table, stamp, probe, film and comparisons follow it.

A study is shown by its layer of samples, wherever that came from: a run that still goes on, a stored study that was opened,
or a script. The layer that is selected counts, else the one that came last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import error_stack, errors_layer, layer_info
from napari_ctinv.viewing.stamp import stamp_in

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from ctinv.fibre.tiers import Certificate
    from ctinv.sampler import Samples, Store
    from napari_ctinv.session import Session


@dataclass(eq=False)
class ShownModel:
    """The study on the screen.

    Attributes:
        session: The session.
        samples: The layer of its samples; None where no study is shown.
        finished: How many samples it has on the screen.
        place: Place in the stack of the sample that the slider shows, -1 where there is none.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    samples: Image | None = None
    finished: int = 0
    place: int = -1
    _certificates: list[Certificate] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        viewer = self.session.viewer
        stamp_in(viewer)
        viewer.layers.events.inserted.connect(self._on_inserted, position="last")
        viewer.layers.events.removed.connect(self._on_removed, position="last")
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.dims.events.current_step.connect(self._on_step)
        self._adopt(self._last())

    @property
    def study(self) -> Store | Samples | None:
        """The study; None where none is shown."""
        return None if self.samples is None else layer_info(self.samples.metadata)["study"]

    @property
    def certificates(self) -> list[Certificate]:
        """Those of the samples on the screen, in the order of the stack."""
        return self._certificates

    @property
    def certificate(self) -> Certificate | None:
        """That of the sample that the slider shows."""
        return self._certificates[self.place] if 0 <= self.place < len(self._certificates) else None

    def show(self, place: int) -> None:
        """Move the slider to a place in the stack."""
        viewer = self.session.viewer
        if self.samples is not None and 0 <= place < self.finished and place != self.place:
            viewer.dims.set_point(viewer.dims.ndim - 4, place)

    def layer(self, kind: str) -> Image | None:
        """The topmost layer of this kind that belongs to the study."""
        if self.samples is None:
            return None
        key = layer_info(self.samples.metadata).get("key")
        for layer in reversed(self.session.viewer.layers):
            info = layer_info(layer.metadata)
            if info.get("kind") == kind and info.get("key") == key and "whole" not in info:
                return layer
        return None

    def errors(self) -> Image | None:
        """The layer of f(x̃) − f(x), made on first use; None where nothing is fed back."""
        study, samples = self.study, self.samples
        if study is None or samples is None or study.provenance.domain == "target":
            return None
        found = self.layer("errors")
        if found is None:
            (found,) = add_layers(self.session.viewer, [errors_layer(study)])
            layers = self.session.viewer.layers
            layers.move(layers.index(found), layers.index(samples))
            layers.selection.active = samples
        return found

    def _last(self) -> Any:
        layers = [layer for layer in self.session.viewer.layers if is_study(layer)]
        active = self.session.viewer.layers.selection.active
        return active if active in layers else (layers[-1] if layers else None)

    def _adopt(self, layer: Any) -> None:
        if layer is self.samples:
            return
        if self.samples is not None:
            self.samples.events.data.disconnect(self._on_data)
        self._certificates, self.finished, self.place = [], 0, -1
        self.samples = layer
        if layer is not None:
            layer.events.data.connect(self._on_data)
            self._on_data()

    def _on_data(self, _event: Any = None) -> None:
        study, samples = self.study, self.samples
        if study is None or samples is None:
            return
        self._certificates = study.certificates[: len(samples.data)]
        errors = self.layer("errors")
        if errors is not None and len(errors.data) < len(self._certificates):
            errors.data = error_stack(study)
        self.finished = len(self._certificates)
        self._on_step()

    def _on_step(self, _event: Any = None) -> None:
        self.place = place_of(self.session.viewer.dims, self.finished)

    def _on_inserted(self, event: Any) -> None:
        if is_study(event.value):
            self._adopt(event.value)

    def _on_removed(self, event: Any) -> None:
        if event.value is self.samples:
            self._adopt(self._last())

    def _on_active(self, event: Any) -> None:
        if event.value is not None and is_study(event.value):
            self._adopt(event.value)


def is_study(layer: Layer) -> bool:
    """Whether a layer shows the samples of a study that is at hand."""
    info = layer_info(layer.metadata)
    return info.get("kind") == "samples" and info.get("study") is not None


def place_of(dims: Any, count: int) -> int:
    """Where the sample slider of a viewer stands in a stack of so many samples, -1 beyond its end."""
    if dims.ndim < 4:
        return -1
    place = round(dims.point[dims.ndim - 4])
    return place if 0 <= place < count else -1
