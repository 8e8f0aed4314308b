"""Comparisons on napari's model of a viewer: the arrays that are shown are the right ones, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_studies import ORIENTATIONS, make_store, make_volume

from ctinv.errors import InputError
from ctinv.sampler import Store
from ctinv.volume import Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import study_layers, volume_layer
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.compare import BLINK, CHECKERBOARD, GRID, OFF, SWIPE
from napari_ctinv.viewing.compare import bounds


@pytest.fixture
def session(volume: Volume, store: Store) -> Iterator[Session]:
    """A scan, and a study of a part of it over it."""
    viewer = ViewerModel()
    session = session_of(viewer)
    assert session.compare.mode == OFF
    add_layers(viewer, [volume_layer(volume), *study_layers(store)])
    yield session
    session.close()


def picture(session: Session) -> Any:
    """All that a comparison may change."""
    viewer = session.viewer
    return (
        [
            (layer.name, layer.visible, layer.name_overlay.visible, getattr(layer, "contrast_limits", None))
            for layer in viewer.layers
        ],
        viewer.canvas.grid.enabled,
        viewer.canvas.grid.shape,
        viewer.canvas.grid.stride,
        viewer.scene.camera.center,
        viewer.scene.camera.zoom,
        viewer.layers.selection.active,
        [callback.__name__ for callback in viewer.mouse_drag_callbacks],
    )


def pair(session: Session) -> tuple[Any, Any]:
    fx, samples = session.shown.layer("denoised"), session.shown.samples
    session.compare.below, session.compare.above = fx, samples
    return fx, samples


def seen(layer: Any) -> np.ndarray:
    """The plane of a layer that the viewer is given."""
    return np.asarray(layer._data_view)


@pytest.mark.parametrize("mode", [GRID, BLINK, SWIPE, CHECKERBOARD])
def test_leaving_puts_everything_back(session: Session, mode: str) -> None:
    pair(session)
    session.shown.errors()
    samples = session.shown.samples
    assert samples is not None
    samples.contrast_limits = (-50, 90)
    session.viewer.layers.move(0, 3)
    before = picture(session)
    session.compare.tile = 2.0
    session.compare.enter(mode)
    session.compare.tick()
    samples.contrast_limits = (-300, 300)
    assert picture(session) != before
    session.compare.leave()
    assert picture(session) == before
    samples.contrast_limits = (0, 10)
    others = [
        layer for layer in session.viewer.layers if layer is not samples and hasattr(layer, "contrast_limits")
    ]
    assert all(layer.contrast_limits != [0, 10] for layer in others), "no window is linked any more"


def test_the_grid_shows_four_layers_in_order_with_one_window(session: Session) -> None:
    session.compare.enter(GRID)
    viewer = session.viewer
    grid = viewer.canvas.grid
    cells = {}
    for index, layer in enumerate(viewer.layers):
        if layer.visible:
            cells[grid.position(index, viewer.layers)] = layer
    assert [cells[place].name for place in ((0, 0), (0, 1), (1, 0), (1, 1))] == [
        "x region",
        "f(x) cnn10",
        "x˜ cnn10 output",
        "f(x˜) − f(x) [HU]",
    ]
    x, fx, samples, errors = (cells[place] for place in ((0, 0), (0, 1), (1, 0), (1, 1)))
    fx.contrast_limits = (-77, 88)
    assert x.contrast_limits == samples.contrast_limits == [-77, 88]
    low, high = errors.contrast_limits
    assert low == -high
    assert high != 88


def test_comparing_touches_only_what_it_shows_or_hides(session: Session) -> None:
    """napari lays its canvas out anew for every layer that is told its visibility, and hidden maps get no colour bars."""
    viewer, told = session.viewer, []
    session.shown.errors()
    before = {layer: layer.visible for layer in viewer.layers}
    bars = {layer: layer.colorbar.visible for layer in viewer.layers if hasattr(layer, "colorbar")}
    assert not all(bars.values())
    for layer in viewer.layers:
        layer.events.visible.connect(lambda event: told.append(event.source))
    session.compare.enter(GRID)
    changed = [layer for layer in viewer.layers if layer.visible != before[layer]]
    assert len(told) == len(set(told))
    assert set(told) == set(changed)
    session.compare.leave()
    assert len(told) == 2 * len(changed)
    assert {layer: layer.colorbar.visible for layer in bars} == {
        layer: shown or (layer in changed and layer.metadata["ctinv"].get("colorbar", False))
        for layer, shown in bars.items()
    }


def test_blink_shows_one_of_two_at_a_time(session: Session) -> None:
    fx, samples = pair(session)
    session.compare.enter(BLINK)
    shown = []
    for _ in range(4):
        visible = [layer for layer in session.viewer.layers if layer.visible]
        assert len(visible) == 1
        shown.append(visible[0])
        session.compare.tick()
    assert shown == [fx, samples, fx, samples]


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_swipe_shows_the_upper_layer_right_of_the_divider(tmp_path: Path, name: str) -> None:
    viewer = ViewerModel()
    session = session_of(viewer)
    add_layers(viewer, study_layers(make_store(tmp_path / "s.zarr", make_volume(ORIENTATIONS[name]), rows=3)))
    _fx, samples = pair(session)
    session.compare.share = 0.3
    session.compare.enter(SWIPE)
    (part,) = [layer for layer in viewer.layers if layer.name.startswith("part of")]
    for share in (0.3, 0.75):
        session.compare.share = share
        left, right, _top, _bottom = bounds(samples)
        values = part.data[1]
        whole = np.asarray(samples.data[1])
        x = np.array([part.data_to_world([0, 0, 0, column])[-1] for column in range(whole.shape[-1])])
        right_of = x >= left + share * (right - left)
        np.testing.assert_array_equal(np.isnan(values), np.broadcast_to(~right_of, values.shape))
        np.testing.assert_array_equal(values[..., right_of], whole[..., right_of])
        np.testing.assert_array_equal(seen(part), part.data[0, 0] if viewer.dims.point[0] == 0 else values)
    session.close()


def test_the_divider_is_dragged_where_it_is_taken_hold_of(session: Session) -> None:
    _fx, samples = pair(session)
    session.compare.enter(SWIPE)
    viewer = session.viewer
    drag = viewer.mouse_drag_callbacks[-1]
    left, right, top, _bottom = bounds(samples)
    event = type("Event", (), {"type": "mouse_press", "position": (0, 0, top, left + 0.5 * (right - left))})()
    steps = drag(viewer, event)
    next(steps)
    assert not viewer.scene.camera.mouse_pan, "the view stays while the divider moves"
    event.type, event.position = "mouse_move", (0, 0, top, left + 0.2 * (right - left))
    next(steps)
    assert session.compare.share == pytest.approx(0.2)
    event.type = "mouse_release"
    next(steps, None)
    assert viewer.scene.camera.mouse_pan
    event.type, event.position = "mouse_press", (0, 0, top, right + 1000.0)
    assert list(drag(viewer, event)) == [], "elsewhere the view is moved as always"


def test_the_checkerboard_alternates_tiles_of_so_many_millimetres(session: Session) -> None:
    _fx, samples = pair(session)
    tile = 4 * float(samples.scale[-1])  # 4 voxels wide; voxels are higher than wide here
    session.compare.tile = tile
    session.compare.enter(CHECKERBOARD)
    (part,) = [layer for layer in session.viewer.layers if layer.name.startswith("part of")]
    values, whole = part.data[0, 0], np.asarray(samples.data[0, 0])
    height = tile / float(samples.scale[-2])
    rows, columns = np.floor((np.arange(whole.shape[0]) + 0.5) / height), np.arange(whole.shape[1]) // 4
    odd = (rows[:, None] + columns) % 2 == 1
    np.testing.assert_array_equal(~np.isnan(values), odd)
    np.testing.assert_array_equal(values[odd], whole[odd])
    samples.contrast_limits = (-5, 5)
    assert part.contrast_limits == [-5, 5], "it keeps the colours of the whole layer"
    session.compare.tile = 2 * tile
    assert not np.array_equal(np.isnan(part.data[0, 0]), ~odd)


def test_a_map_is_cut_into_the_scan_with_its_own_colours(session: Session) -> None:
    scan = session.scan.layer
    assert scan is not None
    (spread,) = [layer for layer in session.viewer.layers if layer.name == "spread [HU]"]
    window = tuple(scan.contrast_limits)
    session.compare.below, session.compare.above = scan, spread
    session.compare.enter(SWIPE)
    (part,) = [layer for layer in session.viewer.layers if layer.name.startswith("part of")]
    assert part.colormap.name == "magma"
    assert part.contrast_limits == spread.contrast_limits
    assert tuple(scan.contrast_limits) == window, "a map has no window of the scan"


def test_what_cannot_be_compared_is_one_sentence(session: Session) -> None:
    fx, samples = pair(session)
    session.compare.above = fx
    with pytest.raises(InputError, match="two different layers"):
        session.compare.enter(SWIPE)
    session.compare.above = samples
    session.compare.tile = 0.1
    with pytest.raises(InputError, match="smaller than a voxel"):
        session.compare.enter(CHECKERBOARD)
    assert session.compare.mode == OFF
    samples.translate = samples.translate + 1000.0
    with pytest.raises(InputError, match="do not overlap"):
        session.compare.enter(BLINK)


def test_a_comparison_ends_when_one_of_its_layers_goes(session: Session) -> None:
    fx, _samples = pair(session)
    session.compare.enter(SWIPE)
    session.viewer.layers.remove(fx)
    assert session.compare.mode == OFF
    assert not any(layer.name.startswith(("part of", "divider")) for layer in session.viewer.layers)
    empty = ViewerModel()
    with pytest.raises(InputError, match="no study"):
        session_of(empty).compare.enter(GRID)
