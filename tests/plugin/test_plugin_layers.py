"""Geometry: whatever the orientation of a scan, each voxel is shown at its millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from numpy.typing import NDArray
from plugin_studies import AXIAL, BOX, HALO, ORIENTATIONS, make_store, make_volume

from ctinv.errors import SeriesError
from ctinv.sampler import Store
from ctinv.volume import Volume
from napari_ctinv.layers import LayerTuple, denoised_layer, removed_layer, study_layers, volume_layer

CORNERS = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T


def shown(layer: LayerTuple) -> Any:
    return Layer.create(*layer)


def value_at(layer: Any, world: Any) -> float:
    """The value of the voxel whose centre lies at this point."""
    index = np.array(layer.world_to_data(world))
    np.testing.assert_allclose(index, np.rint(index), atol=1e-6)
    assert (index > -0.5).all()
    return float(np.asarray(layer.data[tuple(round(i) for i in index)]))


def world_of_corners(layer: Any) -> NDArray[np.float64]:
    """(8, 3) mm in (S, P, L) of the corner voxels of a layer's last three axes."""
    size = np.array(layer.data.shape[-3:]) - 1
    lead = [0] * (layer.ndim - 3)
    return np.array([layer.data_to_world([*lead, *(corner * size)])[-3:] for corner in CORNERS])


def mm_of_corners(volume: Volume) -> NDArray[np.float64]:
    index = CORNERS * (np.array(volume.shape) - 1)
    return (index @ volume.affine[:3, :3].T + volume.affine[:3, 3])[:, ::-1]


def in_order(points: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded = np.round(points, 6)
    return rounded[np.lexsort(rounded.T)]


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_corners_of_a_volume_lie_at_their_millimetres(name: str) -> None:
    volume = make_volume(ORIENTATIONS[name])
    layer = shown(volume_layer(volume))
    np.testing.assert_allclose(in_order(world_of_corners(layer)), in_order(mm_of_corners(volume)))


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_each_value_is_shown_at_its_place(name: str) -> None:
    volume = make_volume(ORIENTATIONS[name])
    layer = shown(volume_layer(volume))
    for index in [(0, 0, 0), (8, 39, 35), (3, 17, 5), (8, 0, 20)]:
        mm = volume.affine @ [*index, 1]
        assert value_at(layer, mm[2::-1]) == volume.hu[index]


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_study_lies_exactly_over_its_scan(name: str, tmp_path: Path) -> None:
    volume = make_volume(ORIENTATIONS[name])
    store = make_store(tmp_path / "study.zarr", volume, rows=3)
    scan = shown(volume_layer(volume))
    region, fx, *maps, samples = (shown(layer) for layer in study_layers(store))
    z, y, x = BOX.z, BOX.y0 + 5, BOX.x0 + 7
    mm = (volume.affine @ [z, y, x, 1])[2::-1]
    assert value_at(scan, mm) == value_at(region, mm) == volume.hu[z, y, x]
    assert value_at(fx, mm) == store.setting.fx[5, 7]
    for k in range(3):
        assert value_at(samples, [k, *mm]) == store.read(k)[5, 7]
    mean, eta, worst, spread = maps
    assert value_at(mean, mm) == store.mean()[5, 7]
    assert value_at(eta, mm) == store.setting.eta[5, 7]  # type: ignore[index]
    assert value_at(spread, mm) == store.spread()[5, 7]
    assert value_at(worst, mm) == store.worst()[5 + HALO, 7 + HALO]


def test_all_layers_have_units_window_and_a_name_without_identity(store: Store) -> None:
    layers = [shown(layer) for layer in study_layers(store)]
    for layer in layers:
        assert [str(unit) for unit in layer.units[-3:]] == ["millimeter"] * 3
        assert layer.metadata["ctinv"]["provenance"]["seed"] == 0
    names = [layer.name for layer in layers]
    assert names == [
        "x region",
        "f(x) cnn10",
        "mean [HU]",
        "lesion map η",
        "worst feed-back error [HU]",
        "spread [HU]",
        "x̃ cnn10 output",
    ]
    limits = {layer.name: layer.contrast_limits for layer in layers}
    assert limits["x̃ cnn10 output"] == limits["f(x) cnn10"] == [-1350, 150], "the header's window"
    assert limits["lesion map η"] == [0, 1]
    assert limits["spread [HU]"][0] == 0
    assert limits["spread [HU]"][1] >= float(store.spread().max())


def test_a_blind_spot_shines_and_what_was_not_evaluated_is_clear(store: Store) -> None:
    eta = shown(study_layers(store)[3])
    blind, seen = eta.colormap.map(np.array([0.0, 1.0], dtype=np.float32))
    assert blind[:3].sum() > 2 > 0.8 > seen[:3].sum() > 0.4, "seen is dark, but not the black of the canvas"
    assert eta.colormap.map(np.array([np.nan]))[0, 3] == 0


def test_the_stack_is_lazy(store: Store) -> None:
    data = study_layers(store)[-1][0]
    assert data.shape == (7, 1, *BOX.shape)
    assert not isinstance(data, np.ndarray)
    assert data.dtype == np.float32


def test_an_unfinished_study_shows_what_is_there(tmp_path: Path, volume: Volume) -> None:
    store = make_store(tmp_path / "part.zarr", volume, rows=2, n=9)
    assert study_layers(store)[-1][0].shape[0] == 2


def test_soft_tissue_is_the_window_without_a_header(volume: Volume) -> None:
    from dataclasses import replace

    from ctinv.volume import Acquisition

    layer = shown(volume_layer(replace(volume, acquisition=Acquisition())))
    assert layer.contrast_limits == [-160, 240]


def test_removed_noise_is_signed_and_symmetric(volume: Volume) -> None:
    fx = shown(denoised_layer(volume, volume.hu * 0.5, denoiser="cnn10"))
    removed = shown(removed_layer(volume, volume.hu * 0.5, denoiser="cnn10"))
    low, high = removed.contrast_limits
    assert low == -high < 0
    assert np.array_equal(removed.data, volume.hu * 0.5)
    assert fx.name == "f(x) cnn10"
    np.testing.assert_allclose(fx.data_to_world([1, 2, 3]), removed.data_to_world([1, 2, 3]))


def test_a_turn_too_small_to_matter_is_taken_and_an_oblique_scan_is_refused() -> None:
    def turned(angle: float) -> Volume:
        c, s = np.cos(angle), np.sin(angle)
        return make_volume(np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ AXIAL)

    layer = shown(volume_layer(turned(1e-4)))
    difference = np.abs(world_of_corners(layer) - mm_of_corners(turned(1e-4))).max()
    assert 0 < difference <= 0.1 * 0.7
    with pytest.raises(SeriesError, match="oblique"):
        volume_layer(turned(0.02))
