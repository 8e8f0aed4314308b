"""NoiseModel: noise and its power spectrum in the scan and in a denoised image, in the very same squares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import layer_info, squares_layer
from napari_ctinv.placement import canonical
from napari_ctinv.selection import volume_of
from napari_ctinv.session.curves import Line
from napari_ctinv.session.figures import as_csv
from napari_ctinv.work.noise import NoiseFound, NoiseRequest

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_ctinv.engine.run import Run
    from napari_ctinv.session import Activity, Session

SQUARES, DRAWN = "homogeneous squares", "drawn region"
PLACES = (SQUARES, DRAWN)
HEAD = ("image", "squares", "pixels", "std", "unit", "nps_mean_per_mm", "nps_peak_per_mm", "distance_decades")
"""Columns of the table."""


@dataclass(eq=False)
class NoiseModel:
    """Noise before and after.

    Attributes:
        session: The session.
        denoised: The layer that is compared with the scan; None for the last denoised one.
        layers: All layers it can be.
        where: One of `PLACES`.
        found: What was measured last; None before.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    denoised: Image | None = None
    layers: tuple[Image, ...] = ()
    where: str = SQUARES
    found: NoiseFound | None = None
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Measure the noise")
        self.session.scan.events.layers.connect(self._look)
        self.session.scan.events.layer.connect(self._look)
        self._look()

    def run(self) -> Run:
        """Measure the scan and the denoised image.

        Raises:
            InputError: No scan is chosen, nothing is drawn where a region is asked for, or a layer is no CT.
        """
        scan = canonical(self.session.scan.volume())
        layers = [self._after()] if self.layers else []
        volumes = [canonical(volume_of(layer)) for layer in layers]
        scan_layer = self.session.scan.layer
        assert scan_layer is not None
        request = NoiseRequest(
            names=(scan_layer.name, *(layer.name for layer in layers)),
            volumes=(scan, *volumes),
            region=self.session.roi.masks(scan) if self.where == DRAWN else None,
        )
        run = self.activity.start("napari_ctinv.work.noise:noise", request, on_item=self._arrive)
        self.found = None
        return run

    def spectra(self) -> dict[str, Line]:
        """Name of the image to frequency in cycles/mm and NPS."""
        noises = () if self.found is None else self.found.noises
        return {one.name: (one.frequency, one.power) for one in noises}

    def table(self) -> list[tuple[Any, ...]]:
        """One row for each image, in the columns of `HEAD`."""
        if self.found is None:
            return []
        squares = self.found.squares
        return [
            (
                one.name, len(squares.places), squares.size, one.std, one.unit, one.mean_per_mm,
                one.peak_per_mm, one.distance,
            )
            for one in self.found.noises
        ]  # fmt: skip

    def csv(self) -> str:
        """The table as CSV."""
        return as_csv(HEAD, self.table())

    def show_squares(self) -> Layer:
        """The squares that were read, as outlines over the scan; goes to the slice of the first.

        Raises:
            InputError: Nothing is measured yet.
        """
        if self.found is None:
            raise InputError("nothing is measured yet; press Measure first.")
        viewer, squares = self.session.viewer, self.found.squares
        for layer in [one for one in viewer.layers if layer_info(one.metadata).get("kind") == "squares"]:
            viewer.layers.remove(layer)
        scan = canonical(self.session.scan.volume())
        (added,) = add_layers(viewer, [squares_layer(scan, squares.size, squares.places)])
        viewer.dims.set_point(viewer.dims.ndim - 3, added.data_to_world([squares.places[0][0], 0, 0])[0])
        return added

    def _after(self) -> Image:
        return (
            self.denoised if self.denoised in self.layers and self.denoised is not None else self.layers[-1]
        )

    def _arrive(self, item: NoiseFound) -> None:
        self.found = item

    def _look(self, _value: Any = None) -> None:
        scan, before = self.session.scan, self.layers
        self.layers = tuple(layer for layer in scan.layers if layer is not scan.layer)
        denoised = [one for one in self.layers if layer_info(one.metadata).get("kind") == "denoised"]
        if self.denoised not in self.layers or any(one not in before for one in denoised):
            self.denoised = denoised[-1] if denoised else None
