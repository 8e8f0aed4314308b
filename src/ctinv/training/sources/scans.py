"""What lies in a data folder: scans, the facts beside them, and who they are of, before any image is read.

A scan is a file of a known format or a folder with one DICOM series. Its identity is a hash: of the series UID for
DICOM, else of the file's size and three pieces of it. The patient's one, of the DICOM tags, is compared in memory and
never written or shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.io._fields import Fields
from ctinv.io._files import NotDicom, bare, open_dataset, regular_files
from ctinv.io._quiet import quiet
from ctinv.io.identity import PATIENT_KEYWORDS, digest, tags_of
from ctinv.volume import Acquisition

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".npy")
"""Files that hold a whole scan, all of which `ctinv.io.read` reads."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_PIECE = 2**20


@dataclass(frozen=True)
class Facts:
    """What a file ``NAME.json`` beside a scan says; all of it may be missing.

    Attributes:
        name: Name of the scan, chosen to be shown.
        patient: Key of the patient, chosen to be shown; scans that share it are of one patient.
        spacing_mm: Distance of voxels along z, y, x; needed to simulate from an array.
        acquisition: Dose tags for the simulation, in the words of `ctinv.volume.Acquisition`.
    """

    name: str = ""
    patient: str = ""
    spacing_mm: tuple[float, float, float] | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)


@dataclass(frozen=True)
class Identity:
    """Hashes that tell scans and patients apart.

    Attributes:
        scan: Eight hexadecimal digits.
        patient: Hash of the patient's DICOM tags, or None where they are empty or there are none. To compare only.
    """

    scan: str
    patient: str | None


@dataclass(frozen=True)
class Entry:
    """A scan in a folder: its file name without suffix, or the name of its folder, and what to read."""

    name: str
    path: Path


def visible(folder: Path) -> list[Path]:
    """What a folder holds, in order of names, without hidden entries.

    Raises:
        InputError: The folder cannot be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")))
    except OSError as error:
        raise InputError(
            f"the data folder cannot be listed ({error.strerror or 'input/output error'}); check the path."
        ) from None


def stem_of(path: Path) -> str | None:
    """The name of a scan file without its suffix; None if it has none of `SUFFIXES`."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return None


def scans_in(folder: Path) -> tuple[list[Entry], int]:
    """The scans of a folder, one per file or sub-folder, and how many entries hold none.

    A folder that holds DICOM files itself is one scan without a name.

    Raises:
        InputError: A sub-folder holds several scan files, or files and DICOM.
    """
    entries, rest = [], 0
    listed = visible(folder)
    if any(path.is_file() and is_dicom(path) for path in listed):
        return [Entry("", folder)], 0
    for number, path in enumerate(listed, start=1):
        if path.is_dir():
            scan = _scan_below(path, number)
            entries += [Entry(path.name, scan)] if scan else []
            rest += scan is None
        elif (stem := stem_of(path)) is not None:
            entries.append(Entry(stem, path))
    return entries, rest


def _scan_below(folder: Path, number: int) -> Path | None:
    """The one scan of a sub-folder: a file, the folder itself if it holds DICOM, or None."""
    paths = regular_files(folder)
    files = [path for path in paths if stem_of(path) is not None]
    dicom = any(is_dicom(path) for path in paths if stem_of(path) is None)
    if len(files) + dicom > 1:
        raise InputError(
            f"sub-folder {number} of the data, in order of names, holds several scans; one scan per sub-folder "
            "is expected, so make a sub-folder for each."
        )
    return folder if dicom else (files[0] if files else None)


def is_dicom(path: Path) -> bool:
    """Whether a file has the look of DICOM; its contents are not judged."""
    try:
        with quiet():
            open_dataset(path, [], pixels=False)
    except NotDicom:
        return False
    except Exception:  # damaged, which the reader says better when the scan is opened
        return True
    return True


def identity_of(scan: Path) -> Identity:
    """Who a scan is, from one DICOM header of it or from pieces of its file."""
    if scan.is_file():
        return Identity(_file_hash(scan), None)
    first = next(path for path in regular_files(scan) if stem_of(path) is None and is_dicom(path))
    try:
        with quiet():
            tags = tags_of(("SeriesInstanceUID", *PATIENT_KEYWORDS))
            fields = Fields([open_dataset(first, tags, pixels=False)])
            series, *person = map(fields.text, ("SeriesInstanceUID", *PATIENT_KEYWORDS))
    except Exception:  # damaged: the reader says so when the scan is opened
        series, person = "", []
    patient = digest(*person) if any(person) else None
    return Identity(digest(series)[:8] if series else _file_hash(first), patient)


def _file_hash(path: Path) -> str:
    """Hash of the size and of three pieces of a file: its beginning, middle and end."""
    size = path.stat().st_size
    state = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        for start in (0, size // 2, max(0, size - _PIECE)):
            stream.seek(start)
            state.update(stream.read(_PIECE))
    return state.hexdigest()[:8]


def facts_of(path: Path) -> Facts:
    """Read ``NAME.json``; no facts if there is no such file.

    Raises:
        InputError: It is no JSON object, or a value of a known key is of the wrong kind.
    """
    if not path.is_file():
        return Facts()
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        about = None
    if not isinstance(about, dict):
        raise InputError(
            f"expected {bare(path)} to be a JSON object with facts of the scan beside it; correct it."
        )
    return Facts(
        name=_chosen(path, about, "name"),
        patient=_chosen(path, about, "patient"),
        spacing_mm=_spacing(path, about.get("spacing_mm")),
        acquisition=Acquisition(
            kvp=_positive(path, about, "kvp"),
            exposure_mas=_positive(path, about, "exposure_mas"),
            slice_thickness_mm=_positive(path, about, "slice_thickness_mm"),
        ),
    )


def _chosen(path: Path, about: dict[str, Any], key: str) -> str:
    value = about.get(key, "")
    if value == "" or (isinstance(value, str) and _NAME.fullmatch(value)):
        return str(value)
    raise InputError(
        f"{key} in {bare(path)} must be up to 40 letters, digits, blanks, dots, _ or -; correct it."
    )


def _positive(path: Path, about: dict[str, Any], key: str) -> float | None:
    value = about.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value < 1e6:
        raise InputError(f"{key} in {bare(path)} must be a positive number; correct it or leave it out.")
    return float(value)


def _spacing(path: Path, value: Any) -> tuple[float, float, float] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(type(v) in (int, float) and v > 0 for v in value)
    ):
        raise InputError(
            f"spacing_mm in {bare(path)} must be three positive numbers along z, y, x; correct it."
        )
    return float(value[0]), float(value[1]), float(value[2])
