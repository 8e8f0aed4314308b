"""NIfTI in and out: nibabel knows the header, sizes are checked before anything is unpacked, odd headers are refused.

nibabel itself does not read the files: it applies an intercept without a slope not at all, reads voxels from byte 0 where
a header says 0, mends what it finds odd without a word and unpacks whatever a packed file holds.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import replacing
from ctinv.errors import SeriesError
from ctinv.io._files import bare
from ctinv.io._quiet import quiet
from ctinv.io._unpack import Bytes, Damaged
from ctinv.io._voxels import Stored, affine_lps, check_type, make_volume, one_volume, read_voxels
from ctinv.statement import USE, statement
from ctinv.volume import Volume

_MAX_START = 16 * 2**20
_LONGEST_AXIS = 32767
_TO_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_GZIP = b"\x1f\x8b"
# Size of the header, which also tells the byte order; kind; magic of a file that holds header and voxels; first byte after
# the header and the four bytes that announce extensions.
_KINDS = {348: ("Nifti1Header", b"n+1\0", 352), 540: ("Nifti2Header", b"n+2\0", 544)}
_LINE_ENDS = (13, 10, 26, 10)  # in NIfTI-2; another value shows that the file was mangled as if it were text


def read_nifti(
    path: str | Path, *, memory_budget: int | None = None, modality: str = "CT", unit: str = ""
) -> Volume:
    """Read a three-dimensional NIfTI file whose values are HU, or in the unit of another modality.

    Args:
        path: ``.nii`` or ``.nii.gz``; whether it is packed is seen from its bytes.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; the file itself does not say.
        unit: Unit of the values, that of the modality by default.

    Returns:
        hu (Z, Y, X) float32, the file's order of voxels reversed, and its affine in LPS; nothing reoriented.

    Raises:
        SeriesError: The file is damaged, no 3-D scalar image, without orientation, or holds no finite HU.
    """
    path = Path(path)
    with quiet():
        header, packing = _header(path)
        stored = _layout(path, header, packing)
        affine, notes = _affine(path, header)
        slope, intercept = _scaling(path, header)
        hu = read_voxels(stored, slope=slope, intercept=intercept, memory_budget=memory_budget)
    return make_volume(stored, hu, affine, notes, slope=slope, modality=modality, unit=unit)


def write_nifti(volume: Volume, path: str | Path) -> Path:
    """Write the values as a float32 NIfTI file, at once or not at all; an existing file is replaced.

    The affine is kept to float32, the precision of the format.

    Args:
        volume: The volume.
        path: Must end in ``.nii`` or ``.nii.gz``.

    Raises:
        SeriesError: The name has another ending.
        ResourceError: The disk refuses.
    """
    return write_nifti_array(volume.hu, volume.affine, path)


def write_nifti_array(values: NDArray[np.float32], affine: NDArray[np.float64], path: str | Path) -> Path:
    """Write an image or a stack of images as `write_nifti` does.

    Args:
        values: (Z, Y, X) or (n, Z, Y, X); the n images are the fourth dimension of the file.
        affine: (4, 4), index (z, y, x, 1) to mm (LPS).
        path: Must end in ``.nii`` or ``.nii.gz``.

    Raises:
        SeriesError: The name has another ending, or an axis is longer than the 32767 that NIfTI-1 counts to.
        ResourceError: The disk refuses.
    """
    import nibabel as nib

    path = Path(path)
    ending = next((e for e in (".nii.gz", ".nii") if path.name.lower().endswith(e)), None)
    if ending is None:
        raise SeriesError(f"a NIfTI file must be named .nii or .nii.gz, got {bare(path)!r}.")
    if max(values.shape) > _LONGEST_AXIS:
        raise SeriesError(
            f"NIfTI holds at most {_LONGEST_AXIS} images or voxels along an axis; export fewer."
        )
    ras = _LPS @ affine[:, [2, 1, 0, 3]]
    with quiet():
        image = nib.Nifti1Image(values.transpose((3, 2, 1, 0) if values.ndim == 4 else (2, 1, 0)), ras)
        image.header.set_xyzt_units("mm")
        image.header["descrip"] = statement().encode()
        image.header.extensions.append(
            nib.nifti1.Nifti1Extension("comment", f"{statement()}. {USE}".encode())
        )
        image.set_sform(ras, code=1)
        image.set_qform(ras, code=1)
        with replacing(path, size=values.nbytes) as part, part.open("wb") as stream:
            if ending == ".nii":
                image.to_stream(stream)
            else:  # neither name nor time in the packing: equal images make equal files
                with gzip.GzipFile(
                    filename="", mode="wb", fileobj=stream, compresslevel=1, mtime=0
                ) as packed:
                    image.to_stream(packed)
    return path


def _header(path: Path) -> tuple[Any, str]:
    """nibabel's header of the file as it stands there, nothing mended, and how the file is packed."""
    import nibabel as nib

    try:
        with path.open("rb") as stream:
            packing = "gzip" if stream.read(2) == _GZIP else "raw"
            stream.seek(0)
            source = Bytes(stream, packing)
            start = source.read(4)
            order = next((o for o in ("<", ">") if int(np.frombuffer(start, f"{o}i4")[0]) in _KINDS), None)
            if order is None:
                raise Damaged
            size = int(np.frombuffer(start, f"{order}i4")[0])
            kind, magic, _ = _KINDS[size]
            header = getattr(nib, kind)(start + source.read(size - 4), endianness=order, check=False)
    except Damaged:
        raise SeriesError(
            f"{bare(path)} is not a readable NIfTI file; it is damaged or of another format."
        ) from None
    except OSError as error:
        raise SeriesError(
            f"{bare(path)} cannot be read ({error.strerror or 'input/output error'}); check the disk and rights."
        ) from None
    found = header["magic"].tobytes()
    if found[:3] in (b"ni1", b"ni2"):
        raise SeriesError(f"{bare(path)} is one half of a pair of files; convert it to one .nii.gz first.")
    if found != magic or (size == 540 and tuple(header["eol_check"]) != _LINE_ENDS):
        raise SeriesError(
            f"{bare(path)} is not a readable NIfTI file, its magic number is wrong; copy or convert it again."
        )
    return header, packing


