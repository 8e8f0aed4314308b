"""Arrays of NumPy in: HU without a place, so their spacing is assumed and said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io import check_budget, check_hu, from_array
from ctinv.io._files import bare
from ctinv.volume import Volume

_MAX_HEADER = 2**16


def read_npy(
    path: str | Path, *, memory_budget: int | None = None, modality: str = "CT", unit: str = ""
) -> Volume:
    """Read a ``.npy`` file of real numbers, shape (Y, X) or (Z, Y, X), as a volume of 1 mm voxels.

    Args:
        path: The file.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; the file itself does not say.
        unit: Unit of the values, that of the modality by default.

    Raises:
        SeriesError: The file is damaged or holds other than one image of finite numbers.
    """
    path = Path(path)
    array = _mapped(path)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "iuf":
        kind = "numbers" if array.dtype.kind in "iuf" else "things other than real numbers"
        raise SeriesError(
            f"{bare(path)} holds {array.ndim} axes of {array.size} {kind}; one image (Y, X) or (Z, Y, X) is needed."
        )
    check_budget(int(array.size), memory_budget, bare(path))
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    check_hu(values, bare(path), modality)
    volume = from_array(values, modality=modality, unit=unit)
    return replace(volume, notes=("spacing unknown, 1 mm assumed",))


def _mapped(path: Path) -> NDArray[np.generic]:
    """The array as it lies on the disk; no byte of it is read yet."""
    try:
        with path.open("rb") as stream:
            major, _ = np.lib.format.read_magic(stream)
            # NumPy reads a header whole before it looks at its length.
            length = int.from_bytes(stream.read(2 if major == 1 else 4), "little")
        if length > _MAX_HEADER:
            raise ValueError
        array = np.load(path, allow_pickle=False, mmap_mode="r")
        if array.offset + array.nbytes != path.stat().st_size:
            raise ValueError
    except Exception:
        raise SeriesError(
            f"{bare(path)} is no NumPy array file of plain numbers, or it is truncated or damaged; save it again."
        ) from None
    return array
