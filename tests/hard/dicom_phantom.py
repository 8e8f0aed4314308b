"""The truth of the hard DICOM cases: a phantom in which every flip, shift and swap shows, and the slices made of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

CANARY = "Zebrafink"
SHAPE = (6, 40, 36)
"""Rows and columns allow the six resolutions that JPEG 2000 coders take as default."""
ORIGIN = (-30.0, 12.5, -101.0)
STEP, SPACING = 2.5, (0.8, 0.7)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

Edit = Callable[[int, Dataset], None]


@dataclass(frozen=True, eq=False)
class Truth:
    """What a reader must find.

    Attributes:
        hu: (Z, Y, X) values in HU.
        affine: (4, 4) index (z, y, x, 1) to mm (LPS).
        slack: Largest error of a voxel that is right, in HU; 0 but for pixels compressed with loss.
    """

    hu: NDArray[np.float64]
    affine: NDArray[np.float64]
    slack: float = 0.0


def phantom(count: int = SHAPE[0], rows: int = SHAPE[1], columns: int = SHAPE[2]) -> NDArray[np.float64]:
    """(Z, Y, X) whole HU from -1000 on that fit 12 bits and differ between neighbours in every direction."""
    z, y, x = np.indices((count, rows, columns))
    return (-1000.0 + 300 * z + 17 * y + 3 * x + 5 * ((x * y) % 7)).clip(-1000, 3000)


def grid(
    orientation: Sequence[float] = AXIAL,
    step: Sequence[float] | float = STEP,
    spacing: Sequence[float] = SPACING,
    origin: Sequence[float] = ORIGIN,
) -> NDArray[np.float64]:
    """(4, 4) affine of slices with this ImageOrientationPatient, step (mm or vector) and (row, column) spacing."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, 0] = step * np.cross(row, column) if isinstance(step, (int, float)) else step
    affine[:3, 1], affine[:3, 2] = spacing[0] * column, spacing[1] * row
    affine[:3, 3] = origin
    return affine


def truth(hu: NDArray[np.float64] | None = None, *, slack: float = 0.0, **place: Any) -> Truth:
    """The phantom, or other HU, at its place."""
    return Truth(phantom() if hu is None else hu, grid(**place), slack)


def slices(
    hu: NDArray[np.float64] | None = None, *, uid: str = "1.2.3.4", edit: Edit | None = None, **place: Any
) -> list[Dataset]:
    """Classic CT slices in order of z; `edit(z, ds)` may spoil each of them."""
    hu = phantom() if hu is None else hu
    affine = grid(**place)
    row, column = affine[:3, 2], affine[:3, 1]
    widths = np.linalg.norm(column), np.linalg.norm(row)
    made = []
    for z, image in enumerate(hu):
        ds = blank(uid, z)
        ds.ImagePositionPatient = [f"{v:.10g}" for v in affine[:3, 3] + z * affine[:3, 0]]
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in (*(row / widths[1]), *(column / widths[0]))]
        ds.PixelSpacing = [f"{v:.8g}" for v in widths]
        ds.SliceThickness = f"{np.linalg.norm(affine[:3, 0]):.8g}"
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
        store(ds, image + 1024)
        if edit is not None:
            with (
                warnings.catch_warnings()
            ):  # some edits write what pydicom warns of; readers are what is judged
                warnings.simplefilter("ignore")
                edit(z, ds)
        made.append(ds)
    return made


def blank(uid: str, z: int) -> Dataset:
    """A CT header without place and pixels, with the canary wherever a name can stand."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{uid}.{z + 1}"
    ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = uid, "1.2.3", "1.2.9"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{CANARY}^Ada", f"{CANARY}-7", "19700101"
    for word in ("StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "InstitutionName"):
        setattr(ds, word, f"{CANARY} knee")
    ds.OperatorsName = ds.ReferringPhysicianName = f"{CANARY}^Eva"
    ds.AccessionNumber = ds.StudyID = ds.PatientComments = CANARY
    ds.PatientSex = ds.PositionReferenceIndicator = ds.Manufacturer = ""
    ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber, ds.ConvolutionKernel = 3, z + 1, 1, "B30f"
    ds.KVP, ds.Exposure, ds.SliceThickness, ds.BurnedInAnnotation = "120", 100, "5", "NO"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200101"
    ds.StudyTime, ds.SeriesTime, ds.AcquisitionTime, ds.ContentTime = "115900", "120000", "120000", "120000"
    return ds


def store(
    ds: Dataset, values: NDArray[Any], *, bits: int = 16, stored: int = 12, signed: bool = False
) -> None:
    """Put stored values into a header, little endian."""
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, stored, stored - 1
    ds.PixelRepresentation = int(signed)
    pixels = np.rint(values).astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"


def write(made: Sequence[Dataset], folder: Path, prefix: str = "s") -> Path:
    """Write slices with file names that run against the slice order."""
    folder.mkdir(parents=True, exist_ok=True)
    for z, ds in enumerate(made):
        write_file(ds, folder / f"{prefix}{len(made) - z:03d}.dcm")
    return folder


def write_file(ds: Dataset, path: Path) -> Path:
    """Write one file in the transfer syntax of its meta header; pixels are swapped for big endian."""
    syntax = ds.file_meta.TransferSyntaxUID
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax in (ExplicitVRBigEndian, ImplicitVRLittleEndian):
            if syntax == ExplicitVRBigEndian and ds.BitsAllocated == 16:
                ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
            ds.save_as(
                path,
                implicit_vr=syntax == ImplicitVRLittleEndian,
                little_endian=syntax != ExplicitVRBigEndian,
                enforce_file_format=True,
            )
        else:
            ds.save_as(path, enforce_file_format=True)
    if syntax == ExplicitVRLittleEndian:
        path.write_bytes(_own_representations(ds, path.read_bytes()))
    return path


def _own_representations(ds: Dataset, data: bytes) -> bytes:
    """Give texts that pydicom would not write the representation that their element has by the standard."""
    for element in ds:
        own = dictionary_VR(element.tag) if dictionary_has_tag(element.tag) else element.VR
        if element.VR == "LO" and own in {"DS", "IS", "CS", "SH", "DA", "TM", "UI", "PN", "AS"}:
            tag = pack("<HH", element.tag.group, element.tag.element)
            data = data.replace(tag + b"LO", tag + own.encode(), 1)
    return data


def raw_text(ds: Dataset, keyword: str, text: str) -> None:
    """A text that pydicom would not take; `write_file` gives it the element's own representation."""
    ds.add_new(keyword, "LO", text.split("\\"))


def relabelled(data: bytes, old: str, new: str) -> bytes:
    """The bytes of a file with another transfer syntax in its meta header; the data set stays as it is."""
    written, wanted = (text.encode() + b"\0" * (len(text) % 2) for text in (old, new))
    head, tail = data.split(written, 1)
    group = int.from_bytes(data[140:144], "little") + len(wanted) - len(written)
    head = head[:140] + pack("<I", group) + head[144:-2] + pack("<H", len(wanted))
    return head + wanted + tail
