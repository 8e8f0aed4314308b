"""Scans in and out: DICOM series, NIfTI, NRRD, MetaImage and arrays to a Volume, and derived series back.

Importing this package loads none of the libraries; each format loads its own when it is used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError, SeriesError
from ctinv.names import bare
from ctinv.volume import Volume, check_modality

__all__ = ["from_array", "read", "voxel_uid"]


def read(
    path: str | Path, uid: str | None = None, *, modality: str | None = None, unit: str | None = None
) -> Volume:
    """Read a scan, whatever its format.

    Args:
        path: A DICOM folder or file, or a file ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha``, ``.mhd`` or
            ``.npy`` (HU, shape (Y, X) or (Z, Y, X)).
        uid: Which DICOM series, by SeriesInstanceUID or neutral number (``"#2"``).
        modality: ``"CT"``, ``"MR"`` or ``"PT"``. Files other than DICOM do not say what they are and count as CT unless
            this is given; DICOM files must agree with it.
        unit: Unit of the values of an MR or PET file other than DICOM, ``"a.u."`` and ``"Bq/ml"`` by default; a DICOM
            series states its own.

    Returns:
        The scan as a volume in HU, or the unit of its modality, and mm (LPS).

    Raises:
        InputError: There is no such modality, or the unit does not fit.
        SeriesError: The path does not hold one readable volume of the modality.
    """
    check_modality(modality or "CT")
    path = Path(path)
    name = path.name.lower()
    if not path.exists():
        raise SeriesError(f"there is no file or folder {bare(path)!r}; check the path.")
    if path.is_file():
        if name.endswith((".nii", ".nii.gz", ".hdr")):
            from ctinv.io.nifti import read_nifti

            return read_nifti(path, modality=modality or "CT", unit=unit or "")
        if name.endswith((".nrrd", ".nhdr")):
            from ctinv.io.nrrd import read_nrrd

            return read_nrrd(path, modality=modality or "CT", unit=unit or "")
        if name.endswith((".mha", ".mhd")):
            from ctinv.io.metaimage import read_metaimage

            return read_metaimage(path, modality=modality or "CT", unit=unit or "")
        if name.endswith(".npy"):
            from ctinv.io.npy import read_npy

            return read_npy(path, modality=modality or "CT", unit=unit or "")
    from ctinv.io.dicom import read_series

    if unit is not None:
        raise InputError("a DICOM series states its own unit; leave the unit out.")
    return read_series(path, uid, modality=modality)


def from_array(
    hu: NDArray[Any],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    *,
    modality: str = "CT",
    unit: str = "",
) -> Volume:
    """Make a volume of an array in HU, or in the unit of another modality.

    Args:
        hu: (Y, X) or (Z, Y, X), any real number type, finite.
        spacing: Distance of voxels along z, y, x in mm.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``.
        unit: Unit of the values, that of the modality by default.

    Raises:
        InputError: The array is no finite 2-D or 3-D image of plausible HU, or the spacing is not positive.
    """
    array = np.asarray(hu)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "iuf":
        raise InputError(
            f"expected HU as a (Y, X) or (Z, Y, X) array of numbers, got {array.dtype} of shape "
            f"{array.shape}."
        )
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"the spacing needs three positive numbers in mm along z, y, x, got {spacing}.")
    voxels = np.array(array[None] if array.ndim == 2 else array, dtype=np.float32, order="C")
    check_hu(voxels, "the array", modality)
    affine = np.zeros((4, 4))
    # Index order is (z, y, x), millimetres are (L, P, S): the axes swap, x runs to the left, z to the head.
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1.0
    return Volume(hu=voxels, affine=affine, uid=voxel_uid(voxels, affine), modality=modality, unit=unit)


def voxel_uid(hu: NDArray[np.float32], affine: NDArray[np.float64]) -> str:
    """``"sha256:…"`` of voxels and affine, the identity of a scan that has no series UID."""
    digest = hashlib.sha256(np.asarray(hu.shape, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(affine, dtype="<f8").tobytes())
    digest.update(np.ascontiguousarray(hu, dtype="<f4").data)
    return f"sha256:{digest.hexdigest()}"


def check_hu(hu: NDArray[np.float32], what: str, modality: str = "CT") -> None:
    """Raise SeriesError unless all values are finite and, if it is a CT, within what a CT can hold."""
    low, high = float(hu.min()), float(hu.max())  # NaN anywhere makes both NaN
    if not np.isfinite([low, high]).all():
        count = int(hu.size - np.isfinite(hu).sum())
        raise SeriesError(
            f"{what} holds {count} values that are NaN, infinite or beyond float32; replace them first."
        )
    if modality == "CT" and (low < -32768.5 or high > 65536):
        raise SeriesError(
            f"the values of {what} reach from {low:.3g} to {high:.3g}, which are no HU; rescale them or name their modality."
        )


def check_budget(voxels: int, budget: int | None, what: str = "the scan") -> None:
    """Raise SeriesError if float32 voxels, as a volume and its working copy, exceed the budget in bytes.

    The default budget is 60 % of the memory that is free now.
    """
    if budget is None:
        import psutil

        budget = int(0.6 * psutil.virtual_memory().available)
    if 8 * voxels > budget:
        raise SeriesError(
            f"{what} needs {8 * voxels / 2**20:.0f} MB of memory and {budget / 2**20:.0f} MB are allowed; "
            "read a smaller scan or raise the memory budget."
        )
