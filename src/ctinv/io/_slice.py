"""One slice of a written series: what all slices share, and what each says of itself; the allow-list decides.

References:
    DICOM PS3.3, A.3 and C.7.3.1: the CT image, and Laterality, which is empty where the body part is not known.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.3.html
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from ctinv.errors import SeriesError
from ctinv.io._derived import Source, add_removed_identity, add_statement
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


def directions(affine: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column direction of the slices; refuses what a series of parallel, unsheared slices cannot hold."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(unit.T @ unit - np.eye(3)).max() > 1e-4:
        raise SeriesError(
            "the grid of this volume is sheared, which a plain series cannot hold; resample it first."
        )
    return unit[:, 2], unit[:, 1]


def new_uid(kind: str, seed_text: str | None) -> UID:
    """A UID like no other, or the one that belongs to this kind and text."""
    return UID(generate_uid(entropy_srcs=None if seed_text is None else [kind, seed_text]))


def series_head(
    volume: Volume,
    description: str,
    derived: dict[str, object] | None,
    slope: float,
    seed_text: str | None,
    *,
    number: int = 1,
) -> Dataset:
    """Everything the slices share; nothing in it identifies."""
    row, column = directions(volume.affine)
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
    ds.SeriesInstanceUID = new_uid("series", seed_text)
    ds.SeriesNumber, ds.AcquisitionNumber = number, 1
    # The body part is never read, so whether it is one of a pair is not known: empty, as the standard asks then.
    ds.Laterality = ""
    ds.SeriesDescription = description[:64]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = volume.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelSpacing = [decimal(rows_mm), decimal(columns_mm)]
    ds.SpacingBetweenSlices = decimal(volume.spacing[0])
    ds.ImageOrientationPatient = [decimal(v) for v in (*row, *column)]
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = decimal(slope), "0", "HU"
    _add_acquisition(ds, volume.acquisition, volume.spacing[0])
    return ds


def decimal(value: float) -> str:
    """A decimal string of at most 16 characters, without a negative zero."""
    return format_number_as_ds(float(value) + 0.0)


def _add_acquisition(ds: Dataset, acquisition: Acquisition, step_mm: float) -> None:
    ds.KVP = "" if acquisition.kvp is None else decimal(acquisition.kvp)
    ds.SliceThickness = decimal(acquisition.slice_thickness_mm or step_mm)
    if kernel := kernel_name([acquisition.kernel or ""]):
        ds.ConvolutionKernel = kernel
    if acquisition.exposure_mas is not None:
        ds.Exposure = round(acquisition.exposure_mas)
        ds.ExposureInuAs = round(acquisition.exposure_mas * 1000)
    windows = acquisition.window or ((SOFT_TISSUE.centre, SOFT_TISSUE.width),)
    ds.WindowCenter = [decimal(centre) for centre, _ in windows]
    ds.WindowWidth = [decimal(width) for _, width in windows]
    if acquisition.dose_fraction is None and acquisition.photons is None:
        return
    block = ds.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    if acquisition.dose_fraction is not None:
        block.add_new(PRIVATE_DOSE, "FD", float(acquisition.dose_fraction))
    if acquisition.photons is not None:
        block.add_new(PRIVATE_PHOTONS, "FD", float(acquisition.photons))


def slice_of(
    common: Dataset,
    volume: Volume,
    z: int,
    pixels: NDArray[np.int16],
    source: Source | None,
    seed_text: str | None,
) -> Dataset:
    """Slice z of a volume with its stored pixels (Y, X) int16; the images of `source` in its plane are named."""
    ds = Dataset()
    ds.update(common)
    ds.SOPInstanceUID = new_uid(f"slice {z}", seed_text)
    ds.InstanceNumber = z + 1
    place = volume.affine[:3, 3] + z * volume.affine[:3, 0]
    ds.ImagePositionPatient = [decimal(v) for v in place]
    if source is not None:
        source.name_images(ds, place, np.cross(*directions(volume.affine)))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = pixels.astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"
    check_written(ds, handed_over=source is not None)
    return ds
