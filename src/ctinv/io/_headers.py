"""One header per slice, of classic files and of enhanced frames, with the first thing that is wrong with it.

Only allow-listed tags are read. What could tell two patients or studies apart is kept as a hash, to compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ctinv.errors import SeriesError
from ctinv.io._fields import Fields
from ctinv.io._files import NotDicom, bare, media_class, open_dataset, regular_files
from ctinv.io._technique import acquisition_of
from ctinv.io._values import VALUES
from ctinv.io.identity import HEADER_TAGS, PATIENT_KEYWORDS, digest
from ctinv.volume import Acquisition

# Images of each modality: classic, enhanced and legacy converted enhanced ones.
CLASSES = {
    "CT": {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"},
    "MR": {"1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"},
    "PT": {"1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.128.1"},
}
_CAPTURE, _REPORT, _DIRECTORY = (
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.1.3.10",
)


@dataclass(frozen=True, eq=False, repr=False)
class Header:
    """What one slice says about itself.

    Attributes:
        traits: Named values every slice of one volume shares; kinds of identity only as hashes.
        problem: The first thing that forbids to use this slice, as the end of a sentence.

    It has no repr: viewers of errors print the variables of a frame.
    """

    path: Path
    frame: int | None
    frames: int
    series_uid: str
    instance_uid: str
    traits: tuple[tuple[str, Any], ...]
    rows: int
    columns: int
    bits_allocated: int
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_spacing: NDArray[np.float64]
    slope: float
    intercept: float
    slice_step: float | None
    padding: int | None
    instance_number: int | None
    lossy: bool
    rescale_type: str
    unit: str
    acquisition: Acquisition
    problem: str | None


@dataclass(repr=False)
class Scan:
    """Everything found in a folder: slice headers of one modality in file order, what was skipped by kind, damaged "
    "files."""

    modality: str = "CT"
    headers: list[Header] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    damaged: list[Path] = field(default_factory=list)


def scan_folder(root: Path, modality: str | None = None) -> Scan:
    """Read the header of every regular file below a folder.

    Args:
        root: The folder.
        modality: What is looked for; by default CT, and where there is none the one other modality that the files state.
    """
    return scan_files(list(regular_files(root)), modality)


def scan_files(paths: Sequence[Path], modality: str | None = None) -> Scan:
    """The same for files."""
    result = _scan(paths, modality or "CT")
    others = [name for name in CLASSES if result.skipped[f"{name} images"]]
    if modality is None and not result.headers and not result.damaged and len(others) == 1:
        return _scan(paths, others[0])
    return result


def _scan(paths: Sequence[Path], modality: str) -> Scan:
    result = Scan(modality)
    for path in paths:
        scan_file(path, result)
    return result


def scan_file(path: Path, result: Scan) -> None:
    """Add what one file is to the result."""
    try:
        dataset = open_dataset(path, HEADER_TAGS, pixels=False)
        kind = _kind(dataset, media_class(path), result.modality)
        if kind is None:
            result.headers += _headers(path, dataset, result.modality)
        elif kind == "damaged":
            result.damaged.append(path)
        else:
            result.skipped[kind] += 1
    except NotDicom:
        result.skipped["non-DICOM files"] += 1
    except SeriesError:
        raise
    except OSError as error:
        raise SeriesError(
            f"{bare(path)} cannot be read ({error.strerror or 'input/output error'}); check the disk and "
            "rights."
        ) from None
    except Exception:
        if media_class(path) in CLASSES[result.modality]:
            result.damaged.append(path)
        else:
            result.skipped["unreadable files"] += 1


def _kind(dataset: Dataset, media: str, modality: str) -> str | None:
    """Why a DICOM file is no slice of the modality; None if it is one, "damaged" if it is one cut off in its header."""
    fields = Fields([dataset])
    sop_class = fields.text("SOPClassUID") or media
    if sop_class == _DIRECTORY:
        return "DICOMDIR files"
    if sop_class.startswith(_CAPTURE):
        return "screen captures"
    if sop_class.startswith(_REPORT):
        return "reports"
    wanted = CLASSES[modality]
    if sop_class not in wanted and media in wanted:
        return "damaged"
    if sop_class not in wanted and not (sop_class == "" and fields.text("Modality") == modality):
        other = next((name for name, classes in CLASSES.items() if sop_class in classes), None)
        if other is not None:
            return f"{other} images"
        return f"files that are not {modality} images" if sop_class else "unreadable files"
    image_type = {word.strip().upper() for word in fields.words("ImageType")}
    if "LOCALIZER" in image_type:
        return "localizers"
    if image_type & {"SCREEN SAVE", "SCREENSHOT", "SCREEN_SAVE"}:
        return "screen captures"
    # Anonymised series can lack their UID and still be whole; a file without a matrix ended in its header.
    return None if fields.text("Rows") else "damaged"


def _headers(path: Path, dataset: Dataset, modality: str) -> list[Header]:
    """One header per frame; a classic file has one."""
    frames = Fields([dataset]).integer("NumberOfFrames", 1)
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        header = _header(path, None, frames, [dataset], modality)
        return [header]
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    common = [layer for item in shared for layer in _nested(item)]
    headers = []
    for index, item in enumerate(per_frame):
        layers = [*_nested(item), *common, dataset]
        if "LOCALIZER" not in Fields(layers).words("FrameType"):
            headers.append(_header(path, index, frames, layers, modality, per_frame=len(per_frame)))
    return headers


