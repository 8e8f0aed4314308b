"""InvariancesModel: sample what the denoiser cannot tell from the scan, certified, stored and over the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from napari.layers import Image, Layer, Shapes
from psygnal import SignalGroupDescriptor

from ctinv.errors import CtinvError, InputError
from ctinv.volume import Box, Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.engine.run import Run
from napari_ctinv.layers import outline_layer
from napari_ctinv.selection import DEFAULT_EDGE, box_around, box_from_shape, visible_height, whole_slice
from napari_ctinv.session.growing import GrowingStudy
from napari_ctinv.viewing.clicks import Clicks
from napari_ctinv.work.sample import SampleRequest

if TYPE_CHECKING:
    from ctinv.sampler import Store
    from napari_ctinv.session import Activity, Session

CENTRE, WHOLE, DRAWN = "square at the centre of the view", "whole visible slice", "drawn rectangle"
REGIONS = (CENTRE, DRAWN, WHOLE)


@dataclass(eq=False)
class InvariancesModel:
    """What the Invariances tab does.

    Attributes:
        session: The session.
        region: Where to sample: one of `REGIONS`.
        edge: Edge of the square at the centre of the view, or around a click, in voxels.
        picking: Whether the next click on the image places the square.
        shapes: The layer whose rectangle is the region, where one is drawn.
        tap: Layer of the network whose representation must stay.
        generator: Name of the generator.
        own_generator: Bundle folder of a generator of the user's own; goes before `generator`.
        n: Number of samples.
        tier: Exactness that is asked, ``"T0"`` to ``"T3"``.
        seed: Sample k depends on it and on k only.
        folder: Folder of the study; None for one in the user's data folder, named by its key.
        study: The study that is shown, opened from disk; None before there is one.
        finished: How many finished samples the study has on the screen.
        samples: The layer of x̃.
        results: All layers of the study.
        complete: Whether the last run has ended and all its layers are on the screen.
        notice: What the user should know of the run though it goes on, such as that memory is short; else empty.
        growing: Puts the last run on the screen.
        activity: The run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    region: str = CENTRE
    edge: int = DEFAULT_EDGE
    picking: bool = False
    shapes: Shapes | None = None
    tap: str = "output"
    generator: str = "renoise"
    own_generator: Path | None = None
    n: int = 250
    tier: str = "T2"
    seed: int = 0
    folder: Path | None = None
    study: Store | None = None
    finished: int = 0
    samples: Image | None = None
    results: tuple[Layer, ...] = ()
    complete: bool = False
    notice: str = ""
    growing: GrowingStudy | None = field(default=None, repr=False)
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Sample invariances")
        settings = self.session.settings
        self.n, self.tier = settings.n, settings.tier
        self._picked: Layer | None = None
        self._clicks = Clicks(self._on_click)
        self.events.picking.connect(lambda on: self._clicks.listen(self.session.viewer, on))
        for name in ("n", "tier"):
            getattr(settings.events, name).connect(lambda value, name=name: setattr(self, name, value))

    def request(self) -> SampleRequest:
        """What the fields describe.

        Raises:
            CtinvError: Something is missing, or the region does not lie in the scan.
        """
        volume, network = self.session.scan.volume(), self.session.network
        return SampleRequest(
            volume=volume,
            box=self.box(volume),
            denoiser=network.source,
            tap=self.tap,
            generator=str(self.own_generator or self.generator),
            n=self.n,
            tier=self.tier,
            seed=self.seed,
            device=self.session.settings.device,
            study=_with_ending(self.folder),
            **network.loading,
        )

    def run(self) -> Run:
        """Sample; the study keeps what is finished however the run ends.

        Raises:
            CtinvError: Something is missing, or the region does not lie in the scan.
        """
        request, window = self.request(), self.session.scan.window
        shown = GrowingStudy(self, window, self.shapes if self.region == DRAWN else None)
        run = self.activity.start(
            "napari_ctinv.work.sample:sample", request, on_item=shown.grow, on_end=shown.finish
        )
        self.study, self.samples, self.results, self.finished, self.complete = None, None, (), 0, False
        self.notice, self.growing = "", shown
        return run

    def box(self, volume: Volume) -> Box:
        """The region in voxels of the volume.

        Raises:
            InputError: Nothing is drawn, or the region does not lie in the scan.
        """
        viewer = self.session.viewer
        height = visible_height(viewer.dims.point, viewer.dims.displayed)
        if self.region == DRAWN:
            return box_from_shape(_last_shape(self._drawn()), volume, world_z=height)
        if self.region == WHOLE:
            return whole_slice(volume, world_z=height)
        return box_around(viewer.scene.camera.center, volume, world_z=height, edge=self.edge)

    def choose(self, box: Box) -> Layer:
        """Draw a box over the scan, take it as the region and go to its slice.

        Raises:
            InputError: No scan is chosen, or the box lies outside it.
        """
        viewer = self.session.viewer
        (outline,) = add_layers(viewer, [outline_layer(self.session.scan.volume(), box)])
        self.shapes, self.region = outline, DRAWN
        viewer.dims.set_point(viewer.dims.ndim - 3, outline.data_to_world([box.z, 0, 0])[0])
        return outline

    def pick(self, position: Sequence[float]) -> None:
        """Place the square around a point of the viewer's world in mm, and take it as the region.

        Raises:
            InputError: No scan is chosen, or the point lies outside it.
        """
        viewer, volume = self.session.viewer, self.session.scan.volume()
        height = visible_height(viewer.dims.point, viewer.dims.displayed)
        before, self._picked = self._picked, None
        box = box_around(position, volume, world_z=height, edge=self.edge)
        if before in viewer.layers:  # the square moves
            viewer.layers.remove(before)
        self._picked = self.choose(box)

    def _on_click(self, position: tuple[float, ...]) -> None:
        try:
            self.pick(position)
        except CtinvError as error:
            self.notice = str(error)
        else:
            self.notice = ""
        self.picking = False

    def _drawn(self) -> Shapes:
        layers = self.session.viewer.layers
        if self.shapes is not None and self.shapes in layers:
            return self.shapes
        drawn = [layer for layer in layers if isinstance(layer, Shapes)]
        if not drawn:
            raise InputError(
                "nothing is drawn; draw a rectangle in a Shapes layer, or choose another region."
            )
        return drawn[-1]


def _last_shape(layer: Shapes) -> np.ndarray:
    """Corners in the world of the selected shape, or of the one drawn last.

    Raises:
        InputError: The layer is empty.
    """
    if len(layer.data) == 0:
        raise InputError(f"nothing is drawn in {layer.name}; draw a rectangle or choose another region.")
    index = max(layer.selected_data) if layer.selected_data else len(layer.data) - 1
    return np.array([layer.data_to_world(corner) for corner in layer.data[index]])


def _with_ending(folder: Path | None) -> Path | None:
    if folder is None or folder.suffix == ".zarr":
        return folder
    return folder.with_name(f"{folder.name}.zarr")
