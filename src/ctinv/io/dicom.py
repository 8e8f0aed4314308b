"""Read one series from DICOM files into a Volume in true HU and millimetres, or refuse with one sentence.

It is a CT series unless another modality is asked for, or the files state one other modality and hold no CT; MR and PET
images keep their own unit (`ctinv.io._values`).

The common readers guess where a header is incomplete; a guess here would move or rescale every result
that follows. Only pydicom parses, only listed tags are read, and nothing is decoded before its size is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ctinv.errors import SeriesError
from ctinv.io import _pixels, check_budget, voxel_uid
from ctinv.io._choose import Group, choose, group_slices, minutes_of, refuse_problems, skipped_text
from ctinv.io._files import bare
from ctinv.io._geometry import Stack, median_step, stack
from ctinv.io._headers import Header, Scan, scan_files, scan_folder
from ctinv.io._quiet import quiet
from ctinv.progress import Progress
from ctinv.volume import Acquisition, Volume, check_modality, series_uid


@dataclass(frozen=True)
class SeriesInfo:
    """One choice in a folder.

    Attributes:
        number: Neutral number, from 1, in file order; `read_series(..., uid="#1")` takes it.
        uid: SeriesInstanceUID; not to be shown or written.
        slices: Number of slices found.
        spacing: Distance of slices, rows and columns in mm, NaN where unknown.
        matrix: Rows and columns.
        kernel: Reconstruction kernel, or None.
        minutes: Minutes from the earliest series of the folder to this one, by acquisition time where it is stated, else by
            series or content time; None where there is none. The moment itself is identity and is not kept.
        warnings: What speaks against reading it, in plain words; empty if nothing was seen in the headers.
    """

    number: int
    uid: str = field(repr=False)
    slices: int
    spacing: tuple[float, float, float]
    matrix: tuple[int, int]
    kernel: str | None
    minutes: float | None
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """``#1: 133 slices, 512 x 512, 2.50 mm, B30f, +3.2 min; what speaks against it``."""
        parts = [
            f"#{self.number}: {self.slices} slice{'s' * (self.slices > 1)}",
            f"{self.matrix[0]} x {self.matrix[1]}",
        ]
        parts += [f"{self.spacing[0]:.2f} mm"] if isfinite(self.spacing[0]) else []
        parts += [self.kernel] if self.kernel else []
        parts += [f"+{self.minutes:.1f} min"] if self.minutes is not None else []
        return ", ".join(parts) + "".join(f"; {warning}" for warning in self.warnings[:1])


def read_series(
    folder: str | Path,
    uid: str | None = None,
    *,
    modality: str | None = None,
    memory_budget: int | None = None,
    resample: bool = False,
    progress: Progress | None = None,
) -> Volume:
    """Read one series.

    Args:
        folder: Folder of the series, or one file of it.
        uid: SeriesInstanceUID or neutral number (``"#2"``) where the folder holds several series.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``: what the files must state. By default CT where there is some, else the
            one that the files state.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        resample: Put a series with a tilted gantry on an orthogonal grid instead of refusing it; recorded in
            the notes.
        progress: Called with a phrase and the share that is done; what it raises ends the reading.

    Returns:
        The volume, hu (Z, Y, X) float32 with the rescale of each slice applied; padding values are kept.

    Raises:
        ChoiceError: The folder holds several series and none was named.
        SeriesError: The files are no single, complete, regular series; the sentence says why.
    """
    if modality is not None:
        check_modality(modality)
    root = Path(folder)
    with quiet():
        if root.is_file():
            file = scan_files([root], modality)
            uid, modality = uid or _uid_of_file(root, file), file.modality
            root = root.parent
        scan = scan_folder(root, modality, progress)
        group = choose(group_slices(scan), scan, uid)
        siblings = sum(h.series_uid == group.uid for h in scan.headers) != len(group.headers)
        return _read(group, scan, siblings, memory_budget, resample, progress)


def list_series(folder: str | Path, *, modality: str | None = None) -> list[SeriesInfo]:
    """List the series that `read_series` would choose from; series that mix scans are listed in their parts.

    Args:
        folder: A folder, or a file in it.
        modality: What is looked for, as in `read_series`.

    Raises:
        InputError: There is no such modality.
        SeriesError: There is no such folder, or a file in it cannot be opened.
    """
    if modality is not None:
        check_modality(modality)
    with quiet():
        return [info for _, info in listed(Path(folder), modality)]


def listed(
    root: Path, modality: str | None, progress: Progress | None = None
) -> list[tuple[Group, SeriesInfo]]:
    """The groups of slices in a folder, each with what is known of it."""
    scan = scan_folder(root.parent if root.is_file() else root, modality, progress)
    groups = group_slices(scan)
    return [
        (group, _info(group, scan, minutes))
        for group, minutes in zip(groups, minutes_of(groups), strict=True)
    ]


def _uid_of_file(path: Path, scan: Scan) -> str:
    if not scan.headers:
        raise SeriesError(
            f"{bare(path)} is not a {scan.modality} image in DICOM format; give a file or folder of a "
            f"{scan.modality} series."
        )
    return scan.headers[0].series_uid


