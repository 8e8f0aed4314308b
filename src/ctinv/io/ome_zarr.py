"""Write images as one OME-Zarr folder (NGFF 0.5 on zarr 3) that viewers of microscopes and ours open alike.

NGFF knows lengths and a first place along each axis, but no direction. The axes z, y, x of a written image are therefore
those of its own grid: the coordinate along an axis is the place in the patient projected onto the axis' direction, in mm.
All images of one scan lie over each other so. The full affine, index (z, y, x, 1) to mm (LPS), stands in the image's own
attributes below ``"ctinv"``, with unit, statement and whatever facts are given.

References:
    OME-NGFF 0.5. https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import creating
from ctinv.errors import InputError
from ctinv.io._quiet import quiet
from ctinv.io._slice import directions
from ctinv.jsonable import plain
from ctinv.statement import USE, statement

if TYPE_CHECKING:
    import zarr

VERSION = "0.5"
_SPACE = [{"name": name, "type": "space", "unit": "millimeter"} for name in ("z", "y", "x")]
_SAMPLE = {"name": "sample", "type": "sample"}


@dataclass(frozen=True, eq=False)
class Image:
    """One image of the folder.

    Attributes:
        name: Name of its group: letters, digits and underscores.
        title: What it is, in words.
        shape: (Z, Y, X), or (n, Z, Y, X) for a stack whose first axis counts samples.
        parts: The float32 parts along the first axis, one after the other, so that a stack need not be in memory.
        affine: (4, 4) float64, index (z, y, x, 1) to mm (LPS).
        unit: Unit of the values.
        facts: Further JSON values for its own attributes.
    """

    name: str
    title: str
    shape: tuple[int, ...]
    parts: Iterable[NDArray[np.float32]]
    affine: NDArray[np.float64]
    unit: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_ome_zarr(
    folder: str | Path, images: Sequence[Image], *, facts: Mapping[str, Any] | None = None
) -> Path:
    """Write images into one new folder, at once or not at all.

    Args:
        folder: Must end in ``.zarr`` and not exist or be empty.
        images: At least one, each of another name.
        facts: JSON values that hold for all of them, such as their provenance.

    Returns:
        The folder.

    Raises:
        InputError: The name has another ending or is taken, or a shape is no (Z, Y, X) or (n, Z, Y, X).
        SeriesError: A grid is sheared.
        ResourceError: The disk refuses.
    """
    import zarr

    folder = Path(folder)
    if folder.suffix.lower() != ".zarr":
        raise InputError(f"an OME-Zarr folder must be named .zarr, got {folder.name}; end it in .ome.zarr.")
    if not images or len({image.name for image in images}) != len(images):
        raise InputError("an OME-Zarr folder needs at least one image, each of another name.")
    described = {image.name: _attributes(image) for image in images}
    own = {"statement": statement(), "use": USE, **plain(facts or {})}
    with creating(folder) as part, quiet():
        root = zarr.open_group(part, mode="w", zarr_format=3)
        root.attrs.update({"ome": {"version": VERSION, "bioformats2raw.layout": 3}, "ctinv": own})
        listed = root.create_group("OME")
        listed.attrs.update({"ome": {"version": VERSION, "series": [image.name for image in images]}})
        for image in images:
            group = root.create_group(image.name)
            group.attrs.update(described[image.name])
            _fill(group, image)
    return folder


def place_of(affine: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Scale and translation along z, y, x in mm: spacing, and the first voxel projected onto each axis' direction."""
    directions(affine)  # refuses a sheared grid
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return spacing.tolist(), ((affine[:3, :3] / spacing).T @ affine[:3, 3]).tolist()


def _attributes(image: Image) -> dict[str, Any]:
    if len(image.shape) not in (3, 4):
        raise InputError(f"an image is (Z, Y, X) or (n, Z, Y, X), got {image.shape} for {image.name}.")
    stack = len(image.shape) == 4
    scale, translation = place_of(image.affine)
    first = [[1.0], [0.0]] if stack else [[], []]
    dataset = {
        "path": "0",
        "coordinateTransformations": [
            {"type": "scale", "scale": first[0] + scale},
            {"type": "translation", "translation": first[1] + translation},
        ],
    }
    axes = [_SAMPLE, *_SPACE] if stack else _SPACE
    ome = {
        "version": VERSION,
        "multiscales": [{"name": image.name, "axes": axes, "datasets": [dataset]}],
    }
    own = {
        "title": image.title,
        "unit": image.unit,
        "affine_lps": image.affine.tolist(),
        "axes": "of the grid; a coordinate is the place in mm (LPS) projected onto the direction of its axis",
        "statement": statement(),
        **plain(image.facts),
    }
    return {"ome": ome, "ctinv": own}


def _fill(group: zarr.Group, image: Image) -> None:
    """The one resolution, part by part; a part that is missing would stay NaN and is an error."""
    names = ["sample", "z", "y", "x"] if len(image.shape) == 4 else ["z", "y", "x"]
    array = group.create_array(
        "0",
        shape=image.shape,
        chunks=(*[1] * (len(image.shape) - 2), *image.shape[-2:]),
        dtype="float32",
        fill_value=float("nan"),
        dimension_names=names,
    )
    count = 0
    for values in image.parts:
        array[count] = values
        count += 1
    if count != image.shape[0]:
        raise InputError(f"{image.name} has {count} parts of {image.shape[0]}; export again.")
