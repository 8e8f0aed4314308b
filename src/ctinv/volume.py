"""Volume: an image of a patient that knows where it lies and what its numbers are.

The numbers are HU for a CT, the default, and the unit that the volume names for another modality.
An array index ``(z, y, x)`` maps to millimetres in DICOM's patient system (LPS: towards the left, posterior, superior)
by the affine, ``[p_L, p_P, p_S, 1] = affine @ [z, y, x, 1]``. Slicing a volume moves the affine and the offset with it,
so a patch stays where it was.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError

MODALITIES = {"CT": "HU", "MR": "a.u.", "PT": "Bq/ml"}
"""DICOM's name of each modality whose noise is known here, and its usual unit."""
_SERIES = "series:"


def series_uid(uid: str) -> str:
    """The uid of a volume that was read from a DICOM series: a hash of its UID, which is forgotten here."""
    return f"{_SERIES}{hashlib.sha256(uid.encode()).hexdigest()}"


def hash_series(uid: str) -> str:
    """The sha256 of a series UID, or of what stands for one, from the uid of a volume; 64 hexadecimal digits.

    It tells series apart and names none; whoever has the UID can recognise it.
    """
    known = re.fullmatch(f"{_SERIES}([0-9a-f]{{64}})", uid)
    return known[1] if known else hashlib.sha256(uid.encode()).hexdigest()


def uid_of(series: str) -> str:
    """The uid of a volume whose series is known by its hash only; `hash_series` gives the hash back."""
    return f"{_SERIES}{series}"


@dataclass(frozen=True)
class Acquisition:
    """The few technical facts of a scan that the noise model needs; nothing here identifies a patient.

    Attributes:
        kvp: Tube voltage in kV.
        exposure_mas: Exposure of one slice in mAs.
        slice_thickness_mm: Nominal slice thickness in mm.
        kernel: Name of the reconstruction kernel.
        dose_fraction: Fraction of the original dose, below 1 if this scan was simulated.
        photons: Photons per detector element and view without object, known only for scans simulated by this package.
        window: Display windows from the header as ``(centre, width)`` pairs in the unit of the volume.
        window_names: What the header calls each of these windows, "" where it says nothing known; empty if it names none.
        step: Step of the stored numbers in the unit of the volume, where it is another modality than CT.
    """

    kvp: float | None = None
    exposure_mas: float | None = None
    slice_thickness_mm: float | None = None
    kernel: str | None = None
    dose_fraction: float | None = None
    photons: float | None = None
    window: tuple[tuple[float, float], ...] = ()
    window_names: tuple[str, ...] = ()
    step: float | None = None


