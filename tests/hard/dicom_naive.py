"""The reader that tutorials teach, as a control: the judge must find what it does wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray


def naive(path: Path, **options: Any) -> tuple[NDArray[Any], NDArray[np.float64], str]:
    """All files of a folder sorted by z, rescaled by the first one's tags, SliceThickness as the step, no orientation."""
    folder = path.parent if path.is_file() else path
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix == ".dcm"]
    made = [pydicom.dcmread(file, force=True) for file in files]
    made.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    first = made[0]
    stored = np.stack([ds.pixel_array.astype(np.float32) for ds in made])
    hu = stored * float(first.RescaleSlope) + float(first.RescaleIntercept)
    rows_mm, columns_mm = (float(v) for v in first.PixelSpacing)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = (
        float(first.SliceThickness),
        rows_mm,
        columns_mm,
        1,
    )
    affine[:3, 3] = [float(v) for v in first.ImagePositionPatient]
    return hu, affine, ""
