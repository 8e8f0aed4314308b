"""NIfTI in and out through nibabel: RAS to LPS, sizes checked before anything is unpacked, odd headers "
"refused."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import flush
from ctinv.errors import SeriesError
from ctinv.io import check_budget, check_hu, voxel_uid
from ctinv.io._files import bare
from ctinv.io._quiet import quiet
from ctinv.statement import USE, statement
from ctinv.volume import Acquisition, Volume

# Gzip packs zeros at best about 1030 to 1.
MAX_RATIO = 1100
_MAX_HEADER = 16 * 2**20
_TO_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(
    path: str | Path, *, memory_budget: int | None = None, modality: str = "CT", unit: str = ""
) -> Volume:
    """Read a three-dimensional NIfTI file whose values are HU, or in the unit of another modality.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; the file itself does not say.
        unit: Unit of the values, that of the modality by default.

    Returns:
        hu (Z, Y, X) float32, the file's order of voxels reversed, and its affine in LPS; nothing reoriented.

    Raises:
        SeriesError: The file is damaged, no 3-D scalar image, without orientation, or holds no finite HU.
    """
    import nibabel as nib

    path = Path(path)
    with quiet():
        try:
            image: Any = nib.load(path)
        except Exception:
            raise SeriesError(
                f"{bare(path)} is not a readable NIfTI file; it is damaged or of another format."
            ) from None
        if not isinstance(image, (nib.Nifti1Image, nib.Nifti2Image)):
            raise SeriesError(f"{bare(path)} is not a single NIfTI file; convert it to .nii.gz first.")
        shape = _check_layout(path, image, memory_budget)
        affine, notes = _affine(path, image.header)
        hu, step = _voxels(path, image, shape)
    check_hu(hu, bare(path), modality)
    if abs(affine[2, 0]) < np.linalg.norm(affine[:3, 0]) * 0.7:
        notes.append("its slices are not axial; reorient it if they should be")
    return Volume(
        hu=hu,
        affine=affine,
        uid=voxel_uid(hu, affine),
        acquisition=Acquisition(step=None if modality == "CT" else step),
        notes=tuple(notes),
        modality=modality,
        unit=unit,
    )


def write_nifti(volume: Volume, path: str | Path) -> Path:
    """Write the values as a float32 NIfTI file, at once or not at all; an existing file is replaced.

    The affine is kept to float32, the precision of the format.

    Args:
        volume: The volume.
        path: Must end in ``.nii`` or ``.nii.gz``.

    Raises:
        SeriesError: The name has another ending or the disk refuses.
    """
    import nibabel as nib

    path = Path(path)
    ending = next((e for e in (".nii.gz", ".nii") if path.name.lower().endswith(e)), None)
    if ending is None:
        raise SeriesError(f"a NIfTI file must be named .nii or .nii.gz, got {bare(path)!r}.")
    affine = _LPS @ volume.affine[:, [2, 1, 0, 3]]
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}{ending}")
    try:
        with quiet():
            image = nib.Nifti1Image(volume.hu.transpose(2, 1, 0), affine)
            image.header.set_xyzt_units("mm")
            image.header["descrip"] = statement().encode()
            image.header.extensions.append(
                nib.nifti1.Nifti1Extension("comment", f"{statement()}. {USE}".encode())
            )
            image.set_sform(affine, code=1)
            image.set_qform(affine, code=1)
            nib.save(image, partial)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
        flush(path.parent)
    except OSError as error:
        raise SeriesError(
            f"{bare(path)} could not be written ({error.strerror or 'input/output error'}); check space and "
            "rights."
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return path


def _check_layout(path: Path, image: Any, budget: int | None) -> tuple[int, int, int]:
    """The (x, y, z) shape, after all claims of the header were weighed against the file."""
    header = image.header
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise SeriesError(
            f"{bare(path)} holds colours or complex numbers; one real number in HU per voxel is needed."
        )
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise SeriesError(
            f"{bare(path)} has the shape {shape}; one three-dimensional image is needed, so cut one volume "
            "out."
        )
    start = float(image.dataobj.offset)
    if not 0 <= start <= _MAX_HEADER:
        raise SeriesError(
            f"{bare(path)} says that its voxels start at byte {start:.3g}; its header is damaged."
        )
    x, y, z = shape
    need, size = x * y * z * dtype.itemsize, path.stat().st_size
    packed = path.name.lower().endswith(".gz")
    if need > size * (MAX_RATIO if packed else 1):
        raise SeriesError(
            f"{bare(path)} claims {need / 2**20:.1f} MB of voxels in a file of {size / 2**20:.2f} MB; it is "
            "truncated or damaged."
        )
    check_budget(x * y * z, budget)
    return x, y, z


def _affine(path: Path, header: Any) -> tuple[NDArray[np.float64], list[str]]:
    """Affine (z, y, x) to mm (LPS), from sform or else qform, and what there is to say about it."""
    notes = []
    sform, qform = (header.get_sform(coded=True)[0], header.get_qform(coded=True)[0])
    chosen = sform if sform is not None else qform
    if chosen is None:
        raise SeriesError(
            f"{bare(path)} has neither sform nor qform, so its orientation is unknown; set one of them."
        )
    if not np.isfinite(chosen).all() or abs(np.linalg.det(chosen[:3, :3])) < 1e-12:
        raise SeriesError(
            f"the affine of {bare(path)} is singular or not finite; set a valid sform or qform."
        )
    scale = _TO_MM.get(int(header["xyzt_units"]) & 7)
    if scale is None:
        raise SeriesError(f"{bare(path)} states a unit of length that NIfTI does not know; set it to mm.")
    if scale != 1:
        notes.append(f"lengths were converted from {'metres' if scale > 1 else 'micrometres'} to mm")
    if sform is not None and qform is not None and np.isfinite(qform).all():
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
        corners[:, :3] *= np.array(header.get_data_shape()[:3]) - 1
        gap = float(np.abs(corners @ (sform - qform).T).max()) * scale
        if gap > 0.05:
            notes.append(f"sform and qform differ by up to {gap:.1f} mm; sform was used")
    affine = _LPS @ chosen
    affine[:3] *= scale
    return affine[:, [2, 1, 0, 3]], notes


def _voxels(path: Path, image: Any, shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], float | None]:
    """Scaled values as (Z, Y, X) float32, and the step between them if integers are stored."""
    slope, intercept = _scaling(path, image)
    try:
        stored = np.asanyarray(image.dataobj.get_unscaled()).reshape(shape)
    except Exception:
        raise SeriesError(
            f"the voxels of {bare(path)} are truncated or damaged; copy the file again."
        ) from None
    with np.errstate(all="ignore"):
        hu = np.ascontiguousarray(stored.transpose(2, 1, 0), dtype=np.float32)
        if slope != 1:
            hu *= np.float32(slope)
        if intercept != 0:
            hu += np.float32(intercept)
    return hu, abs(slope) if stored.dtype.kind in "iu" else None


def _scaling(path: Path, image: Any) -> tuple[float, float]:
    """Slope and intercept, refused where readers disagree on what the header means."""
    # nibabel has already replaced odd pairs in its proxy; look at what the file itself says.
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        raw = type(image.header).from_fileobj(stream, check=False)
    stated, offset = float(raw["scl_slope"]), float(raw["scl_inter"])
    unscaled = stated == offset == 0 or (np.isnan(stated) and np.isnan(offset))
    if not unscaled and (stated == 0 or not np.isfinite([stated, offset]).all()):
        raise SeriesError(
            f"the scaling of {bare(path)} is ambiguous (slope {stated:g}, intercept {offset:g}); rewrite it "
            "in HU."
        )
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if abs(slope) < 1e-9 or abs(slope) > 1e6 or abs(intercept) > 1e6:
        raise SeriesError(
            f"the scaling of {bare(path)} is implausible for HU; rewrite it with slope 1 and intercept 0."
        )
    return slope, intercept
