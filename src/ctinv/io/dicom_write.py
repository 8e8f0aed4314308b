"""Write a volume as a derived CT series, one file per slice, without any identity unless one is handed over.

All attributes come from the allow-list of `ctinv.io.identity`; nothing is copied from the scan but its geometry and the
technical facts of its `Acquisition`. It is written beside its final place and renamed: a killed write leaves nothing.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
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

from ctinv.atomic import flush
from ctinv.errors import InputError, SeriesError
from ctinv.io._derived import Source, add_removed_identity, add_statement
from ctinv.io._quiet import quiet
from ctinv.io.identity import (
    PRIVATE_CREATOR,
    PRIVATE_DOSE,
    PRIVATE_GROUP,
    PRIVATE_PHOTONS,
    check_written,
    kernel_name,
)
from ctinv.volume import Acquisition, Volume, hash_series
from ctinv.windows import SOFT_TISSUE

# JPEG-LS first: as small as JPEG 2000 within a few percent and four times as fast to read.
_COMPRESSED = (JPEGLSLossless, JPEG2000Lossless, RLELossless)


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
            taken over so that the series lies beside its source, and whose images are named as the source where they
            lie in the plane of a slice. Without it the series carries no identity.
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
        raise SeriesError(f"{target.name[:60]} exists and is not empty; choose a new folder for the series.")
    stored = _quantised(volume.hu, slope)
    with quiet():
        common = _common(volume, description, derived, slope, seed_text)
        source = None if template is None else Source.of(Path(template))
        if source is not None:
            source.hand_over(common)
        partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            for z, pixels in enumerate(stored):
                ds = _slice(common, volume, z, pixels, source, seed_text)
                if compress:
                    _compress(ds)
                _write(ds, partial / f"IM{z + 1:04d}.dcm")
            if target.exists():
                target.rmdir()
            partial.rename(target)
            flush(target.parent)
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
    origin = hash_series(volume.uid)
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    add_statement(ds, derived or {})
    add_removed_identity(ds)
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", origin])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", origin])
    ds.PositionReferenceIndicator = ds.PatientPosition = ""
    ds.SeriesInstanceUID = _uid("series", seed_text)
    ds.SeriesNumber, ds.AcquisitionNumber = 1, 1
    ds.SeriesDescription = description[:64]
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
    if kernel := kernel_name([acquisition.kernel or ""]):
        ds.ConvolutionKernel = kernel
    if acquisition.exposure_mas is not None:
        ds.Exposure = round(acquisition.exposure_mas)
        ds.ExposureInuAs = round(acquisition.exposure_mas * 1000)
    windows = acquisition.window or ((SOFT_TISSUE.centre, SOFT_TISSUE.width),)
    ds.WindowCenter = [_ds(centre) for centre, _ in windows]
    ds.WindowWidth = [_ds(width) for _, width in windows]
    if acquisition.dose_fraction is None and acquisition.photons is None:
        return
    block = ds.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    if acquisition.dose_fraction is not None:
        block.add_new(PRIVATE_DOSE, "FD", float(acquisition.dose_fraction))
    if acquisition.photons is not None:
        block.add_new(PRIVATE_PHOTONS, "FD", float(acquisition.photons))


def _slice(
    common: Dataset,
    volume: Volume,
    z: int,
    pixels: NDArray[np.int16],
    source: Source | None,
    seed_text: str | None,
) -> Dataset:
    ds = Dataset()
    ds.update(common)
    ds.SOPInstanceUID = _uid(f"slice {z}", seed_text)
    ds.InstanceNumber = z + 1
    place = volume.affine[:3, 3] + z * volume.affine[:3, 0]
    ds.ImagePositionPatient = [_ds(v) for v in place]
    if source is not None:
        source.name_images(ds, place, np.cross(*_directions(volume.affine)))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = pixels.astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"
    check_written(ds, handed_over=source is not None)
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
