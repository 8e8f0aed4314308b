"""What the properties are tried on: how many examples, and scans, studies and records of any kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctinv.volume import Volume

FACTOR = int(os.environ.get("CTINV_EXAMPLES", "1"))


def examples(count: int, **more: Any) -> Callable[[Any], Any]:
    """So many examples, the same ones each time; CTINV_EXAMPLES times as many, each time others."""
    chosen: Callable[[Any], Any] = settings(
        max_examples=count * FACTOR,
        deadline=None,
        derandomize=FACTOR == 1,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        **more,
    )
    return chosen


@st.composite
def rotations(draw: st.DrawFn) -> NDArray[np.float64]:
    """(3, 3) rotations: oblique, axial, sagittal, coronal, and nearly so."""
    if draw(st.booleans()):
        columns = draw(st.permutations(range(3)))
        signs = draw(st.tuples(*[st.sampled_from((1.0, -1.0))] * 3))
        matrix = np.eye(3)[:, columns] * signs
        return matrix if np.linalg.det(matrix) > 0 else matrix * [1, 1, -1]
    parts = draw(st.lists(st.floats(-1, 1), min_size=4, max_size=4))
    w, x, y, z = (
        np.array(parts) / max(np.linalg.norm(parts), 1e-9) if np.linalg.norm(parts) > 0.1 else (1, 0, 0, 0)
    )
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@st.composite
def volumes(
    draw: st.DrawFn, *, low: float = -32000.0, high: float = 65000.0, sheared: bool = False
) -> Volume:
    """Scans of 1 to 40 voxels a side, 0.1 to 20 mm apart, in any orientation, of either hand, anywhere in 10 m.

    Args:
        draw: Of hypothesis.
        low, high: HU.
        sheared: Whether the grid may be a tilted one.
    """
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40)))
    spacing = draw(st.tuples(*[st.floats(0.1, 20.0)] * 3))
    affine = np.eye(4)
    affine[:3, :3] = draw(rotations())[:, ::-1] * spacing
    if draw(st.booleans()):
        affine[:3, 0] *= -1
    if sheared and draw(st.booleans()):
        affine[:3, 0] += draw(st.floats(-0.5, 0.5)) * affine[:3, 1]
    affine[:3, 3] = draw(st.tuples(*[st.floats(-5000, 5000)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    middle, spread = draw(st.floats(low, high)), draw(st.sampled_from((0.0, 1e-3, 50.0, 1000.0, high - low)))
    hu = np.clip(rng.normal(middle, spread, shape), low, high).astype(np.float32)
    return Volume(np.clip(hu, np.float32(low), np.float32(high)), affine, "1.2.3.4")


def corners(volume: Volume) -> NDArray[np.float64]:
    """(3, 8) mm: the outermost voxels."""
    z, y, x = (size - 1 for size in volume.shape)
    index = np.array([[i, j, k, 1] for i in (0, z) for j in (0, y) for k in (0, x)], dtype=np.float64)
    return (volume.affine @ index.T)[:3]
