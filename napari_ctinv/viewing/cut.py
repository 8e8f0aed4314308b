"""Part of a layer: its values where a cut lets them be seen, NaN, which is clear, elsewhere.

The cut lies in the plane of a layer's last two axes and is stated in millimetres of the viewer's world, so that it lies in
the same place whatever the voxels are. Values are read from the layer when the viewer asks for a plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Image

Mask = NDArray[np.bool_]


class Cut(Protocol):
    """Where a layer is seen."""

    def mask(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> Mask:
        """(h, w) from the positions of rows (h,) and columns (w,) in mm."""
        ...


@dataclass(frozen=True)
class Swipe:
    """Right of a line.

    Attributes:
        x: Where the line stands, in mm of the viewer's last axis.
    """

    x: float

    def mask(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> Mask:
        """Every column whose centre lies beyond the line."""
        return np.broadcast_to(x >= self.x, (len(y), len(x)))


@dataclass(frozen=True)
class Checkerboard:
    """Every second tile.

    Attributes:
        tile: Edge of a tile in mm.
        corner: Position (y, x) of the corner of a tile in mm.
    """

    tile: float
    corner: tuple[float, float]

    def mask(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> Mask:
        """The tiles whose row and column add up to an odd number."""
        row = np.floor((y - self.corner[0]) / self.tile + 1e-9).astype(np.int64)
        column = np.floor((x - self.corner[1]) / self.tile + 1e-9).astype(np.int64)
        odd: Mask = (row[:, None] + column) % 2 == 1
        return odd


class Part:
    """An array as an image layer takes it: the values of a layer where it is seen, NaN elsewhere.

    Args:
        layer: The layer; its data are looked up anew each time.
        cut: Where it is seen; may be changed, the showing layer is then to be refreshed.

    Attributes:
        dtype: float32.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, layer: Image, cut: Cut) -> None:
        self._layer, self.cut = layer, cut

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the layer."""
        return tuple(self._layer.data.shape)

    @property
    def ndim(self) -> int:
        """That of the layer."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        values = np.asarray(self._layer.data[key], dtype=np.float32)
        seen = np.broadcast_to(self._mask(), self.shape)[key]
        return np.where(seen, values, np.float32(np.nan))

    def _mask(self) -> Mask:
        (height, width), layer = self.shape[-2:], self._layer
        y = layer.translate[-2] + layer.scale[-2] * np.arange(height)
        x = layer.translate[-1] + layer.scale[-1] * np.arange(width)
        return self.cut.mask(y, x)
