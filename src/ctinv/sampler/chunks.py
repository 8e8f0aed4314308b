"""ImageArray: one array of images on disk, written exactly and durably, read chunk by chunk."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import StoreError
from ctinv.sampler import layout
from ctinv.sampler.planes import Planes
from ctinv.sampler.stack import BlockCache, ImageStack


class ImageArray:
    """(n, 1, H, W) images of a study; indexing reads only the chunks needed and returns the stored type.

    Attributes:
        quantum: HU per unit of an integer array; 0 for floats, which are HU already.
        grid: Step of the values in HU, 0 if they have none; also floats may lie on a grid.
    """

    def __init__(self, planes: Planes, name: str) -> None:
        self._array = planes.array(name)
        self._path = planes.folder / name
        self._study = planes.folder.name
        self._may_lack = (
            name == "feedback_error"
        )  # a sample of the target domain is not fed back: NaN in every voxel
        self._scale = _stated(self._array, "scale", self._study)
        self.grid = _stated(self._array, "quantum", self._study, default=0.0)
        self._unit = str(self._array.attrs.get("unit", "HU"))
        self.quantum = self._scale if self.dtype.kind == "i" else 0.0

    @property
    def scale(self) -> float:
        """HU per unit as stored."""
        return self._scale

    @property
    def name(self) -> str:
        """Its name in the study."""
        return self._path.name

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, 1, H, W)."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type."""
        return np.dtype(self._array.dtype)

    @property
    def ndim(self) -> int:
        """Four."""
        return self._array.ndim

    @property
    def chunks(self) -> tuple[int, ...]:
        """Extent of one chunk along each axis."""
        return self._array.chunks

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._array[key])
        except (RuntimeError, ValueError, OSError) as error:  # what the codecs raise on damaged bytes
            raise StoreError(
                f"{self._path.name} of {self._study} is damaged; replace it with `ctinv repair {self._study}`."
            ) from error

    def block(self, k: int) -> NDArray[Any]:
        """All rows that share their chunks with row k, stored type."""
        start = k - k % layout.CHUNK_ROWS
        return self[start : start + layout.CHUNK_ROWS]

    def to_hu(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Stored values as float32 HU; exact for integers."""
        return values.astype(np.float32) * np.float32(self._scale)

    def encode(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Images (B, H, W) in HU as stored, (B, 1, H, W).

        Raises:
            StoreError: Another shape, a value that is not finite, not a multiple of the quantum or out of
                range.
        """
        if values.shape[1:] != self.shape[2:]:
            raise StoreError(
                f"{self._study} stores {self._path.name} of {self.shape[2:]}, got {values.shape[1:]}."
            )
        out = np.empty((len(values), 1, *self.shape[2:]), dtype=self.dtype)
        for index, image in enumerate(values):  # one by one: a plane stays in the cache
            out[index, 0] = self._encode_one(image)
        return out

    def _encode_one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._may_lack and bool(np.isnan(image).all()):
            return image
        low, high = float(image.min()), float(image.max())  # NaN and infinity come through
        if not math.isfinite(low) or not math.isfinite(high):
            raise StoreError(
                f"{self._path.name} holds NaN or infinity; {self._study} stores finite values only."
            )
        limit = _limit(self.dtype) * self._scale
        if max(-low, high) > limit:
            raise StoreError(f"{self._path.name} exceeds the storable range of ±{limit:g} {self._unit}.")
        if self.grid:
            quanta = image * np.float32(1.0 / self.grid)  # exact: the grid is a power of two
            if not np.array_equal(np.rint(quanta), quanta):
                raise StoreError(
                    f"{self._path.name} is not rounded to {self.grid:g} {self._unit}; round before certifying."
                )
        return image * np.float32(1.0 / self._scale)

    def write(self, rows: Sequence[int], values: NDArray[Any]) -> None:
        """Write encoded images into their rows; they are on the disk when this returns."""
        order = sorted(range(len(rows)), key=lambda index: rows[index])
        for start, run in _runs([rows[index] for index in order]):
            self._array[start : start + run] = values[order[:run]]
            order = order[run:]

    def tiles(self, k: int) -> dict[str, tuple[slice, slice]]:
        """The chunks of row k's block: file below the study to rows and columns of the image."""
        (height, width), (rows, columns) = self.shape[2:], self.chunks[2:]
        places = itertools.product(range(-(-height // rows)), range(-(-width // columns)))
        return {
            f"{self._path.name}/c/{k // layout.CHUNK_ROWS}/0/{i}/{j}": (
                slice(i * rows, min((i + 1) * rows, height)),
                slice(j * columns, min((j + 1) * columns, width)),
            )
            for i, j in places
        }

    def tile(self, k: int, place: tuple[slice, slice]) -> NDArray[Any]:
        """What one chunk of row k's block holds.

        Raises:
            StoreError: It cannot be decoded.
        """
        start = k - k % layout.CHUNK_ROWS
        return self[start : start + layout.CHUNK_ROWS, :, place[0], place[1]]

    def checksums(self, image: NDArray[Any]) -> list[str]:
        """CRC-32 of each tile of one stored image (1, H, W); none where one chunk holds all of it."""
        places = list(self.tiles(0).values())
        if len(places) == 1:
            return []
        return [checksum_of(image[0][place]) for place in places]

    def drop_unreadable(self, k: int) -> None:
        """Delete the chunks of row k's block that cannot be decoded; its rows can then be written anew."""
        for file, place in self.tiles(k).items():
            try:
                self.tile(k, place)
            except StoreError:
                (self._path.parent / file).unlink(missing_ok=True)

    def drop(self, k: int) -> None:
        """Delete the chunks of row k's block: none of its rows counts."""
        for file in self.tiles(k):
            (self._path.parent / file).unlink(missing_ok=True)

    def lazy(self, rows: Sequence[int]) -> ImageStack:
        """(len(rows), 1, H, W) float32 HU of these rows, read where they are shown."""
        last = max(rows, default=0) // layout.CHUNK_ROWS
        blocks = BlockCache(lambda number: self.block(number * layout.CHUNK_ROWS), last)
        height, width = self.shape[2:]
        places = [divmod(row, layout.CHUNK_ROWS) for row in rows]

        def image(index: int) -> NDArray[np.float32]:
            block, place = places[index]
            return self.to_hu(blocks.get(block)[place])

        return ImageStack(len(places), (height, width), image)


def checksum_of(tile: NDArray[Any]) -> str:
    """CRC-32 of one part of a stored image."""
    return f"{zlib.crc32(np.ascontiguousarray(tile).tobytes()):08x}"


def _stated(array: Any, name: str, study: str, default: float = math.nan) -> float:
    """A finite number among the attributes of an array."""
    value = array.attrs.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise StoreError(f"{array.basename} of {study} states no {name}; its metadata are damaged.")
    return float(value)


def _limit(dtype: np.dtype[Any]) -> float:
    return layout.INT16_LIMIT if dtype.kind == "i" else float(np.finfo(dtype).max)


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending row numbers as (first, length) of contiguous runs."""
    for _, group in itertools.groupby(enumerate(rows), key=lambda pair: pair[1] - pair[0]):
        run = [k for _, k in group]
        yield run[0], len(run)
