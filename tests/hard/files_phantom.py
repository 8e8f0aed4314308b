"""The image that every hard file holds, where it truly lies, and what a case is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CANARY = "Zebrafink"
SHAPE = (5, 7, 9)  # z, y, x
SPACING = (2.5, 0.8, 0.7)


def phantom() -> NDArray[np.int16]:
    """(5, 7, 9) whole HU in which no flip, swap or shift of axes leaves all values where they were."""
    z, y, x = np.indices(SHAPE)
    return (-1000 + 211 * z + 29 * y + 3 * x + 5 * ((x * y) % 7)).astype(np.int16)


def rotation(about_z: float = 20.0, about_x: float = 10.0) -> NDArray[np.float64]:
    a, b = np.radians([about_z, about_x])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return turn @ tilt


def affine(turn: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(4, 4) from index (z, y, x) to mm (LPS): oblique, anisotropic, away from the origin."""
    axes = (rotation() if turn is None else turn) * np.array(SPACING[::-1])
    true = np.eye(4)
    true[:3, :3] = axes[:, ::-1]
    true[:3, 3] = (-31.5, 12.25, -101.0)
    return true


@dataclass(frozen=True)
class Case:
    """One hard file.

    Attributes:
        name: What is odd about it.
        must: ``"read"``, ``"refuse"`` or ``"either"``: right or refused.
        make: Writes it into an empty folder and returns the path that a user would give.
        hu: (Z, Y, X) what it truly holds, HU.
        affine: (4, 4) where its voxels truly lie, index (z, y, x) to mm (LPS).
        note: Words that a note of the volume must hold if it is read.
        modality: What the user says that it is.
    """

    name: str
    must: str
    make: Callable[[Path], Path]
    hu: NDArray[Any] = field(default_factory=phantom)
    affine: NDArray[np.float64] = field(default_factory=affine)
    note: str = ""
    modality: str = "CT"


def outside(folder: Path) -> Path:
    """A file beside the folder of the case that nothing may open; it holds voxels that would fit."""
    secret = folder.parent / f"{folder.name}-outside.raw"
    secret.write_bytes(phantom().astype("<i2").tobytes())
    return secret
