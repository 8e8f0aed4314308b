"""A voxel belongs to a shape where its centre does; the statistics are those of exactly these voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctinv.errors import InputError
from ctinv.quality.roi import ellipse_mask, polygon_mask, roi_statistics
from ctinv.quality.squares import squares_inside

SHAPE = (40, 50)


def rectangle(y0: float, x0: float, y1: float, x1: float) -> list[tuple[float, float]]:
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]


@pytest.mark.parametrize(
    ("corners", "rows", "columns"),
    [
        (rectangle(4.5, 6.5, 9.5, 12.5), slice(5, 10), slice(7, 13)),  # along voxel borders
        (rectangle(5, 7, 9, 12), slice(5, 10), slice(7, 13)),  # centres on the edge count
        (rectangle(5.01, 7.01, 8.99, 11.99), slice(6, 9), slice(8, 12)),
        (rectangle(9.5, 12.5, 4.5, 6.5), slice(5, 10), slice(7, 13)),  # drawn the other way round
    ],
)
def test_a_rectangle_holds_the_voxels_whose_centres_it_holds(corners, rows, columns) -> None:
    mask, outside = polygon_mask(corners, SHAPE)
    expected = np.zeros(SHAPE, bool)
    expected[rows, columns] = True
    assert (mask == expected).all()
    assert outside == 0


def test_what_lies_outside_the_image_is_counted() -> None:
    mask, outside = polygon_mask(rectangle(-3.5, -2.5, 1.5, 2.5), SHAPE)
    assert mask.sum() == 2 * 3
    assert outside == 5 * 5 - 6
    nothing, beyond = ellipse_mask(rectangle(100.5, 100.5, 110.5, 110.5), SHAPE)
    assert not nothing.any()
    assert beyond > 0
    assert polygon_mask(rectangle(3.1, 3.1, 3.4, 3.4), SHAPE)[0].sum() == 0, "between voxels"


def test_an_ellipse_is_the_set_of_its_equation_and_its_area_is_pi_a_b() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mask, _ = ellipse_mask(rectangle(4.2, 7.4, 31.8, 43.6), SHAPE)
    assert (mask == (((y - 18) / 13.8) ** 2 + ((x - 25.5) / 18.1) ** 2 <= 1)).all()
    assert mask.sum() == pytest.approx(np.pi * 13.8 * 18.1, rel=0.01)


def test_a_turned_ellipse_is_the_turned_set() -> None:
    turn = np.deg2rad(30)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = np.array([(-12, -5), (-12, 5), (12, 5), (12, -5)]) @ axes.T + (20, 25)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along = np.stack([y - 20, x - 25], axis=-1) @ axes
    mask, _ = ellipse_mask(corners, SHAPE)
    assert (mask == ((along[..., 0] / 12) ** 2 + (along[..., 1] / 5) ** 2 <= 1)).all()


def test_a_hollow_polygon_leaves_its_hollow_out() -> None:
    mask, _ = polygon_mask([(2, 2), (2, 20), (20, 20), (20, 11), (8, 11), (8, 2)], SHAPE)
    assert mask[15, 15]
    assert not mask[15, 5]
    assert mask[2, 2:21].all(), "the edge belongs to it"
    assert mask[8, 3:12].all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10), st.integers(1, 10), st.integers(1, 15), st.integers(1, 15), st.booleans())
def test_integer_shifts_move_the_mask_along(dy: int, dx: int, height: int, width: int, turned: bool) -> None:
    shape_mask = ellipse_mask if turned else polygon_mask
    corners = np.array(rectangle(1.25, 1.25, 1.25 + height, 1.25 + width))
    here, _ = shape_mask(corners, SHAPE)
    there, _ = shape_mask(corners + np.array([dy, dx]), SHAPE)
    assert (np.roll(here, (dy, dx), (0, 1)) == there).all()


def test_statistics_are_those_of_the_voxels_inside() -> None:
    generator = np.random.default_rng(1)
    image = generator.normal(50, 10, SHAPE).astype(np.float32)
    mask, _ = polygon_mask(rectangle(4.5, 6.5, 9.5, 12.5), SHAPE)
    inside = image[5:10, 7:13].astype(np.float64)
    found = roi_statistics(image, mask, spacing_mm=(0.5, 0.8))
    assert (found.voxels, found.missing) == (30, 0)
    assert found.area_mm2 == pytest.approx(30 * 0.4)
    assert found.mean == pytest.approx(inside.mean())
    assert found.std == pytest.approx(inside.std(ddof=1))
    assert (found.minimum, found.maximum) == (inside.min(), inside.max())
    assert found.median == pytest.approx(np.median(inside))
    assert list(found.row()) == [
        "voxels", "missing", "area_mm2", "mean", "std", "minimum", "maximum", "median", "unit"
    ]  # fmt: skip


def test_unknown_voxels_are_counted_and_left_out() -> None:
    image = np.full((4, 4), 7.0, np.float32)
    image[0, 0] = np.nan
    found = roi_statistics(image, np.ones((4, 4), bool), spacing_mm=(1, 1), missing=3)
    assert (found.voxels, found.missing, found.mean, found.std) == (15, 4, 7.0, 0.0)
    empty = roi_statistics(image, np.zeros((4, 4), bool), spacing_mm=(1, 1))
    assert (empty.voxels, empty.area_mm2) == (0, 0.0)
    assert np.isnan([empty.mean, empty.std, empty.minimum, empty.median]).all()
    with pytest.raises(InputError, match="shape"):
        roi_statistics(image, np.ones((3, 4), bool), spacing_mm=(1, 1))


def test_squares_inside_a_region_fill_it_without_overlap() -> None:
    mask, _ = polygon_mask(rectangle(-0.5, -0.5, 33.5, 20.5), SHAPE)
    found = squares_inside(mask, 10)
    assert found == [(0, 0), (0, 10), (10, 0), (10, 10), (20, 0), (20, 10)]
    assert squares_inside(mask, 30) == []


@pytest.mark.parametrize("corners", [[(1, 1), (2, 2)], [(1, 1, 1)] * 3, [(np.nan, 1), (1, 1), (2, 2)]])
def test_what_is_no_shape_is_refused(corners) -> None:
    with pytest.raises(InputError, match="corners"):
        polygon_mask(corners, SHAPE)
