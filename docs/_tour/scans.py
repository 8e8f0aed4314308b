"""Station 1: a scan is opened."""

from __future__ import annotations

from typing import Any

import numpy as np

from _tour.opening import PLUGIN
from _tour.stage import Stage
from ctinv.volume import Box

Z = 8
"""Slice of the shipped CT with liver, rib, vertebra and lung."""

LIVER = Box(Z, 160, 224, 136, 200)
"""64 x 64 voxels of its liver."""


def scan(stage: Stage) -> None:
    """The shipped CT, its window, and HU at the cursor."""
    ct = the_scan(stage)
    stage.section("Scan", "ScanChoice")
    stage.picture("scan", places=places(stage, ct))


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