def _info(group: Group, scan: Scan, minutes: float | None) -> SeriesInfo:
    first, slices = group.headers[0], len(group.headers)
    warnings = list(dict.fromkeys(h.problem for h in group.headers if h.problem))
    step = float("nan")
    if not warnings:
        step = median_step(group.headers)
        try:
            ordered = stack(group.headers)
            step, slices = median_step(ordered.headers), len(ordered.headers)
            warnings += (
                [f"the gantry was tilted by {ordered.tilt_deg:.1f} degrees"] if ordered.tilt_deg else []
            )
        except SeriesError as error:
            warnings.append(str(error))
    warnings += [f"{len(scan.damaged)} damaged files in the folder may belong to it"] if scan.damaged else []
    rows_mm, columns_mm = (float(v) for v in first.pixel_spacing)
    return SeriesInfo(
        number=group.number,
        uid=group.uid,
        slices=slices,
        spacing=(step, rows_mm, columns_mm),
        matrix=(first.rows, first.columns),
        kernel=first.acquisition.kernel,
        minutes=minutes,
        warnings=tuple(warnings),
    )


def _read(
    group: Group,
    scan: Scan,
    siblings: bool,
    budget: int | None,
    resample: bool,
    progress: Progress | None,
) -> Volume:
    refuse_problems(group.headers)
    _pixels.check_claims(group.headers)
    claims = {header.path: header.rows * header.columns * header.frames for header in group.headers}
    check_budget(sum(claims.values()), budget)
    ordered = stack(group.headers)
    if ordered.tilt_deg and not resample:
        raise SeriesError(
            f"the gantry was tilted by {ordered.tilt_deg:.1f} degrees, so the slices are sheared; read it "
            "with resample=True to put it on an orthogonal grid."
        )
    hu, padded = _voxels(ordered, progress)
    volume = Volume(
        hu=hu,
        affine=ordered.affine,
        uid=_volume_uid(group, siblings) or voxel_uid(hu, ordered.affine),
        acquisition=_common(ordered.headers, scan.modality),
        notes=tuple(_notes(scan, ordered, padded)),
        modality=scan.modality,
        unit=_unit(ordered.headers),
    )
    if ordered.tilt_deg:
        from ctinv.io.itk_io import resample as to_orthogonal

        return to_orthogonal(volume)
    return volume


def _voxels(ordered: Stack, progress: Progress | None) -> tuple[Any, int]:
    first = ordered.headers[0]
    hu = np.empty((len(ordered.headers), first.rows, first.columns), dtype=np.float32)
    padded = 0
    for done, (index, stored) in enumerate(_pixels.slices(ordered.headers)):
        if progress is not None:
            progress("reading slices", done / len(hu))
        header = ordered.headers[index]
        _pixels.stored_to_hu(stored, header, hu[index])
        if header.padding is not None:
            low, high = header.padding
            padded += int(np.count_nonzero((stored >= low) & (stored <= high)))
    return hu, padded


def _volume_uid(group: Group, siblings: bool) -> str:
    """The hash of the series UID, "" where there is none; the parts of a mixed series get one each."""
    if not group.uid:
        return ""
    if not siblings:
        return series_uid(group.uid)
    first = group.headers[0]
    part = repr(first.traits) + (min(h.instance_uid for h in group.headers) if group.passes > 1 else "")
    return series_uid(f"{group.uid}+{hashlib.sha256(part.encode()).hexdigest()[:8]}")


def _unit(headers: Sequence[Header]) -> str:
    """The one unit of all slices."""
    units = {header.unit for header in headers}
    if len(units) > 1:
        raise SeriesError(f"the slices of the series are in {' and '.join(sorted(units))}; choose one unit.")
    return units.pop()


def _common(headers: Sequence[Header], modality: str) -> Acquisition:
    """Acquisition of the middle slice with the median exposure, since tube current follows the patient "
    "along z."""
    exposures = [e for h in headers if (e := h.acquisition.exposure_mas) is not None]
    exposure = float(median(exposures)) if exposures else None
    step = None if modality == "CT" else max(abs(header.slope) for header in headers)
    return replace(headers[len(headers) // 2].acquisition, exposure_mas=exposure, step=step)


def _notes(scan: Scan, ordered: Stack, padded: int) -> list[str]:
    notes = [f"skipped {skipped}"] if (skipped := skipped_text(scan)) else []
    if not ordered.headers[0].series_uid:
        notes.append("the series has no valid UID; a hash of its voxels stands for it")
    notes += ordered.notes
    if padded:
        notes.append(f"{padded} voxels hold the padding value of the scanner and were kept as they are")
    if any(header.lossy for header in ordered.headers):
        notes.append("the images were compressed with loss before they came here")
    if scan.modality == "CT" and any(header.rescale_type == "US" for header in ordered.headers):
        notes.append("the unit of the values is not stated; HU were assumed")
    return notes
