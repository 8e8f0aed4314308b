"""Small data folders in the layouts that users have: anatomy that differs from patient to patient, and noise."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy.ndimage import gaussian_filter

from ctinv.io import from_array
from ctinv.io.nifti import write_nifti

SHAPE = (6, 40, 36)
SMALL = (3, 24, 24)  # to simulate on


def _series() -> ModuleType:
    """The writer of DICOM series that the reader's tests use."""
    if "series" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "series", Path(__file__).parents[1] / "io" / "series.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["series"] = module
        spec.loader.exec_module(module)
    return sys.modules["series"]


series = _series()


def anatomy(patient: int, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """Whole HU from -800 to 800, smooth, another for each patient; the noise stays above -1024 HU."""
    generator = np.random.default_rng(patient)
    smooth = gaussian_filter(generator.normal(size=shape), (1, 3, 3))
    return np.rint(np.clip(250 * smooth / smooth.std(), -800, 800)).astype(np.float32)


def noisy(hu: NDArray[np.float32], sigma: float, seed: int) -> NDArray[np.float32]:
    """The image with white noise, whole HU as DICOM holds them."""
    noise = np.random.default_rng(1000 + seed).normal(0, sigma, hu.shape)
    return np.rint(hu + noise).astype(np.float32)


def doses(
    patient: int, shape: tuple[int, int, int] = SHAPE
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Low and full dose of one patient."""
    hu = anatomy(patient, shape)
    return noisy(hu, 40, 2 * patient), noisy(hu, 8, 2 * patient + 1)


def write_dicom(
    hu: NDArray[np.float32],
    folder: Path,
    *,
    patient: str,
    uid: str,
    lift: float = 0.0,
    tags: bool = True,
    slope: float = 1.0,
    intercept: float = -1024.0,
) -> Path:
    """A series of this patient, `lift` mm higher, with square pixels and, if wanted, dose tags."""

    def edit(_z: int, ds: Dataset) -> None:
        ds.PatientID = ds.PatientName = patient
        ds.StudyInstanceUID, ds.FrameOfReferenceUID = f"1.2.{len(patient)}", "1.2.9"
        ds.PixelSpacing = ["0.7", "0.7"]
        x, y, z = (float(v) for v in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [f"{x:.9g}", f"{y:.9g}", f"{z + lift:.9g}"]
        ds.RescaleSlope, ds.RescaleIntercept = str(slope), str(intercept)
        if not tags:
            del ds.Exposure, ds.KVP

    slices = series.datasets(hu, uid=uid, edit=edit)
    for ds, image in zip(slices, hu, strict=True):
        series.store(ds, (image - intercept) / slope)
    return Path(series.write(slices, folder))


def collection(root: Path, ids: tuple[str, ...] = ("C002", "C052", "C121", "L004")) -> Path:
    """The LDCT-and-Projection-data layout; the projections beside the images are no images."""
    for number, name in enumerate(ids):
        study = root / "LDCT-and-Projection-data" / name / "12-23-2021-NA-NA-61870"
        low, full = doses(number)
        for dose, hu, ending in (("Low", low, "00959"), ("Full", full, "92811")):
            folder = study / f"1.000000-{dose} Dose Images-{ending}"
            write_dicom(hu, folder, patient=name, uid=f"1.2.{int(ending)}.{number}")
            projections = study / f"1.000000-{dose} Dose Projection-{ending}"
            projections.mkdir(parents=True)
            (projections / "1-00001.dcm").write_bytes(b"no image")
    return root


def write_pair(
    folder: Path, name: str, patient: int, *, ending: str = ".nii.gz", step: float = 2.5
) -> tuple[Path, Path]:
    """``NAME_low`` and ``NAME_full`` in a format."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{name}_low{ending}", folder / f"{name}_full{ending}"
    for path, hu in zip(paths, doses(patient), strict=True):
        if ending == ".npy":
            np.save(path, hu)
        else:
            write_nifti(from_array(hu, (step, 0.7, 0.7)), path)
    return paths
