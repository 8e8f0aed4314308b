"""What is drawn in millimetres holds the same tissue in every image, whatever its grid."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from plugin_studies import ORIENTATIONS, make_volume

from napari_ctinv.layers import volume_layer
from napari_ctinv.placement import canonical
from napari_ctinv.regions import Grid, regions_of_labels, regions_of_shapes

SCALE, TRANSLATE = (2.5, 0.8, -0.7), (10.0, -20.0, 30.0)


def image(shape: tuple[int, ...] = (5, 40, 36), **options) -> Image:
    return Image(np.zeros(shape, np.float32), scale=SCALE, translate=TRANSLATE, **options)


def world(index: tuple[float, float, float]) -> np.ndarray:
    return np.array(index) * SCALE + TRANSLATE


def test_a_rectangle_in_world_mm_holds_the_voxels_below_it() -> None:
    corners = [world((3, y, x)) for y, x in ((4.5, 6.5), (4.5, 12.5), (9.5, 12.5), (9.5, 6.5))]
    (region,) = regions_of_shapes(Shapes([np.array(corners)], shape_type="rectangle"), 0.0)
    cut = region.on(Grid.of(image()))
    assert (cut.axis, cut.index, cut.missing) == (0, 3, 0)
    expected = np.zeros((40, 36), bool)
    expected[5:10, 7:13] = True
    assert (cut.mask == expected).all()


def test_a_shape_on_a_scaled_layer_and_in_world_mm_are_one() -> None:
    data = np.array([(2, 3.2, 4.1), (2, 3.2, 20.3), (2, 30.7, 20.3), (2, 30.7, 4.1)])
    on_voxels = Shapes([data], shape_type="ellipse", scale=SCALE, translate=TRANSLATE)
    in_mm = Shapes([np.array([world(tuple(corner)) for corner in data])], shape_type="ellipse")
    cuts = [regions_of_shapes(layer, 0.0)[0].on(Grid.of(image())) for layer in (on_voxels, in_mm)]
    assert (cuts[0].mask == cuts[1].mask).all()
    y, x = np.mgrid[:40, :36]
    inside = ((y - 16.95) / 13.75) ** 2 + ((x - 12.2) / 8.1) ** 2 <= 1
    assert (cuts[0].mask == inside).all()
    assert cuts[0].index == 2


def test_a_coronal_shape_lies_across_the_second_axis() -> None:
    corners = [world(index) for index in ((0.6, 8, 3.5), (0.6, 8, 7.5), (3.4, 8, 7.5), (3.4, 8, 3.5))]
    (region,) = regions_of_shapes(Shapes([np.array(corners)], shape_type="polygon"), 0.0)
    cut = region.on(Grid.of(image()))
    assert (cut.axis, cut.index) == (1, 8)
    assert cut.mask.shape == (5, 36)
    assert (np.argwhere(cut.mask).min(0) == (1, 4)).all()
    assert (np.argwhere(cut.mask).max(0) == (3, 7)).all()
    values = np.arange(5 * 40 * 36).reshape(5, 40, 36)
    assert (cut.of(values) == values[:, 8]).all()


def test_the_part_beyond_a_smaller_image_is_counted() -> None:
    small = Image(np.zeros((1, 10, 10), np.float32), scale=SCALE, translate=world((3, 5, 7)))
    corners = [world((3, y, x)) for y, x in ((0.5, 0.5), (0.5, 9.5), (8.5, 9.5), (8.5, 0.5))]
    (region,) = regions_of_shapes(Shapes([np.array(corners)], shape_type="rectangle"), 0.0)
    whole, part = region.on(Grid.of(image())), region.on(Grid.of(small))
    assert whole.mask.sum() == 8 * 9
    assert part.mask.sum() == 4 * 3
    assert part.missing == 8 * 9 - 12
    other = Image(np.zeros((1, 10, 10), np.float32), scale=SCALE, translate=world((1, 0, 0)))
    nothing = region.on(Grid.of(other))
    assert (nothing.index, nothing.mask.sum(), nothing.missing) == (-1, 0, 8 * 9)


def test_flat_layers_and_stacks_take_the_visible_slice() -> None:
    flat = Shapes([np.array([(0, 0), (0, 3), (3, 3), (3, 0)])], shape_type="rectangle", scale=SCALE[1:])
    (region,) = regions_of_shapes(flat, 17.5)
    assert region.axis == 0
    assert region.corners[:, 0] == pytest.approx(17.5)
    grid = Grid.of(Image(np.zeros((6, 7), np.float32), scale=SCALE[1:]))
    assert region.on(grid).mask.sum() == 4 * 4
    stack = Image(np.zeros((9, 1, 6, 7), np.float32), scale=(1, *SCALE), translate=(0, *TRANSLATE))
    assert Grid.of(stack).shape == (1, 6, 7)


def test_lines_and_paths_hold_nothing() -> None:
    line = Shapes([np.array([(0, 0, 0), (0, 5, 5)])], shape_type="line")
    assert regions_of_shapes(line, 0.0) == []


def test_labels_are_asked_at_the_centres_of_the_voxels() -> None:
    labels = np.zeros((5, 40, 36), np.uint8)
    labels[3, 5:10, 7:13], labels[3, 20:22, 4:6], labels[2] = 1, 7, 3
    layer = Labels(labels, scale=SCALE, translate=TRANSLATE)
    found = regions_of_labels(layer, 0, world((3, 0, 0))[0])
    assert [region.name for region in found] == ["label 1", "label 7"]
    same = found[0].on(Grid.of(image()))
    assert (same.mask == (labels[3] == 1)).all()
    assert same.missing == 0
    fine = Image(
        np.zeros((5, 80, 72), np.float32), scale=(2.5, 0.4, -0.35), translate=world((0, -0.25, -0.25))
    )
    assert found[0].on(Grid.of(fine)).mask.sum() == 4 * 30, "each voxel of the label holds four"
    part = Image(np.zeros((1, 6, 6), np.float32), scale=SCALE, translate=world((3, 7, 9)))
    cut = found[0].on(Grid.of(part))
    assert (cut.mask.sum(), cut.missing) == (3 * 4, 30 - 12)
    assert regions_of_labels(layer, 0, world((9, 0, 0))[0]) == []


@pytest.mark.parametrize("matrix", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_orientation_holds_the_tissue_that_the_affine_says(matrix: np.ndarray) -> None:
    volume = canonical(make_volume(matrix))
    data, arguments, _ = volume_layer(volume)
    layer = Image(data, scale=arguments["scale"], translate=arguments["translate"])
    z, y, x = (size // 2 for size in layer.data.shape)
    corners = [
        layer.data_to_world((z, y + dy, x + dx))
        for dy, dx in ((-1.5, -2.5), (-1.5, 2.5), (1.5, 2.5), (1.5, -2.5))
    ]
    (region,) = regions_of_shapes(Shapes([np.array(corners)], shape_type="rectangle"), 0.0)
    cut = region.on(Grid.of(layer))
    expected = volume.hu[z, y - 1 : y + 2, x - 2 : x + 3]
    assert sorted(cut.of(layer.data)[cut.mask]) == sorted(expected.ravel())
