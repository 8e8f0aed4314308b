"""Volume: slicing keeps the place in the patient true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctinv.errors import InputError
from ctinv.volume import Box, Volume


def oblique(shape: tuple[int, int, int] = (5, 7, 6)) -> Volume:
    hu = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    affine = np.eye(4)
    affine[:3, :3] = [[0.1, -0.2, 0.8], [0.3, 0.7, 0.2], [2.4, -0.1, 0.1]]
    affine[:3, 3] = [10.0, -20.0, 30.0]
    return Volume(hu, affine, "1.2.3")


@given(st.data())
def test_a_voxel_stays_where_it_was(data: st.DataObject) -> None:
    volume = oblique()
    starts, stops = [], []
    for size in volume.shape:
        start = data.draw(st.integers(0, size - 1))
        starts.append(start)
        stops.append(data.draw(st.integers(start + 1, size)))
    part = volume[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))]
    inner = [data.draw(st.integers(0, b - a - 1)) for a, b in zip(starts, stops, strict=True)]
    whole = np.add(inner, starts)
    assert part.hu[tuple(inner)] == volume.hu[tuple(whole)]
    np.testing.assert_allclose(part.affine @ [*inner, 1], volume.affine @ [*whole, 1], atol=1e-12)
    assert part.offset == tuple(starts)


def test_slicing_twice_is_slicing_once() -> None:
    volume = oblique()
    twice, once = volume[1:5, 2:6][1:3, 1:3, 2], volume[2:4, 3:5, 2]
    assert np.array_equal(twice.hu, once.hu)
    assert twice.offset == once.offset == (2, 3, 2)
    np.testing.assert_allclose(twice.affine, once.affine)


@pytest.mark.parametrize("key", [(slice(0, 4, 2),), (slice(3, 3),), (7,), (0, 0, 0, 0)])
def test_what_is_no_part_is_refused(key: tuple[int | slice, ...]) -> None:
    with pytest.raises(InputError):
        oblique()[key]


def test_spacing_is_that_of_the_axes() -> None:
    affine = np.diag([2.5, 0.7, 0.8, 1.0])
    assert Volume(np.zeros((1, 2, 3), np.float32), affine, "u").spacing == (2.5, 0.7, 0.8)


@pytest.mark.parametrize("text", ["8,0:4", "8,0:4,1:2,3", "a,0:4,1:2", "8;0:4,1:2", "-1,0:4,1:2", ""])
def test_other_forms_of_a_box_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="z,y0:y1,x0:x1"):
        Box.parse(text)


@given(st.tuples(*[st.integers(0, 600)] * 5))
def test_a_box_reads_what_it_writes(numbers: tuple[int, int, int, int, int]) -> None:
    assert Box.parse(str(Box(*numbers))) == Box(*numbers)


@pytest.mark.parametrize(
    "box", [Box(5, 0, 2, 0, 2), Box(0, 0, 8, 0, 2), Box(0, 2, 2, 0, 2), Box(0, 0, 2, 5, 7)]
)
def test_a_box_outside_is_refused(box: Box) -> None:
    with pytest.raises(InputError, match=r"lies outside|is empty"):
        oblique()[box]


def test_other_voxels_are_another_image() -> None:
    volume = oblique()
    other = volume.with_hu(volume.hu + 1)
    assert other.uid != volume.uid
    assert other.uid == volume.with_hu(volume.hu + 1).uid
    assert np.array_equal(other.affine, volume.affine)


@pytest.mark.parametrize(
    ("hu", "affine"),
    [
        (np.zeros((2, 2), np.float32), np.eye(4)),
        (np.zeros((2, 2, 2), np.float64), np.eye(4)),
        (np.zeros((0, 2, 2), np.float32), np.eye(4)),
        (np.zeros((2, 2, 2), np.float32), np.zeros((4, 4))),
        (np.zeros((2, 2, 2), np.float32), np.full((4, 4), np.nan)),
    ],
)
def test_what_is_no_volume_is_refused(hu: np.ndarray, affine: np.ndarray) -> None:
    with pytest.raises(InputError):
        Volume(hu, affine, "u")
