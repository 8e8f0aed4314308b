"""Write a volume as a derived CT series, one file per slice, without any identity unless one is handed over.

All attributes come from an allow-list; nothing is copied from the scan but its geometry and the technical
facts of its `Acquisition`. It is written beside its final place and renamed: a killed write leaves nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import get_encoder
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

from ctinv import __version__
from ctinv.errors import InputError, SeriesError
from ctinv.io._fields import PRIVATE_CREATOR, PRIVATE_DOSE, PRIVATE_GROUP, PRIVATE_PHOTONS
from ctinv.io._files import bare
from ctinv.io._quiet import quiet
from ctinv.volume import Acquisition, Volume

# JPEG-LS first: as small as JPEG 2000 within a few percent and four times as fast to read.
_COMPRESSED = (JPEGLSLossless, JPEG2000Lossless, RLELossless)
_IDENTITY = [
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PatientPosition",
]


def write_series(
    volume: Volume,
    folder: str | Path,
    *,
    description: str,
    template: str | Path | None = None,
    derived: dict[str, object] | None = None,
    slope: float = 1.0,
    compress: bool = False,
    seed_text: str | None = None,
) -> Path:
    """Write a volume as a derived DICOM CT series.

    Reading it back gives the same HU within half a `slope` and the same affine; slices of a left-handed
    volume come back in reverse order, each at its own place.

    Args:
        volume: HU (Z, Y, X) on an orthogonal grid in any orientation.
        folder: Where the files go; must not exist or be empty.
        description: SeriesDescription, at most 64 characters.
        template: One DICOM file of the source scan, whose patient, study and frame of reference are
            taken over so that the series lies beside its source. Without it the series carries no identity.
        derived: How the voxels were made, as plain facts; written to DerivationDescription.
        slope: HU per stored step. 1/8 keeps certificates, its range is ±4095 HU.
        compress: Compress without loss.
        seed_text: Makes all UIDs a function of this text, for files that come out equal each time.

    Returns:
        The folder.

    Raises:
        SeriesError: HU do not fit 16 bits, the grid is sheared, or the folder is not empty.
    """
    if volume.modality != "CT":
        raise SeriesError(
            f"a derived series is written for CT only, this volume is {volume.modality}; use NIfTI."
        )
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SeriesError(f"{bare(target)} exists and is not empty; choose a new folder for the series.")
    stored = _quantised(volume.hu, slope)
    common = _common(volume, description, derived, slope, seed_text)
    with quiet():
        if template is not None:
            _take_identity(common, Path(template))
        partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            for z, pixels in enumerate(stored):
                _write(_slice(common, volume, z, pixels, compress, seed_text), partial / f"IM{z + 1:04d}.dcm")
            if target.exists():
                target.rmdir()
            partial.rename(target)
        except OSError as error:
            raise SeriesError(
                f"the series could not be written ({error.strerror or 'input/output error'}); check space "
                "and rights."
            ) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _quantised(hu: NDArray[np.float32], slope: float) -> NDArray[np.int16]:
    """Nearest stored values, (Z, Y, X) int16."""
    if not (np.isfinite(slope) and slope > 0):
        raise InputError(f"the slope must be a positive number of HU per step, got {slope}.")
    low, high = float(hu.min()) / slope, float(hu.max()) / slope
    if not (low >= -32768.5 and high < 32767.5):
        raise SeriesError(
            f"the HU reach from {low * slope:.0f} to {high * slope:.0f} and do not fit 16 bits in steps of "
            f"{slope:g} HU; use a larger slope."
        )
    return np.rint(hu / np.float32(slope)).clip(-32768, 32767).astype(np.int16)


def _directions(affine: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column direction of the slices; refuses what a series of parallel, unsheared slices cannot "
    "hold."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(unit.T @ unit - np.eye(3)).max() > 1e-4:
        raise SeriesError(
            "the grid of this volume is sheared, which a plain series cannot hold; resample it first."
        )
    return unit[:, 2], unit[:, 1]


def _uid(kind: str, seed_text: str | None) -> UID:
    return UID(generate_uid(entropy_srcs=None if seed_text is None else [kind, seed_text]))


def _common(
    volume: Volume, description: str, derived: dict[str, object] | None, slope: float, seed_text: str | None
) -> Dataset:
    """Everything the slices share."""
    row, column = _directions(volume.affine)
    _, rows_mm, columns_mm = volume.spacing
    # Series made from one scan share study and frame of reference; the hash does not lead back to its UID.
    origin = hashlib.sha256(volume.uid.encode()).hexdigest()
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Anonymous", "ANONYMOUS", "", ""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "All attributes written from an allow-list"
    ds.StudyDate = ds.StudyTime = ds.StudyID = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", origin])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", origin])
    ds.PositionReferenceIndicator = ds.PatientPosition = ""
    ds.SeriesInstanceUID = _uid("series", seed_text)
    ds.SeriesNumber, ds.AcquisitionNumber = 1, 1
    ds.SeriesDescription = description[:64]
    facts = "; ".join(f"{key}={value}" for key, value in (derived or {}).items())
    ds.DerivationDescription = f"Derived by napari-ctinv {__version__}, not for diagnosis. {facts}".strip()[
        :1024
    ]
    ds.Manufacturer = "napari-ctinv developers"
    ds.SoftwareVersions = __version__
    ds.BurnedInAnnotation = "NO"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = volume.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelSpacing = [_ds(rows_mm), _ds(columns_mm)]
    ds.SpacingBetweenSlices = _ds(volume.spacing[0])
    ds.ImageOrientationPatient = [_ds(v) for v in (*row, *column)]
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = _ds(slope), "0", "HU"
    _add_acquisition(ds, volume.acquisition, volume.spacing[0])
    return ds


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters, without a negative zero."""
    return format_number_as_ds(float(value) + 0.0)