def _layout(path: Path, header: Any, packing: str) -> Stored:
    """Where and how the voxels are stored, after the claims of the header were weighed against each other."""
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise SeriesError(
            f"{bare(path)} claims {axes} dimensions; its header is damaged, copy the file again."
        )
    shape = one_volume([int(n) for n in header["dim"][1 : axes + 1]], path)
    try:
        dtype = header.get_data_dtype()
    except Exception:
        raise SeriesError(
            f"{bare(path)} holds no integers or floats of up to 64 bits, or its header is damaged; convert it again."
        ) from None
    check_type(dtype, path)
    if int(header["bitpix"]) != 8 * dtype.itemsize:
        raise SeriesError(
            f"{bare(path)} claims {int(header['bitpix'])} bits for voxels of {8 * dtype.itemsize}; its header is damaged, "
            "convert it again."
        )
    first = _KINDS[int(header["sizeof_hdr"])][2]
    start = float(header["vox_offset"])
    if not first <= start <= _MAX_START or start != int(start):
        raise SeriesError(
            f"{bare(path)} lets its voxels start at byte {start:.4g}, not from {first} on; it is damaged, copy it again."
        )
    return Stored(path, path, shape, dtype, packing, inside=int(start))


def _affine(path: Path, header: Any) -> tuple[NDArray[np.float64], list[str]]:
    """Affine (z, y, x) to mm (LPS), from sform or else qform, and what there is to say about it."""
    sform, qform = _forms(path, header)
    chosen = sform if sform is not None else qform
    if chosen is None:
        raise SeriesError(
            f"{bare(path)} has neither sform nor qform, so its orientation is unknown; set one of them."
        )
    scale, notes = _length(path, header)
    if sform is not None and qform is not None and np.isfinite(qform).all():
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
        corners[:, :3] *= np.array(header["dim"][1:4], dtype=float) - 1
        with np.errstate(all="ignore"):
            gap = float(np.abs(corners @ (sform - qform).T).max()) * scale
        if gap > 0.05:
            notes.append(f"sform and qform differ by up to {gap:.1f} mm; sform was used")
    with np.errstate(all="ignore"):
        lps = _LPS @ np.asarray(chosen, dtype=np.float64)
    return affine_lps(lps[:3, :3] * scale, lps[:3, 3] * scale, path), notes


def _length(path: Path, header: Any) -> tuple[float, list[str]]:
    """Millimetres in the file's unit of length, and a note where it is not mm."""
    code = int(header["xyzt_units"]) & 7
    scale = _TO_MM.get(code)
    if scale is None:
        raise SeriesError(f"{bare(path)} states a unit of length that NIfTI does not know; set it to mm.")
    if code == 0:
        return scale, ["its unit of length is not stated; mm was taken"]
    if scale != 1:
        return scale, [f"lengths were converted from {'metres' if scale > 1 else 'micrometres'} to mm"]
    return scale, []


def _forms(path: Path, header: Any) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """sform and qform, None where their code is 0; a qform that is no rotation counts only if it is needed."""
    if not all(0 <= int(header[f"{form}_code"]) <= 5 for form in ("sform", "qform")):
        raise SeriesError(
            f"{bare(path)} has an sform or qform code that NIfTI does not know; set a valid sform."
        )
    sform = header.get_sform(coded=True)[0]
    if header["pixdim"][0] == 0:
        header["pixdim"][0] = 1  # what the standard says of a qfac of 0
    try:
        qform = header.get_qform(coded=True)[0]
    except Exception:
        if sform is None:
            raise SeriesError(
                f"the qform of {bare(path)} is singular or not finite, or no rotation; set a valid sform or qform."
            ) from None
        qform = None
    if sform is None and qform is not None and not (header["pixdim"][1:4] > 0).all():
        raise SeriesError(f"{bare(path)} states a spacing that is not positive; set a valid sform or qform.")
    return sform, qform


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    """Slope and intercept, refused where readers disagree on what the header means."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == intercept == 0 or (np.isnan(slope) and np.isnan(intercept)):
        return 1.0, 0.0
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise SeriesError(
            f"the scaling of {bare(path)} is ambiguous (slope {slope:g}, intercept {intercept:g}); rewrite it "
            "in HU."
        )
    if abs(slope) < 1e-9 or abs(slope) > 1e6 or abs(intercept) > 1e6:
        raise SeriesError(
            f"the scaling of {bare(path)} is implausible for HU; rewrite it with slope 1 and intercept 0."
        )
    return slope, intercept
