"""The lazy stack gives the stored values, keeps a bounded number of blocks, and reads none twice that it keeps."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from ctinv.errors import StoreError
from ctinv.sampler.stack import BlockCache, ImageStack

IMAGES = np.arange(10 * 4 * 2 * 3, dtype=np.int16).reshape(10, 4, 1, 2, 3)
BLOCK_BYTES = IMAGES[0].nbytes


class Reader:
    """Counts what is read; block 7 is damaged at first."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.damaged = {7}

    def __call__(self, number: int) -> NDArray[np.int16]:
        self.read.append(number)
        if number in self.damaged:
            raise StoreError("damaged")
        return IMAGES[number]


def stack_of(reader: Reader, limit: int = 100 * BLOCK_BYTES) -> tuple[ImageStack, BlockCache]:
    cache = BlockCache(reader, 9, limit)
    stack = ImageStack(40, (2, 3), lambda row: cache.get(row // 4)[row % 4].astype(np.float32) / 8)
    return stack, cache


def settled(cache: BlockCache) -> tuple[int, ...]:
    """What is kept once nothing more arrives."""
    before: tuple[int, ...] = ()
    while cache.kept != before:
        before = cache.kept
        time.sleep(0.05)
    return before


@pytest.mark.parametrize(
    "key",
    [3, -1, (3, 0), (5, 0, 1), (slice(2, 9, 3), 0), (Ellipsis, 2), (1, Ellipsis, 0), ([4, 1],), slice(None)],
)
def test_indexing_is_that_of_the_whole_array(key: object) -> None:
    reader = Reader()
    reader.damaged.clear()
    (stack, _cache), whole = stack_of(reader), (IMAGES.reshape(40, 1, 2, 3) / 8).astype(np.float32)
    np.testing.assert_array_equal(stack[key], whole[key])
    assert stack[key].dtype == np.float32
    turned = stack.transpose((0, 3, 1, 2))
    assert turned.shape == (40, 3, 1, 2)
    np.testing.assert_array_equal(np.asarray(turned), whole.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(turned.transpose((0, 2, 3, 1))[key], whole[key])


def test_a_walk_reads_each_block_once_and_the_next_one_ahead() -> None:
    reader = Reader()
    stack, cache = stack_of(reader)
    for row in range(12):
        stack[row]
    settled(cache)
    assert sorted(reader.read) == [0, 1, 2, 3], "three were walked through, one lies ahead"


def test_only_so_many_bytes_are_kept() -> None:
    reader = Reader()
    reader.damaged.clear()
    stack, cache = stack_of(reader, limit=3 * BLOCK_BYTES)
    for row in (0, 39, 4, 30, 20):
        stack[row]
    assert len(settled(cache)) == 3
    np.testing.assert_array_equal(stack[0, 0], IMAGES[0, 0, 0] / 8)


def test_a_damaged_block_is_told_each_time_until_it_is_mended() -> None:
    reader = Reader()
    stack, _cache = stack_of(reader)
    for _ in range(2):
        with pytest.raises(StoreError):
            stack[28]
    reader.damaged.clear()
    np.testing.assert_array_equal(stack[28, 0], IMAGES[7, 0, 0] / 8)


def test_two_threads_that_want_one_block_read_it_once() -> None:
    begun, go = threading.Event(), threading.Event()
    read = []

    def slow(number: int) -> NDArray[np.int16]:
        read.append(number)
        begun.set()
        go.wait(10)
        return IMAGES[number]

    cache = BlockCache(slow, 0)
    first = threading.Thread(target=cache.get, args=(0,))
    second = threading.Thread(target=cache.get, args=(0,))
    first.start()
    begun.wait(10)
    second.start()
    go.set()
    first.join(10)
    second.join(10)
    assert read == [0]
