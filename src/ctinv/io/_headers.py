"""One header per slice, of classic files and of enhanced frames, with the first thing that is wrong with it.

Only allow-listed tags are read. What could tell two patients or studies apart is kept as a hash, to compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from ctinv.errors import SeriesError
from ctinv.io._fields import Fields
from ctinv.io._files import NotDicom, bare, files_and_dead_links, media_class, open_dataset, unreadable
from ctinv.io._frames import frame_layers
from ctinv.io._samples import check_samples, padding_of
from ctinv.io._technique import acquisition_of
from ctinv.io._traits import Moment, Traits, moments_of, traits_of, trigger_of, uid_of
from ctinv.io._values import VALUES
from ctinv.io.identity import HEADER_TAGS
from ctinv.progress import Progress
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
_CUT, _TORN = "cut off in its header", "of another class in its data set than in its meta header"
_DAMAGED = {_CUT, _TORN}
_LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}


@dataclass(frozen=True, eq=False, repr=False)
class Header:
    """What one slice says about itself.

    Attributes:
        traits: Named values every slice of one volume shares; kinds of identity only as hashes.
        moments: When it was taken by each of `_traits.CLOCKS`; only their differences may leave the reader.
        trigger: Delay after the trigger of a gated scan.
        placeless: It states neither position nor orientation.
        padding: Lowest and highest stored value that pads.
        problem: The first thing that forbids to use this slice, as the end of a sentence.

    It has no repr: viewers of errors print the variables of a frame.
    """

    path: Path
    frame: int | None
    frames: int
    series_uid: str
    instance_uid: str
    traits: Traits
    moments: tuple[Moment | None, ...]
    trigger: Moment | None
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    placeless: bool
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_spacing: NDArray[np.float64]
    slope: float
    intercept: float
    slice_step: float | None
    padding: tuple[int, int] | None
    instance_number: int | None
    lossy: bool
    rescale_type: str
    unit: str
    acquisition: Acquisition
    problem: str | None


@dataclass(repr=False)
class Scan:
    """Everything found in a folder.

    Attributes:
        headers: One per slice of the modality, in file order.
        skipped: Files that were skipped, by kind.
        damaged: Files that claim to be of the modality, with what is wrong with each.
        strays: One image of another kind for each series UID.
    """

    modality: str = "CT"
    headers: list[Header] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    damaged: list[tuple[Path, str]] = field(default_factory=list)
    strays: dict[str, Path] = field(default_factory=dict)


def scan_folder(root: Path, modality: str | None = None, progress: Progress | None = None) -> Scan:
    """Read the header of every regular file below a folder.

    Args:
        root: The folder.
        modality: What is looked for; by default CT, and where there is none the one other modality that the files state.
        progress: Called with a phrase and the share that is done.
    """
    files, dead = files_and_dead_links(root)
    result = scan_files(files, modality, progress)
    kinds = {header.path.suffix.lower() for header in result.headers}
    for link in dead:
        if link.suffix.lower() in kinds:
            raise SeriesError(
                f"{bare(link)} is a link to a file that is not there, so a slice may be missing; fetch the file or remove "
                "the link."
            )
        result.skipped["links to nothing"] += 1
    return result


def scan_files(paths: Sequence[Path], modality: str | None = None, progress: Progress | None = None) -> Scan:
    """The same for files."""
    result = _scan(paths, modality or "CT", progress)
    others = [name for name in CLASSES if result.skipped[f"{name} images"]]
    if modality is None and not result.headers and not result.damaged and len(others) == 1:
        return _scan(paths, others[0], progress)
    return result


def _scan(paths: Sequence[Path], modality: str, progress: Progress | None) -> Scan:
    result = Scan(modality)
    for done, path in enumerate(paths):
        if progress is not None:
            progress("reading headers", done / len(paths))
        scan_file(path, result)
    _leave_out_pages(result)
    return result


def _leave_out_pages(result: Scan) -> None:
    """Count whole series without any place, such as dose reports, as skipped beside series that have one.

    A slice that lost its place shares its series with others that did not, and stays.
    """
    placed = {header.series_uid for header in result.headers if not header.placeless}
    if not placed:
        return
    pages = [header for header in result.headers if header.series_uid not in placed]
    result.skipped.update({"images without a place": len(pages)} if pages else {})
    result.headers = [header for header in result.headers if header.series_uid in placed]


def scan_file(path: Path, result: Scan) -> None:
    """Add what one file is to the result."""
    try:
        dataset = open_dataset(path, HEADER_TAGS, pixels=False)
        kind = _kind(dataset, media_class(path), result.modality)
        if kind is None:
            result.headers += _headers(path, dataset, result.modality)
        elif kind in _DAMAGED:
            result.damaged.append((path, kind))
        else:
            result.skipped[kind] += 1
            if kind.endswith(" images"):
                result.strays.setdefault(Fields([dataset]).text("SeriesInstanceUID"), path)
    except NotDicom:
        result.skipped["non-DICOM files"] += 1
    except SeriesError:
        raise
    except OSError as error:
        raise unreadable(path, error) from None
    except Exception:
        if media_class(path) in CLASSES[result.modality]:
            result.damaged.append((path, _CUT))
        else:
            result.skipped["unreadable files"] += 1


def _kind(dataset: Dataset, media: str, modality: str) -> str | None:
    """Why a DICOM file is no slice of the modality; None if it is one, of `_DAMAGED` if it claims to be one."""
    fields = Fields([dataset])
    sop_class = fields.text("SOPClassUID") or media
    if sop_class == _DIRECTORY:
        return "DICOMDIR files"
    if sop_class == _CAPTURE or sop_class.startswith(f"{_CAPTURE}."):
        return "screen captures"
    if sop_class.startswith(_REPORT):
        return "reports"
    wanted = CLASSES[modality]
    if sop_class not in wanted and media in wanted:
        return _TORN if sop_class else _CUT
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
    return None if fields.text("Rows") else _CUT


def _headers(path: Path, dataset: Dataset, modality: str) -> list[Header]:
    """One header per frame; a classic file has one."""
    frames = Fields([dataset]).integer("NumberOfFrames", 1)
    layers = frame_layers(dataset)
    if not layers:
        return [_header(path, None, frames, [dataset], modality)]
    return [
        _header(path, index, frames, found, modality, per_frame=len(layers))
        for index, found in enumerate(layers)
        if "LOCALIZER" not in Fields(found).words("FrameType")
    ]


def _header(
    path: Path, frame: int | None, frames: int, layers: list[Dataset], modality: str, per_frame: int = 1
) -> Header:
    fields = Fields(layers)
    if fields.text("Modality") != modality:
        fields.fail(f"its Modality is not {modality}, so the unit of its values is unknown")
    if frames != per_frame:
        fields.fail("its number of frames does not agree with its frame headers")
    rows, columns = fields.integer("Rows"), fields.integer("Columns")
    if not 1 <= min(rows, columns) <= max(rows, columns) < 2**16:
        fields.fail("its image matrix is empty or larger than 65535")
    bits = check_samples(fields)
    position = fields.need("ImagePositionPatient", 3, "three finite numbers in mm are")
    if (np.abs(position) > 1e5).any():
        fields.fail("its ImagePositionPatient lies more than 100 m away")
    placeless = not any(fields.text(f"Image{word}Patient") for word in ("Position", "Orientation"))
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
        series_uid=uid_of(fields),
        instance_uid=fields.text("SOPInstanceUID"),
        traits=traits_of(fields, rows, columns),
        moments=moments_of(fields),
        trigger=trigger_of(fields),
        rows=rows,
        columns=columns,
        bits_allocated=bits,
        bits_stored=fields.integer("BitsStored"),
        signed=fields.text("PixelRepresentation") == "1",
        placeless=placeless,
        position=position,
        orientation=orientation,
        pixel_spacing=spacing,
        slope=slope,
        intercept=intercept,
        slice_step=fields.optional("SpacingBetweenSlices"),
        padding=padding_of(fields, bits),
        instance_number=int(number[0]) if number and frame is None and abs(number[0]) < 2**53 else None,
        lossy=fields.text("LossyImageCompression") == "01" or _syntax(layers[-1]) in _LOSSY,
        rescale_type=fields.text("RescaleType").upper(),
        unit=unit,
        acquisition=acquisition_of(fields),
        problem=fields.problem,
    )


def _check_orientation(fields: Fields, orientation: NDArray[np.float64]) -> None:
    row, column = orientation[:3], orientation[3:]
    errors = abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)
    if not max(errors) < 1e-4:
        fields.fail("its ImageOrientationPatient is not two orthonormal directions")


def _syntax(dataset: Dataset) -> str:
    return str(dataset.file_meta.TransferSyntaxUID)
