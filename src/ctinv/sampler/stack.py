"""ImageStack: the images of a study as one lazy array, for a viewer that shows one plane after another.

A plane is stored in chunks of 25 samples, so reading one decodes its 24 neighbours too. They are kept, up to a bound in
bytes, and while someone walks through the samples the block ahead is decoded in a thread: of 25 steps at most one waits for
the disk, and a steady walk waits for none.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = NDArray[Any]

KEPT_BYTES = 160 * 2**20
"""Decoded blocks that one stack keeps at most; 250 samples of 512 x 512 take 125 MiB."""

_ahead = ThreadPoolExecutor(1, thread_name_prefix="ctinv-ahead")


class BlockCache:
    """The decoded blocks that were used last, bounded in bytes; safe to use from several threads.

    Args:
        read: From the number of a block to its values; called once for each block that is not kept.
        last: The number of the last block.
        limit: Bytes to keep at most, beside the block that is asked for.
    """

    def __init__(self, read: Callable[[int], Block], last: int, limit: int = KEPT_BYTES) -> None:
        self._read, self._last, self._limit = read, last, limit
        self._kept: OrderedDict[int, Future[Block]] = OrderedDict()
        self._lock = threading.Lock()
        self._before = 0

    @property
    def kept(self) -> tuple[int, ...]:
        """Numbers of the blocks that are kept or on their way, the last used at the end."""
        return tuple(self._kept)

    def get(self, number: int) -> Block:
        """One block, read now or earlier; whoever walks on finds the next one read.

        Raises:
            StoreError: It cannot be decoded.
        """
        block = self._claim(number)
        step, self._before = number - self._before, number
        beside = number + (step if abs(step) == 1 else 1)
        if abs(step) <= 1 and 0 <= beside <= self._last and beside not in self._kept:
            _ahead.submit(self._claim, beside, quietly=True)
        return block

    def _claim(self, number: int, *, quietly: bool = False) -> Block:
        with self._lock:
            known = self._kept.get(number)
            mine: Future[Block] = known or Future()
            self._kept[number] = mine
            if not (known and quietly):
                self._kept.move_to_end(number)
        if known is None:
            self._fill(number, mine)
        return mine.result()

    def _fill(self, number: int, place: Future[Block]) -> None:
        try:
            place.set_result(self._read(number))
        except Exception as error:  # whoever waits for the block is told; the next one tries again
            with self._lock:
                self._kept.pop(number, None)
            place.set_exception(error)
            return
        with self._lock:
            while self._bytes() > self._limit and len(self._kept) > 1:
                self._kept.popitem(last=False)

    def _bytes(self) -> int:
        done = [one for one in self._kept.values() if one.done() and one.exception() is None]
        return sum(one.result().nbytes for one in done)


class ImageStack:
    """(n, 1, h, w) images, looked up where they are indexed; what an image layer needs of an array, and no more.

    Args:
        count: Number of images.
        plane: Height and width of an image in voxels.
        image: From a place to its image, (1, h, w) float32.
        axes: Order in which the four axes are shown; the first is always the samples'.

    Attributes:
        dtype: float32.
        ndim: Four.
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(
        self,
        count: int,
        plane: tuple[int, int],
        image: Callable[[int], NDArray[np.float32]],
        axes: tuple[int, int, int, int] = (0, 1, 2, 3),
    ) -> None:
        self._count, self._plane, self._look_up, self._axes = count, plane, image, axes

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, 1, h, w), its last three in the order of the axes."""
        sizes = (self._count, 1, *self._plane)
        n, z, y, x = (sizes[axis] for axis in self._axes)
        return n, z, y, x

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self._count

    def transpose(self, axes: tuple[int, int, int, int]) -> ImageStack:
        """The same images with other axes; the first, of the samples, stays.

        Args:
            axes: For each new axis the old one.

        Raises:
            ValueError: The samples would not come first.
        """
        if axes[0] != 0:
            raise ValueError(f"expected the axis of the samples first, got {axes}.")
        a, b, c, d = (self._axes[axis] for axis in axes)
        return ImageStack(self._count, self._plane, self._look_up, (a, b, c, d))

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = keys[:at] + (slice(None),) * (self.ndim - len(keys) + 1) + keys[at + 1 :]
        first, rest = (keys[0], keys[1:]) if keys else (slice(None), ())
        chosen = np.arange(self._count)[first]
        if np.ndim(chosen) == 0:
            return self._image(int(chosen))[rest]
        return self._images(chosen)[(slice(None), *rest)]

    def __deepcopy__(self, _memo: Any) -> ImageStack:
        return self  # it is never changed, and a copy of a layer shares what was read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._images(np.arange(self._count)).astype(dtype or self.dtype, copy=False)

    def _images(self, chosen: NDArray[np.integer]) -> NDArray[np.float32]:
        out = np.empty((len(chosen), *self.shape[1:]), dtype=self.dtype)
        for place, index in enumerate(chosen):
            out[place] = self._image(int(index))
        return out

    def _image(self, index: int) -> NDArray[np.float32]:
        return self._look_up(index).transpose([axis - 1 for axis in self._axes[1:]])
