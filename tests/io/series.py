"""A small synthetic CT series, each slice a pydicom data set that a test may spoil before it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

CANARY = "Zebrafink"
# Large enough for the six resolutions that JPEG 2000 coders take as default.
SHAPE = (6, 40, 36)
ORIGIN = np.array([-30.0, 12.5, -101.0])
STEP, SPACING = 2.5, (0.8, 0.7)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

Edit = Callable[[int, Dataset], None]


def phantom() -> NDArray[np.float32]:
    """(6, 40, 36) HU in which no two voxels of a neighbourhood are equal, so every flip and shift shows."""
    z, y, x = np.indices(SHAPE)
    return (-1000 + 300 * z + 17 * y + 3 * x + 5 * ((x * y) % 7)).astype(np.float32)


def direction(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Slice normal."""
    return np.cross(orientation[:3], orientation[3:])


def affine(orientation: Sequence[float] = AXIAL, step: Sequence[float] | None = None) -> NDArray[np.float64]:
    """The true affine of a series made by `datasets`."""
    true = np.eye(4)
    true[:3, 0] = STEP * direction(orientation) if step is None else step
    true[:3, 1] = SPACING[0] * np.array(orientation[3:])
    true[:3, 2] = SPACING[1] * np.array(orientation[:3])
    true[:3, 3] = ORIGIN
    return true


def datasets(
    hu: NDArray[np.float32] | None = None,
    *,
    orientation: Sequence[float] = AXIAL,
    step: Sequence[float] | None = None,
    uid: str = "1.2.3.4",
    edit: Edit | None = None,
) -> list[Dataset]:
    """Slices in order of z; `edit(z, ds)` is called on each before it is returned."""
    hu = phantom() if hu is None else hu
    true = affine(orientation, step)
    slices = []
    for z, image in enumerate(hu):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[uid, str(z)])
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = uid, "1.2.3", "1.2.9"
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{CANARY}^Ada", f"{CANARY}-7", "19700101"
        ds.StudyDescription = ds.ImageComments = f"{CANARY} knee"
        ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber, ds.AcquisitionNumber, ds.ConvolutionKernel = z + 1, 1, "B30f"
        ds.KVP, ds.Exposure, ds.SliceThickness = "120", 100, "5"
        ds.WindowCenter, ds.WindowWidth = ["40", "-600"], ["400", "1500"]
        ds.ImagePositionPatient = [f"{v:.9g}" for v in true[:3, 3] + z * true[:3, 0]]
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in orientation]
        ds.PixelSpacing = [str(SPACING[0]), str(SPACING[1])]
        ds.Rows, ds.Columns = image.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
        store(ds, image + 1024)
        if edit is not None:
            edit(z, ds)
        slices.append(ds)
    return slices


def store(
    ds: Dataset, values: NDArray[np.generic], *, bits: int = 16, stored: int = 12, signed: bool = False
) -> None:
    """Put stored values into a data set."""
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = (
        bits,
        stored,
        stored - 1,
        int(signed),
    )
    kind = f"<{'i' if signed else 'u'}{bits // 8}"
    ds.PixelData = np.rint(values).astype(kind).tobytes()
    ds["PixelData"].VR = "OW"


def write(slices: Sequence[Dataset], folder: Path, *, prefix: str = "s") -> Path:
    """Write slices with file names that run against the slice order."""
    folder.mkdir(parents=True, exist_ok=True)
    for z, ds in enumerate(slices):
        ds.save_as(folder / f"{prefix}{len(slices) - z:03d}.dcm", enforce_file_format=True)
    return folder
