"""Voxels of NIfTI, NRRD and MetaImage files, and what is checked on all of them alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io import check_budget, check_hu, voxel_uid
from ctinv.io._files import bare
from ctinv.io._unpack import PIECE, Bytes, Damaged, Surplus, bound
from ctinv.volume import Acquisition, Volume

# Beyond these lie damaged headers, not patients.
_EDGE_MM, _ORIGIN_MM = (1e-5, 1e4), 1e6
_EXACT = 2**24  # the largest range of integers that float32 holds one by one
_AT_ONCE = 2**18
_LONGEST_NUMBER = 64


@dataclass(frozen=True)
class Stored:
    """How voxels are stored, as a header says.

    Attributes:
        path: The file the user named, for messages.
        data: The file that holds the voxels; the same or one beside it.
        shape: (Z, Y, X), x running fastest.
        dtype: Type with its byte order.
        packing: ``"raw"``, ``"gzip"``, ``"zlib"``, ``"bzip2"`` or ``"text"``.
        start: Byte of `data` at which they begin, before unpacking; -1: they are its last bytes (raw only).
        inside: Bytes to pass over after unpacking.
    """

    path: Path
    data: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    packing: str
    start: int = 0
    inside: int = 0

    @property
    def count(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)


def check_type(dtype: np.dtype[np.generic], path: Path) -> None:
    """Raise SeriesError unless voxels of this type are real numbers of up to 64 bits."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise SeriesError(
            f"{bare(path)} holds colours, complex numbers or numbers above 64 bits; one real number in HU per voxel is "
            "needed."
        )


def one_volume(sizes: Sequence[int], path: Path) -> tuple[int, int, int]:
    """(Z, Y, X) of sizes that a header gives as (x, y, z, ...), where all further ones are 1.

    Raises:
        SeriesError: It is not one three-dimensional image.
    """
    spatial = list(sizes)
    while len(spatial) > 3 and spatial[-1] == 1:
        spatial.pop()
    if len(spatial) != 3 or min(spatial) < 1:
        said = " x ".join(f"{n:.4g}" if abs(n) > 99999 else str(n) for n in sizes[:7])
        raise SeriesError(
            f"{bare(path)} has the shape {said}; one three-dimensional image is needed, so cut or convert it."
        )
    x, y, z = spatial
    return z, y, x


def read_voxels(
    stored: Stored, *, slope: float = 1.0, intercept: float = 0.0, memory_budget: int | None = None
) -> NDArray[np.float32]:
    """(Z, Y, X) float32, slope x stored value + intercept, computed in float64 and rounded once.

    Raises:
        SeriesError: The claims do not fit the file or the memory, or the voxels are truncated, damaged or beyond float32.
    """
    _check_claims(stored, memory_budget)
    hu = np.empty(stored.count, dtype=np.float32)
    try:
        with stored.data.open("rb") as stream:
            need = stored.count * stored.dtype.itemsize
            stream.seek(stored.start if stored.start >= 0 else stored.data.stat().st_size - need)
            if stored.packing == "text":
                _read_text(stored, stream, hu)
            else:
                _read_binary(stored, stream, hu, slope, intercept)
    except Damaged:
        raise SeriesError(
            f"the voxels of {bare(stored.path)} are truncated or damaged; copy the file again."
        ) from None
    except Surplus:
        raise SeriesError(
            f"{bare(stored.path)} holds more voxels than its header says; its sizes are damaged, correct them."
        ) from None
    except OSError as error:
        raise SeriesError(
            f"{bare(stored.path)} cannot be read ({error.strerror or 'input/output error'}); check the disk and rights."
        ) from None
    return hu.reshape(stored.shape)


def _check_claims(stored: Stored, budget: int | None) -> None:
    """Weigh what the header claims against the bytes on the disk and the memory, before anything is unpacked."""
    need, size = stored.count * stored.dtype.itemsize + stored.inside, stored.data.stat().st_size
    most = size if stored.packing == "raw" else bound(size)
    if stored.packing == "text":
        need, most = 2 * stored.count, size + 1  # at least a digit and a space for each
    if need > most:
        raise SeriesError(
            f"{bare(stored.path)} claims {_size(need)} of voxels in a file of {_size(size)}; it is truncated or damaged."
        )
    check_budget(stored.count, budget, bare(stored.path))