def _add_acquisition(ds: Dataset, acquisition: Acquisition, step_mm: float) -> None:
    ds.KVP = "" if acquisition.kvp is None else _ds(acquisition.kvp)
    ds.SliceThickness = _ds(acquisition.slice_thickness_mm or step_mm)
    if acquisition.kernel:
        ds.ConvolutionKernel = acquisition.kernel[:16]
    if acquisition.exposure_mas is not None:
        ds.Exposure = round(acquisition.exposure_mas)
        ds.ExposureInuAs = round(acquisition.exposure_mas * 1000)
    windows = acquisition.window or ((40.0, 400.0),)
    ds.WindowCenter = [_ds(centre) for centre, _ in windows]
    ds.WindowWidth = [_ds(width) for _, width in windows]
    if acquisition.dose_fraction is None and acquisition.photons is None:
        return
    block = ds.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    if acquisition.dose_fraction is not None:
        block.add_new(PRIVATE_DOSE, "FD", float(acquisition.dose_fraction))
    if acquisition.photons is not None:
        block.add_new(PRIVATE_PHOTONS, "FD", float(acquisition.photons))


def _take_identity(ds: Dataset, template: Path) -> None:
    """Patient, study and frame of reference of the source, on the caller's explicit wish."""
    try:
        source = dcmread(template, stop_before_pixels=True, specific_tags=[*_IDENTITY])
    except Exception:
        raise SeriesError(f"the template {bare(template)} is not a readable DICOM file.") from None
    for keyword in _IDENTITY:
        if source.get(keyword) not in (None, ""):
            ds[keyword] = source[keyword]
    del ds.PatientIdentityRemoved, ds.DeidentificationMethod


def _slice(
    common: Dataset, volume: Volume, z: int, pixels: NDArray[np.int16], compress: bool, seed_text: str | None
) -> Dataset:
    ds = Dataset()
    ds.update(common)
    ds.SOPInstanceUID = _uid(f"slice {z}", seed_text)
    ds.InstanceNumber = z + 1
    ds.ImagePositionPatient = [_ds(v) for v in volume.affine[:3, 3] + z * volume.affine[:3, 0]]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = pixels.astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"
    if compress:
        _compress(ds)
    return ds


def _compress(ds: Dataset) -> None:
    """Compress with the first coder that can; JPEG-LS fails on a few pixels and on noise that no coder makes smaller."""
    for syntax in _COMPRESSED:
        if get_encoder(syntax).is_available:
            with suppress(RuntimeError):
                ds.compress(syntax, generate_instance_uid=False)
                return


def _write(ds: Dataset, path: Path) -> None:
    with path.open("wb") as stream:
        ds.save_as(stream, enforce_file_format=True)
        stream.flush()
        os.fsync(stream.fileno())
