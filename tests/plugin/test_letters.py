"""Letters at the edges of the canvas: they say where the patient lies in every order and flip of the axes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_studies import ORIENTATIONS, make_store, make_volume

from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import study_layers, volume_layer
from napari_ctinv.session import session_of
from napari_ctinv.viewing.letters import EDGES, NAME, letters_of

DOWN_RIGHT = ("down", "right")


def shown(viewer: ViewerModel) -> str:
    """The letters top, bottom, left, right that can be seen."""
    overlays = [viewer.canvas.overlays[NAME.format(edge)] for edge in EDGES]
    return "".join(overlay.text if overlay.visible else "·" for overlay in overlays)


@pytest.mark.parametrize(
    ("displayed", "expected"), [((1, 2), "APRL"), ((0, 2), "ISRL"), ((0, 1), "ISAP"), ((2, 1), "RLAP")]
)
def test_each_plane_has_its_letters(displayed: tuple[int, int], expected: str) -> None:
    assert "".join(letters_of(displayed, 3, DOWN_RIGHT).values()) == expected


def test_a_flipped_camera_flips_the_letters() -> None:
    assert "".join(letters_of((1, 2), 3, ("up", "right")).values()) == "PARL"
    assert "".join(letters_of((0, 2), 3, ("up", "left")).values()) == "SILR"


def test_the_axis_of_the_samples_has_no_letters_and_3d_has_none() -> None:
    assert "".join(letters_of((0, 3), 4, DOWN_RIGHT).values()) == "RL"
    assert "".join(letters_of((0, 1, 2), 3, DOWN_RIGHT).values()) == ""


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_voxels_lie_towards_their_letters(orientation: str) -> None:
    """In whichever order the scan was stored: the brightest edge of a ramp along P is at the letter P."""
    volume = make_volume(ORIENTATIONS[orientation])
    index = np.indices(volume.shape).reshape(3, -1)
    posterior = (volume.affine[:3, :3] @ index)[1].reshape(volume.shape).astype(np.float32)
    data, arguments, _ = volume_layer(volume.with_hu(posterior))
    lower, upper = data[:, 0], data[:, -1]
    if arguments["scale"][1] < 0:
        lower, upper = upper, lower
    assert letters_of((1, 2), 3, DOWN_RIGHT)["bottom"] == "P"
    assert upper.mean() > lower.mean()


def test_letters_follow_the_viewer(tmp_path: object) -> None:
    viewer = ViewerModel()
    model = session_of(viewer).scan
    assert NAME.format("top") not in viewer.canvas.overlays, "no letters without a scan"
    volume = make_volume()
    add_layers(viewer, [volume_layer(volume)])
    assert viewer.canvas.overlays.scale_bar.visible
    assert shown(viewer) == "APRL"
    viewer.dims.order = (1, 0, 2)
    assert shown(viewer) == "ISRL"
    viewer.scene.camera.orientation2d = ("up", "right")
    assert shown(viewer) == "SIRL"
    add_layers(viewer, study_layers(make_store(tmp_path / "s.zarr", volume, rows=2)))  # type: ignore[operator]
    viewer.dims.order = (0, 1, 2, 3)
    assert shown(viewer) == "PARL"
    viewer.dims.ndisplay = 3
    assert shown(viewer) == "····"
    viewer.dims.ndisplay = 2
    model.marks = False
    assert shown(viewer) == "····"
    assert not viewer.canvas.overlays.scale_bar.visible
    model.marks = True
    assert shown(viewer) == "PARL"


def test_planes_hang_as_in_radiology_and_follow_the_viewer() -> None:
    viewer = ViewerModel()
    model = session_of(viewer).scan
    add_layers(viewer, [volume_layer(make_volume())])
    for plane, expected in {"coronal": "SIRL", "sagittal": "SIAP", "axial": "APRL"}.items():
        model.plane = plane
        assert shown(viewer) == expected
    viewer.dims.order = (1, 2, 0)
    assert model.plane == "other"
    viewer.dims.order = (2, 0, 1)
    assert model.plane == "sagittal"
