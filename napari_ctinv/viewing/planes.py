"""Axial, coronal and sagittal views, as radiologists hang them: the head on top, the patient's right on the left."""

from __future__ import annotations

from typing import Any

AXIAL, CORONAL, SAGITTAL, OTHER = "axial", "coronal", "sagittal", "other"
PLANES = {AXIAL: (0, 1, 2), CORONAL: (1, 0, 2), SAGITTAL: (2, 0, 1)}
"""The order of z, y, x: the axis of the slider, then the vertical and the horizontal one."""


def plane_of(viewer: Any) -> str:
    """The plane on the canvas, `OTHER` where it is none of them."""
    dims = viewer.dims
    first = dims.ndim - 3
    seen = tuple(axis - first for axis in dims.displayed)
    planes = (name for name, order in PLANES.items() if order[1:] == seen)
    return next(planes, OTHER)


def show_plane(viewer: Any, plane: str) -> None:
    """Turn the viewer to a plane, in 2D."""
    dims = viewer.dims
    first = dims.ndim - 3
    dims.ndisplay = 2
    dims.order = (*range(first), *(first + axis for axis in PLANES[plane]))
    viewer.scene.camera.orientation2d = ("down" if plane == AXIAL else "up", "right")
    viewer.reset_view()