def _nested(item: Dataset) -> list[Dataset]:
    """First items of the functional groups in one item."""
    return [element.value[0] for element in item if element.VR == "SQ" and element.value]


def _header(
    path: Path, frame: int | None, frames: int, layers: list[Dataset], modality: str, per_frame: int = 1
) -> Header:
    fields = Fields(layers)
    if fields.text("Modality") != modality:
        fields.fail(f"its Modality is not {modality}, so the unit of its values is unknown")
    if frames != per_frame:
        fields.fail("its number of frames does not agree with its frame headers")
    rows, columns = fields.integer("Rows"), fields.integer("Columns")
    if min(rows, columns) < 1:
        fields.fail("its image matrix is empty")
    bits = _check_pixels(fields)
    position = fields.need("ImagePositionPatient", 3, "three finite numbers in mm are")
    if (np.abs(position) > 1e5).any():
        fields.fail("its ImagePositionPatient lies more than 100 m away")
    orientation = fields.need("ImageOrientationPatient", 6, "two orthonormal directions are")
    _check_orientation(fields, orientation)
    spacing = fields.need("PixelSpacing", 2, "two positive numbers in mm are")
    if ((spacing < 1e-3) | (spacing > 100)).any():
        fields.fail("its PixelSpacing is not between 0.001 and 100 mm")
    if fields.text("BurnedInAnnotation").upper() == "YES":
        fields.fail(
            "text is burned into its pixels (BurnedInAnnotation YES), which is no CT number and may name someone"
        )
    slope, intercept, unit = VALUES[modality](fields)
    number = fields.numbers("InstanceNumber")
    return Header(
        path=path,
        frame=frame,
        frames=frames,
        series_uid=fields.text("SeriesInstanceUID"),
        instance_uid=fields.text("SOPInstanceUID"),
        traits=_traits(fields, rows, columns),
        rows=rows,
        columns=columns,
        bits_allocated=bits,
        position=position,
        orientation=orientation,
        pixel_spacing=spacing,
        slope=slope,
        intercept=intercept,
        slice_step=fields.optional("SpacingBetweenSlices"),
        padding=_padding(fields, bits),
        instance_number=int(number[0]) if number else None,
        lossy=fields.text("LossyImageCompression") == "01",
        rescale_type=fields.text("RescaleType").upper(),
        unit=unit,
        acquisition=acquisition_of(fields),
        problem=fields.problem,
    )


def _check_pixels(fields: Fields) -> int:
    """Remember what forbids to decode the pixels; returns bits allocated."""
    if fields.integer("SamplesPerPixel", 1) != 1:
        fields.fail("it is a colour image, not CT numbers")
    if fields.text("PhotometricInterpretation") not in {"MONOCHROME1", "MONOCHROME2"}:
        fields.fail("its PhotometricInterpretation is not MONOCHROME1 or MONOCHROME2")
    allocated, stored = fields.integer("BitsAllocated"), fields.integer("BitsStored")
    if allocated not in (8, 16, 32):
        fields.fail("its BitsAllocated is not 8, 16 or 32")
    elif not 1 <= stored <= allocated:
        fields.fail("its BitsStored is not between 1 and BitsAllocated")
    elif fields.integer("HighBit", stored - 1) != stored - 1:
        fields.fail("its HighBit does not fit its BitsStored")
    if fields.integer("PixelRepresentation") not in (0, 1):
        fields.fail("its PixelRepresentation is neither 0 nor 1")
    return allocated


def _check_orientation(fields: Fields, orientation: NDArray[np.float64]) -> None:
    row, column = orientation[:3], orientation[3:]
    errors = abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)
    if not max(errors) < 2e-3:
        fields.fail("its ImageOrientationPatient is not two orthonormal directions")


def _traits(fields: Fields, rows: int, columns: int) -> tuple[tuple[str, Any], ...]:
    acquisition = fields.text("FrameAcquisitionNumber") or fields.text("AcquisitionNumber")
    times = fields.text("TemporalPositionIdentifier"), fields.text("TemporalPositionIndex")
    image_type = fields.words("FrameType") or fields.words("ImageType")
    return (
        ("patient", fields.digest(*PATIENT_KEYWORDS)),
        ("study", fields.digest("StudyInstanceUID")),
        ("frame of reference", fields.digest("FrameOfReferenceUID")),
        ("image matrix", (rows, columns)),
        ("reconstruction kernel", digest(repr(fields.words("ConvolutionKernel")))),
        ("acquisition number", acquisition),
        ("time point", times),
        ("tube voltage", fields.numbers("KVP")),
        ("image type", digest(repr(image_type[:3]))),
        ("echo time", fields.numbers("EchoTime") or fields.numbers("EffectiveEchoTime")),
        ("diffusion weighting", fields.numbers("DiffusionBValue")),
    )


def _padding(fields: Fields, bits: int) -> int | None:
    """Padding as a stored value; scanners write negative ones as unsigned numbers."""
    numbers = fields.numbers("PixelPaddingValue")
    if not numbers or bits < 1:
        return None
    value = int(numbers[0]) % 2**bits
    return (
        value - 2**bits if fields.text("PixelRepresentation") == "1" and value >= 2 ** (bits - 1) else value
    )
