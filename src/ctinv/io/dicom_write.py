"""Write a volume as a derived CT series, one file per slice, without any identity unless one is handed over.

All attributes come from the allow-list of `ctinv.io.identity`; nothing is copied from the scan but its geometry and the
technical facts of its `Acquisition`. It is written beside its final place and renamed: a killed write leaves nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels import get_encoder
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from ctinv.atomic import creating, refuse_existing
from ctinv.errors import InputError, SeriesError
from ctinv.io._derived import Source, source_of
from ctinv.io._quiet import quiet
from ctinv.io._slice import series_head, slice_of
from ctinv.volume import Volume

# JPEG-LS first: as small as JPEG 2000 within a few percent and four times as fast to read.
_COMPRESSED = (JPEGLSLossless, JPEG2000Lossless, RLELossless)


def write_series(
    volume: Volume,
    folder: str | Path,
    *,
    description: str,
    template: str | Path | Source | None = None,
    derived: dict[str, object] | None = None,
    slope: float = 1.0,
    compress: bool = False,
    seed_text: str | None = None,
    number: int = 1,
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
        number: SeriesNumber, which orders the series of one study.

    Returns:
        The folder.

    Raises:
        InputError: The folder is not empty.
        SeriesError: HU do not fit 16 bits, or the grid is sheared.
        ResourceError: The disk refuses.
    """
    if volume.modality != "CT":
        raise SeriesError(
            f"a derived series is written for CT only, this volume is {volume.modality}; use NIfTI."
        )
    target = Path(folder)
    refuse_existing(target, parents=True)
    stored = _quantised(volume.hu, slope)
    with quiet():
        common = series_head(volume, description, derived, slope, seed_text, number=number)
        source = source_of(template)
        if source is not None:
            source.hand_over(common)
        with creating(target, parents=True) as partial:
            for z, pixels in enumerate(stored):
                ds = slice_of(common, volume, z, pixels, source, seed_text)
                if compress:
                    _compress(ds)
                ds.save_as(partial / f"IM{z + 1:04d}.dcm", enforce_file_format=True)
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


def _compress(ds: Dataset) -> None:
    """Compress with the first coder that can; JPEG-LS fails on a few pixels and on noise that no coder makes smaller."""
    for syntax in _COMPRESSED:
        if get_encoder(syntax).is_available:
            with suppress(RuntimeError):
                ds.compress(syntax, generate_instance_uid=False)
                return
