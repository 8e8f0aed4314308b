"""RoiModel: statistics of drawn regions in the scan, f(x), the samples and the maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.quality.roi import Mask, RoiStatistics, roi_statistics
from ctinv.volume import Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import layer_info, mean_layer, regions_layer, spread_layer
from napari_ctinv.placement import place
from napari_ctinv.regions import Grid, Region, regions_of_labels, regions_of_shapes
from napari_ctinv.session.figures import as_csv

if TYPE_CHECKING:
    from napari.layers import Layer, Shapes

    from ctinv.sampler import Samples, Store
    from napari_ctinv.session import Session

HEAD = (
    "region", "image", "voxels", "missing", "area_mm2", "mean", "std", "minimum", "maximum", "median", "unit",
)  # fmt: skip
"""Columns of the table."""


@dataclass(frozen=True)
class RoiRow:
    """One region in one image."""

    region: str
    image: str
    statistics: RoiStatistics


@dataclass(frozen=True, eq=False)
class _Image:
    """An image to measure: where it lies, and its (Z, Y, X) values."""

    name: str
    unit: str
    grid: Grid
    values: Any


@dataclass(eq=False)
class RoiModel:
    """What is drawn, measured in every image at the same place.

    Attributes:
        session: The session.
        layer: The Shapes or Labels layer with the regions; None for the last one that was added.
        layers: All that there are.
        rows: The table: one row for each region in each image.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    layer: Layer | None = None
    layers: tuple[Layer, ...] = ()
    rows: tuple[RoiRow, ...] = ()

    def __post_init__(self) -> None:
        self._kept: tuple[tuple[str, int], list[_Image]] | None = None
        for signal in ("inserted", "removed"):
            getattr(self.session.viewer.layers.events, signal).connect(self._look, position="last")
        self._look()

    def draw(self, kind: str = "rectangle") -> Shapes:
        """Let the user draw: the layer of regions, made if there is none, in the mode for a shape.

        Args:
            kind: ``"rectangle"``, ``"ellipse"`` or ``"polygon"``.

        Raises:
            InputError: No scan is chosen.
        """
        from napari.layers import Shapes

        viewer = self.session.viewer
        layer = self.drawing() if self.layers else None
        if not isinstance(layer, Shapes):
            (layer,) = add_layers(viewer, [regions_layer(self.session.scan.volume())])
        assert isinstance(layer, Shapes)
        self.layer = layer
        viewer.layers.selection.active = layer
        layer.mode = f"add_{kind}"
        return layer

    def drawing(self) -> Layer:
        """The layer with the regions.

        Raises:
            InputError: There is none.
        """
        if self.layer is not None and self.layer in self.layers:
            return self.layer
        if not self.layers:
            raise InputError("nothing is drawn; draw a rectangle, an ellipse or a polygon, or add labels.")
        return self.layers[-1]

    def regions(self) -> list[Region]:
        """The regions that hold voxels.

        Raises:
            InputError: There is none.
        """
        from napari.layers import Shapes

        layer = self.drawing()
        axis, height = self._plane()
        found: list[Any]
        if isinstance(layer, Shapes):
            found = list(regions_of_shapes(layer, height if axis == 0 else 0.0))
        else:
            found = list(regions_of_labels(layer, axis, height))
        if not found:
            raise InputError(
                f"{layer.name} holds no region here; draw a rectangle, an ellipse, a polygon or a label."
            )
        return found

    def steps(self) -> Iterator[RoiRow]:
        """Measure, one row after the other, so that an interface can answer in between.

        Raises:
            InputError: Nothing is drawn, or there is no image.
        """
        regions, images = self.regions(), list(self._images())
        if not images:
            raise InputError("there is no image to measure; open a CT first.")
        for region in regions:
            for image in images:
                cut = region.on(image.grid)
                _, spacing = image.grid.plane(cut.axis)
                found = roi_statistics(
                    cut.of(image.values), cut.mask, spacing_mm=spacing, missing=cut.missing, unit=image.unit
                )
                yield RoiRow(region.name, image.name, found)

    def measure(self) -> tuple[RoiRow, ...]:
        """Measure all regions in all images.

        Raises:
            InputError: Nothing is drawn, or there is no image.
        """
        self.rows = tuple(self.steps())
        return self.rows

    def masks(self, volume: Volume) -> dict[int, Mask]:
        """Slice to (H, W) of what is drawn, on the voxels of a volume whose axes are in the viewer's order.

        Raises:
            InputError: Nothing is drawn over axial slices of the volume.
        """
        placement = place(volume.affine, volume.shape)
        grid = Grid(volume.shape, placement.scale, placement.translate)
        found: dict[int, Mask] = {}
        for region in self.regions():
            cut = region.on(grid)
            if cut.axis == 0 and cut.index >= 0 and cut.mask.any():
                found[cut.index] = found.get(cut.index, np.zeros(volume.shape[1:], dtype=bool)) | cut.mask
        if not found:
            raise InputError("what is drawn covers no voxel of the scan; draw it over an axial slice of it.")
        return found

    def csv(self) -> str:
        """The table as CSV."""
        return as_csv(HEAD, [[row.region, row.image, *row.statistics.row().values()] for row in self.rows])

    def _plane(self) -> tuple[int, float]:
        """The axis that the view lies across, 0 for axial, and the position of the visible plane in mm."""
        dims = self.session.viewer.dims
        if dims.ndim < 3:
            return 0, 0.0
        last = range(dims.ndim - 3, dims.ndim)
        hidden = [axis for axis in last if axis not in dims.displayed]
        if len(hidden) != 1:
            raise InputError("regions are measured in one plane; switch the viewer to 2D.")
        return hidden[0] - (dims.ndim - 3), float(dims.point[hidden[0]])

    def _images(self) -> Iterator[_Image]:
        """Scan, f(x), the sample that is seen, all maps and other images that are shown, mean and spread of the samples."""
        study = self.session.shown.study
        names = set()
        for layer in self.session.viewer.layers:
            if self._measured(layer):
                image = self._image(layer, study)
                names.add(image.name)
                yield image
        yield from (image for image in self._maps_of(study) if image.name not in names)

    def _maps_of(self, study: Store | Samples | None) -> list[_Image]:
        """Mean and spread of the samples, read once; not while samples arrive, when each look would read all of them."""
        if study is None or not study.certificates or self.session.invariances.activity.running:
            return []
        asked = (study.provenance.key(), len(study.rows))
        if self._kept is None or self._kept[0] != asked:
            unit = study.setting.volume.unit
            made = [make(study) for make in (mean_layer, spread_layer)]
            images = [
                _Image(about["name"], unit, Grid(data.shape, about["scale"], about["translate"]), data)
                for data, about, _ in made
            ]
            self._kept = (asked, images)
        return self._kept[1]

    def _measured(self, layer: Layer) -> bool:
        from napari.layers import Image

        if not isinstance(layer, Image) or layer.rgb or layer.multiscale or layer.ndim not in (2, 3, 4):
            return False
        turned = np.any(layer.rotate != np.eye(layer.ndim)) or np.any(np.asarray(layer.shear) != 0)
        info = layer_info(layer.metadata)
        if info.get("kind") == "ct" and "provenance" in info and layer is not self.session.scan.layer:
            return False  # the region of the scan that is measured already
        return not turned and (layer.visible or info.get("kind") in ("ct", "denoised", "samples"))

    def _image(self, layer: Any, study: Store | Samples | None) -> _Image:
        info = layer_info(layer.metadata)
        grid, values, name = Grid.of(layer), layer.data, layer.name
        if layer.ndim == 4:
            index = int(np.clip(round(self.session.viewer.dims.point[-4]), 0, len(values) - 1))
            ours = study is not None and info.get("key") == study.provenance.key()
            row = study.rows[index] if study is not None and ours and index < len(study.rows) else index
            values, name = values[index], f"{name}, sample {row}"
        elif layer.ndim == 2:
            values = values[None]
        return _Image(name, info.get("unit", ""), grid, values)

    def _look(self, _event: Any = None) -> None:
        from napari.layers import Labels, Shapes

        squares = ("outline", "squares")
        self.layers = tuple(
            layer
            for layer in self.session.viewer.layers
            if isinstance(layer, (Labels, Shapes)) and layer_info(layer.metadata).get("kind") not in squares
        )
        if self.layer not in self.layers:
            self.layer = None