def _size(count: float) -> str:
    if count < 2**20:
        return f"{count:.0f} bytes"
    return f"{count / 2**20:.1f} MB" if count < 10 * 2**30 else f"{count / 2**30:.3g} GB"


def _read_binary(
    stored: Stored, stream: BinaryIO, hu: NDArray[np.float32], slope: float, intercept: float
) -> None:
    source = Bytes(stream, stored.packing)
    source.skip(stored.inside)
    for at in range(0, len(hu), _AT_ONCE):
        part = hu[at : at + _AT_ONCE]
        values = np.frombuffer(source.read(len(part) * stored.dtype.itemsize), dtype=stored.dtype)
        _store(values, part, slope, intercept, stored.path)
    source.end()


def _read_text(stored: Stored, stream: BinaryIO, hu: NDArray[np.float32]) -> None:
    """Numbers in decimal, separated by white space."""
    at, rest = 0, b""
    while len(rest) <= _LONGEST_NUMBER:
        piece = stream.read(PIECE)
        words = (rest + piece).split()
        # The last word may go on in the next piece.
        rest = words.pop() if words and piece and not piece[-1:].isspace() else b""
        if at + len(words) > len(hu):
            raise Surplus
        if words:
            _store(_numbers(words, stored.dtype), hu[at : at + len(words)], 1.0, 0.0, stored.path)
        at += len(words)
        if not piece:
            break
    if at < len(hu) or rest:
        raise Damaged


def _numbers(words: list[bytes], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    try:
        if dtype.kind == "f":
            return np.array([float(word) for word in words])
        whole = np.array([int(word) for word in words], dtype=np.int64)
    except (ValueError, OverflowError):
        raise Damaged from None
    limits = np.iinfo(str(dtype))
    if int(whole.min()) < limits.min or int(whole.max()) > limits.max:
        raise Damaged
    return whole


def _store(
    values: NDArray[np.generic], out: NDArray[np.float32], slope: float, intercept: float, path: Path
) -> None:
    wide = values.dtype.kind in "iu" and values.dtype.itemsize >= 4
    if wide and (int(values.max()) > _EXACT or int(values.min()) < -_EXACT):
        raise SeriesError(
            f"{bare(path)} holds whole numbers beyond {_EXACT}, which float32 cannot tell apart; rescale it to HU."
        )
    with np.errstate(all="ignore"):
        out[...] = (
            values
            if (slope, intercept) == (1.0, 0.0)
            else np.asarray(values, dtype=np.float64) * slope + intercept
        )


def affine_lps(columns: NDArray[np.float64], origin: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """Affine from index (z, y, x) to mm.

    Args:
        columns: (3, 3), the steps along the file's x, y, z as columns in mm (LPS).
        origin: (3,) centre of the first voxel in mm (LPS).
        path: The file, for messages.

    Raises:
        SeriesError: A step is zero, not finite, or no size of a voxel; or all lie in one plane.
    """
    with np.errstate(all="ignore"):
        edges = np.linalg.norm(columns, axis=0)
        plausible = np.all((edges >= _EDGE_MM[0]) & (edges <= _EDGE_MM[1])) and np.all(
            np.abs(origin) <= _ORIGIN_MM
        )
        if not plausible or abs(np.linalg.det(columns / edges)) < 1e-4:
            raise SeriesError(
                f"the spacing, orientation or position in {bare(path)} is singular or not finite, or fits no patient; "
                "correct its header."
            )
    affine = np.eye(4)
    affine[:3, :3] = columns[:, ::-1]
    affine[:3, 3] = origin
    return affine


def make_volume(
    stored: Stored,
    hu: NDArray[np.float32],
    affine: NDArray[np.float64],
    notes: Sequence[str],
    *,
    slope: float = 1.0,
    modality: str,
    unit: str,
) -> Volume:
    """The volume, its values checked; says in its notes if the slices are not axial."""
    check_hu(hu, bare(stored.path), modality)
    if abs(affine[2, 0]) < np.linalg.norm(affine[:3, 0]) * 0.7:
        notes = [*notes, "its slices are not axial; reorient it if they should be"]
    stepped = modality != "CT" and stored.dtype.kind in "iu"
    return Volume(
        hu=hu,
        affine=affine,
        uid=voxel_uid(hu, affine),
        acquisition=Acquisition(step=abs(slope) if stepped else None),
        notes=tuple(notes),
        modality=modality,
        unit=unit,
    )
