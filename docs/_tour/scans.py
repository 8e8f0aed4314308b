"""Station 1: a scan is opened."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QDialogButtonBox

from _tour.opening import PLUGIN
from _tour.stage import Stage
from ctinv.resources import ct_folder
from ctinv.volume import Box

Z = 8
"""Slice of the shipped CT with liver, rib, vertebra and lung."""

LIVER = Box(Z, 160, 224, 136, 200)
"""64 x 64 voxels of its liver."""


def scan(stage: Stage) -> None:
    """A folder with two series is opened, one is chosen, and looked at in the window of the lung."""
    chosen = stage.answer(lambda dialog: choose(stage, dialog))
    stage.section("Scan", "Opening").model.open(ct_folder())
    stage.wait_until(
        lambda: chosen() and stage.session.scan.layer is not None, "the chosen series is read", 120
    )
    ct = the_scan(stage)
    stage.section("Scan", "Opening")
    stage.picture("scan", places=places(stage, ct))
    window = stage.section("Scan", "Window")
    before = window.preset.value
    window.preset.value = next(name for name in stage.session.scan.presets if "lung" in name.lower())
    point_at(stage, ct, (Z, LIVER.y0, LIVER.x0))
    stage.picture("window", places=places(stage, ct))
    window.preset.value = before
    scroll(stage)


def scroll(stage: Stage) -> None:
    """Goes through the slices: what drawing alone takes on this machine, with nothing computed."""
    axis, here = stage.viewer.dims.ndim - 3, stage.viewer.dims.current_step
    with stage.watched("scrolling"):
        for z in range(stage.session.scan.layer.data.shape[0]):
            stage.viewer.dims.set_current_step(axis, z)
            stage.redrawn()
    stage.viewer.dims.current_step = here


def choose(stage: Stage, dialog: Any) -> None:
    """Takes the quarter dose, which comes second in the chooser."""
    stage.picture("chooser", dialog=dialog, shows_canvas=False)
    dialog.table.selectRow(dialog.table.rowCount() - 1)
    stage.click(dialog.buttons.button(QDialogButtonBox.StandardButton.Open))


def point_at(stage: Stage, layer: Any, index: tuple[int, ...]) -> None:
    """Puts the mouse over a voxel, so that the read-out speaks of it."""
    stage.viewer.cursor.position = tuple(layer.data_to_world(index))
    stage.pause(0.2)


def the_scan(stage: Stage) -> Any:
    """The layer of the shipped CT at a quarter of its dose, opened if it is not there, at its slice."""
    if stage.session.scan.layer is None:
        stage.viewer.open_sample(PLUGIN, "quarter_dose")
    layer = stage.session.scan.layer
    stage.viewer.dims.set_point(stage.viewer.dims.ndim - 3, layer.data_to_world([Z, 0, 0])[0])
    return layer


def places(stage: Stage, ct: Any) -> dict[str, list[list[int]]]:
    """Pixels of the picture that show bone, pixels that show lung, and two corners of a square of liver."""
    plane = ct.data[Z]
    masks = {"bone": plane > 700, "lung": (plane > -950) & (plane < -750)}
    found = {name: [stage.pixel(ct, (Z, *place)) for place in _inside(mask)] for name, mask in masks.items()}
    return {
        **found,
        "liver": [stage.pixel(ct, (Z, LIVER.y0, LIVER.x0)), stage.pixel(ct, (Z, LIVER.y1, LIVER.x1))],
    }


def _inside(mask: np.ndarray, count: int = 12) -> np.ndarray:
    """(count, 2) places whose neighbours belong to the mask too, spread over it."""
    from scipy.ndimage import binary_erosion

    found = np.argwhere(binary_erosion(mask))
    return found[np.linspace(0, len(found) - 1, count).astype(int)]
