from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from plugin_studies import BOX, FEET_FIRST, make_volume

from ctinv.errors import CtinvError, InputError
from ctinv.volume import Box, Volume
from napari_ctinv.layers import volume_layer
from napari_ctinv.selection import (
    box_around,
    box_from_shape,
    slice_index,
    visible_height,
    volume_of,
    whole_slice,
)


def world(volume: Volume, z: float, y: float, x: float) -> np.ndarray:
    return (volume.affine @ [z, y, x, 1])[2::-1]


def corners(volume: Volume, box: Box, margin: float = 0.4) -> np.ndarray:
    """A rectangle drawn around the voxels of a box, a little outside their centres."""
    low_y, high_y = box.y0 - margin, box.y1 - 1 + margin
    low_x, high_x = box.x0 - margin, box.x1 - 1 + margin
    drawn = [(low_y, low_x), (low_y, high_x), (high_y, high_x), (high_y, low_x)]
    return np.array([world(volume, box.z, y, x) for y, x in drawn])


@pytest.mark.parametrize("matrix", [None, FEET_FIRST])
@pytest.mark.parametrize("box", [BOX, Box(0, 0, 40, 0, 36), Box(8, 39, 40, 35, 36)])
def test_a_drawn_rectangle_is_the_box_of_its_voxels(matrix: np.ndarray | None, box: Box) -> None:
    volume = make_volume() if matrix is None else make_volume(matrix)
    drawn = corners(volume, box)
    height = float(world(volume, box.z, 0, 0)[0])
    assert box_from_shape(drawn, volume, world_z=999.0) == box
    assert box_from_shape(drawn[:, 1:], volume, world_z=height) == box, (
        "a 2-D shape lies in the visible slice"
    )
    four = np.column_stack([np.zeros(4), drawn])
    assert box_from_shape(four, volume, world_z=999.0) == box, "a shape drawn over the sample stack"


def test_a_rectangle_over_the_edge_is_clipped_and_one_outside_is_refused(volume: Volume) -> None:
    over = corners(volume, Box(4, -10, 5, 30, 50))
    assert box_from_shape(over, volume, world_z=0.0) == Box(4, 0, 5, 30, 36)
    with pytest.raises(InputError, match="covers no voxel"):
        box_from_shape(corners(volume, Box(4, 60, 70, 0, 5)), volume, world_z=0.0)
    with pytest.raises(InputError, match="slice"):
        box_from_shape(corners(volume, Box(40, 0, 5, 0, 5)), volume, world_z=0.0)


def test_a_box_around_the_view_stays_inside(volume: Volume) -> None:
    height = float(world(volume, 4, 0, 0)[0])
    middle = world(volume, 4, 20, 18)
    assert box_around(middle[1:], volume, world_z=height, edge=16).shape == (16, 16)
    box = box_around(middle[1:], volume, world_z=height, edge=16)
    assert abs((box.y0 + box.y1 - 1) / 2 - 20) <= 0.5
    assert abs((box.x0 + box.x1 - 1) / 2 - 18) <= 0.5
    far = box_around(world(volume, 4, 900, -900)[1:], volume, world_z=height, edge=16)
    assert far == Box(4, 24, 40, 0, 16)
    assert box_around(middle[1:], volume, world_z=height, edge=64) == Box(4, 0, 40, 0, 36)
    assert whole_slice(volume, world_z=height) == Box(4, 0, 40, 0, 36)


def test_slices_are_found_by_height(volume: Volume) -> None:
    for z in range(volume.shape[0]):
        assert slice_index(float(world(volume, z, 0, 0)[0]) + 1.0, volume) == z
    with pytest.raises(InputError, match="outside the chosen scan"):
        slice_index(float(world(volume, 9, 0, 0)[0]), volume)


def test_a_region_needs_an_axial_view() -> None:
    assert visible_height((3.0, -12.5, 0.0, 0.0), (2, 3)) == -12.5
    for displayed in [(0, 1), (1, 2, 3)]:
        with pytest.raises(InputError, match="axial"):
            visible_height((3.0, -12.5, 0.0, 0.0), displayed)


def test_a_layer_gives_back_the_volume_it_was_made_of(volume: Volume) -> None:
    data, arguments, _ = volume_layer(volume)
    assert volume_of(Image(data, **arguments)) is volume


@pytest.mark.parametrize("change", ["moved", "scaled", "other values"])
def test_a_changed_layer_is_another_volume(volume: Volume, change: str) -> None:
    data, arguments, _ = volume_layer(volume)
    layer = Image(data, **arguments)
    if change == "moved":
        layer.translate = [1.0, 2.0, 3.0]
    elif change == "scaled":
        layer.scale = [1.0, 1.0, 1.0]
    else:
        layer.data = data * 0.5
    found = volume_of(layer)
    assert found.uid != volume.uid
    corner = np.array(volume.shape) - 1
    np.testing.assert_allclose((found.affine @ [*corner, 1])[2::-1], layer.data_to_world(corner))
    assert np.array_equal(found.hu, layer.data)


def test_an_image_from_elsewhere_is_a_volume_in_place() -> None:
    layer = Image(np.arange(12, dtype=np.int16).reshape(1, 3, 4), scale=(5, 0.5, -0.6), translate=(7, 8, 9))
    volume = volume_of(layer)
    np.testing.assert_allclose((volume.affine @ [0, 2, 3, 1])[2::-1], layer.data_to_world([0, 2, 3]))
    assert volume.hu.dtype == np.float32
    assert volume_of(Image(np.zeros((5, 6), np.float32), scale=(0.5, 0.7))).shape == (1, 5, 6)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Image(np.zeros((2, 3, 4, 5), np.float32)), "one image or one volume"),
        (Image(np.zeros((4, 5, 3), np.uint8)), "in HU"),
        (Image(np.zeros((8, 8), np.uint8)), "uint8"),
        (Image(np.full((8, 8), np.nan, np.float32), contrast_limits=(0, 1)), "NaN"),
        (Image(np.zeros((8, 8), np.float32), rotate=10), "rotated"),
    ],
)
def test_what_is_no_ct_is_refused_in_one_sentence(layer: Image, words: str) -> None:
    with pytest.raises(CtinvError, match=words) as caught:
        volume_of(layer)
    assert len(str(caught.value)) <= 200
