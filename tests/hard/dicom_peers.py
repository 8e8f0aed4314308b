"""Two readers of others, to compare with where they are right: highdicom and dcm2niix."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

Found = tuple[NDArray[Any], NDArray[np.float64], str]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From NIfTI's RAS to DICOM's LPS."""


class Declined(Exception):
    """A reader gave no single volume."""


def by_highdicom(path: Path, uid: str | None = None) -> Found:
    """The volume of all CT and MR files of a folder by highdicom, without display transforms."""
    import highdicom as hd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = list(_images(path, uid))
        if not made:
            raise Declined("no image")
        if "PerFrameFunctionalGroupsSequence" in made[0]:
            if len(made) > 1:
                raise Declined("several multi-frame files")
            volume = hd.Image.from_dataset(made[0]).get_volume(apply_presentation_lut=False)
        else:
            volume = hd.get_volume_from_series(made, apply_presentation_lut=False)
    return volume.array, volume.affine, ""


def _images(path: Path, uid: str | None) -> Any:
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        try:
            ds = pydicom.dcmread(file)
        except Exception:  # whatever is no DICOM file is not for it
            continue
        kinds = (pydicom.uid.CTImageStorage, pydicom.uid.EnhancedCTImageStorage, pydicom.uid.MRImageStorage)
        legacy = pydicom.uid.LegacyConvertedEnhancedCTImageStorage
        if ds.get("SOPClassUID") in (*kinds, legacy) and "LOCALIZER" not in ds.get("ImageType", []):
            yield ds


def by_dcm2niix(path: Path, uid: str | None = None) -> Found:
    """The one volume that dcm2niix makes of a folder.

    Raises:
        Declined: It makes none or several, one that it calls resampled, or one of some of the images: which of those that it
            takes for duplicates it keeps, the order of the folder decides.
    """
    import dcm2niix
    import nibabel as nib

    with tempfile.TemporaryDirectory() as out:
        words = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "v%s", "-o", out, str(path)]
        ran = subprocess.run(words, capture_output=True, timeout=60, check=False)
        images = sorted(Path(out).glob("*.nii"))
        if ran.returncode or len(images) != 1:
            raise Declined(f"exit code {ran.returncode}, {len(images)} images")
        if b"DUPLICATES REMOVED" in ran.stdout:
            raise Declined("some images were dropped")
        image = nib.load(images[0])
        if image.ndim != 3 and not (image.ndim == 2):
            raise Declined("more than three dimensions")
        values = np.asarray(image.dataobj, dtype=np.float64)
    values = values[..., None] if values.ndim == 2 else values
    return values, LPS @ np.asarray(image.affine, dtype=np.float64), ""


def dcm2niix_is_there() -> bool:
    """Whether the program that the tests compare with is installed."""
    try:
        import dcm2niix
    except ImportError:
        return False
    return shutil.which(dcm2niix.bin) is not None