@dataclass(frozen=True)
class Box:
    """A region inside one slice: rows ``y0:y1`` and columns ``x0:x1`` of slice ``z``, half open as in NumPy."""

    z: int
    y0: int
    y1: int
    x0: int
    x1: int

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read ``"z,y0:y1,x0:x1"``, the form of the command line.

        Raises:
            InputError: The text has another form.
        """
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*", text)
        if match is None:
            raise InputError(
                f"expected a box as z,y0:y1,x0:x1 in voxels, got {text!r}; write e.g. 8,224:288,192:256."
            )
        return cls(*(int(part) for part in match.groups()))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in voxels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, to index a (..., H, W) array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def check_inside(self, shape: tuple[int, int, int]) -> None:
        """Raise InputError unless the box is non-empty and lies inside a volume of this (Z, Y, X) shape."""
        if self.y0 >= self.y1 or self.x0 >= self.x1:
            raise InputError(f"the box {self} is empty; both y0 < y1 and x0 < x1 are needed.")
        z, y, x = shape
        if min(self.z, self.y0, self.x0) < 0 or self.z >= z or self.y1 > y or self.x1 > x:
            raise InputError(
                f"the box {self} lies outside the volume of {z} slices with {y} x {x} voxels; "
                f"choose z below {z}, rows up to {y} and columns up to {x}."
            )

    def __str__(self) -> str:
        return f"{self.z},{self.y0}:{self.y1},{self.x0}:{self.x1}"


@dataclass(frozen=True, eq=False)
class Volume:
    """Numbers on a regular grid.

    Attributes:
        hu: (Z, Y, X) float32, Hounsfield units, or `unit` if the modality is another than CT.
        affine: (4, 4) float64, index (z, y, x, 1) to mm (LPS).
        uid: ``"series:…"`` with the sha256 of a DICOM series' UID, else ``"sha256:…"`` of the voxels; see `hash_series`.
        offset: Index of this volume's first voxel in the volume it was cut from.
        acquisition: Technical facts for the noise model.
        notes: What the reader skipped or changed, in plain words.
        modality: ``"CT"``, ``"MR"`` (magnitudes) or ``"PT"`` (positron emission tomography): decides the noise model.
        unit: Unit of the voxels; for a CT always HU.
    """

    hu: NDArray[np.float32]
    affine: NDArray[np.float64]
    uid: str
    offset: tuple[int, int, int] = (0, 0, 0)
    acquisition: Acquisition = field(default_factory=Acquisition)
    notes: tuple[str, ...] = ()
    modality: str = "CT"
    unit: str = ""

    def __post_init__(self) -> None:
        check_modality(self.modality)
        object.__setattr__(self, "unit", self.unit or MODALITIES[self.modality])
        if (self.modality == "CT") != (self.unit == "HU") or not re.fullmatch(r"[ -~µ³]{1,16}", self.unit):
            raise InputError(
                f"the unit {self.unit[:16]!r} does not fit the modality {self.modality}; CT and only CT is in HU."
            )
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise InputError(f"a volume needs a non-empty (Z, Y, X) array, got shape {self.hu.shape}.")
        if self.hu.dtype != np.float32:
            raise InputError(f"a volume holds its values as float32, got {self.hu.dtype}; convert it first.")
        if not _is_affine(self.affine):
            raise InputError("a volume needs a finite, invertible 4 x 4 affine from index to mm.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        z, y, x = self.hu.shape
        return z, y, x

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along z, y, x in mm."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    def __getitem__(self, key: int | slice | tuple[int | slice, ...] | Box) -> Volume:
        """Cut a part out; a single index keeps its axis with length 1, steps other than 1 are refused."""
        if isinstance(key, Box):
            key.check_inside(self.shape)
            key = (key.z, *key.slices)
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) > 3:
            raise InputError(f"a volume has three axes (z, y, x), got {len(parts)} indices.")
        ranges = []
        for part, size in zip((*parts, *[slice(None)] * (3 - len(parts))), self.shape, strict=True):
            if not isinstance(part, slice):
                if not -size <= part < size:
                    raise InputError(f"index {part} is outside an axis of {size} voxels.")
                part = slice(part % size, part % size + 1)
            start, stop, step = part.indices(size)
            if step != 1 or stop <= start:
                raise InputError(
                    f"a part of a volume must be contiguous and not empty, got {part} on {size} voxels."
                )
            ranges.append((start, stop))
        start_index = np.array([start for start, _ in ranges], dtype=np.float64)
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ start_index
        offset = tuple(int(o + s) for o, s in zip(self.offset, start_index, strict=True))
        hu = self.hu[tuple(slice(start, stop) for start, stop in ranges)]
        return replace(self, hu=hu, affine=affine, offset=offset)  # type: ignore[arg-type]

    def with_hu(self, hu: NDArray[np.float32]) -> Volume:
        """The same place in the patient with other voxel values of the same shape.

        Other voxels are another image, so the uid is new: a hash of the old one and the voxels.
        """
        if hu.shape != self.hu.shape:
            raise InputError(f"expected voxels of shape {self.hu.shape}, got {hu.shape}.")
        voxels = np.ascontiguousarray(hu, dtype=np.float32)
        digest = hashlib.sha256(self.uid.encode() + voxels.tobytes()).hexdigest()
        return replace(self, hu=voxels, uid=f"sha256:{digest}")


def _is_affine(affine: NDArray[np.float64]) -> bool:
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        return False
    with np.errstate(over="ignore"):  # numbers that no patient has
        return bool(1e-12 <= abs(np.linalg.det(affine)) < np.inf)


def check_modality(modality: str) -> None:
    """Raise InputError, listing the modalities, unless this is one."""
    if modality not in MODALITIES:
        raise InputError(f"there is no modality {modality!r}; choose one of {', '.join(MODALITIES)}.")
