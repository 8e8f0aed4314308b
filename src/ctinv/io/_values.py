"""What the stored numbers of a slice mean, for each modality: slope, intercept and unit, from its own header.

A CT must state how its numbers become HU. MR numbers have no unit; a slope and an intercept are applied where they are
stated and none is invented. A PET image must state its slope, which can differ from slice to slice, and its unit.
"""

from __future__ import annotations

from collections.abc import Callable

from ctinv.io._fields import Fields
from ctinv.volume import MODALITIES

PET_UNITS = {"BQML": "Bq/ml", "GML": "g/ml", "KBQML": "kBq/ml", "CNTS": "counts"}
"""DICOM's Units of PET images and how they are written here; g/ml is a standardised uptake value."""

_LARGEST = 1e12


def ct_values(fields: Fields) -> tuple[float, float, str]:
    """Slope, intercept and HU of a CT slice; problems are remembered by the fields."""
    _refuse_lut(fields)
    slope, intercept = _stated(fields)
    if abs(slope) < 1e-6 or abs(slope) > 1e4:
        fields.fail("its RescaleSlope is zero or implausible for CT numbers")
    if abs(intercept) > 32768:
        fields.fail("its RescaleIntercept is implausible for CT numbers")
    if fields.text("RescaleType").upper() not in {"", "HU", "US"}:
        fields.fail("its RescaleType is not HU")
    return slope, intercept, MODALITIES["CT"]


def mr_values(fields: Fields) -> tuple[float, float, str]:
    """Slope and intercept of an MR slice where they are stated, else 1 and 0; only magnitudes are images here."""
    _refuse_lut(fields)
    words = {
        word.strip().upper() for word in (*fields.words("ImageType")[2:], *fields.words("FrameType")[2:])
    }
    if words & {"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "VELOCITY"}:
        fields.fail("it is no magnitude image")
    if fields.raw("RescaleSlope") is None and fields.raw("RescaleIntercept") is None:
        return 1.0, 0.0, MODALITIES["MR"]
    slope, intercept = _stated(fields)
    _refuse_extremes(fields, slope, intercept)
    return slope, intercept, MODALITIES["MR"]


def pt_values(fields: Fields) -> tuple[float, float, str]:
    """Slope, intercept and unit of a PET slice."""
    _refuse_lut(fields)
    slope, intercept = _stated(fields)
    _refuse_extremes(fields, slope, intercept)
    unit = PET_UNITS.get(fields.text("Units").upper(), "")
    if not unit:
        fields.fail(f"its Units are none of {', '.join(PET_UNITS)}")
    return slope, intercept, unit


VALUES: dict[str, Callable[[Fields], tuple[float, float, str]]] = {
    "CT": ct_values,
    "MR": mr_values,
    "PT": pt_values,
}


def _stated(fields: Fields) -> tuple[float, float]:
    slope = float(fields.need("RescaleSlope", 1, "one finite number other than 0 is")[0])
    return slope, float(fields.need("RescaleIntercept", 1, "one finite number is")[0])


def _refuse_lut(fields: Fields) -> None:
    if fields.raw("ModalityLUTSequence"):
        fields.fail("it maps its values by a Modality LUT, only slope and intercept are read")


def _refuse_extremes(fields: Fields, slope: float, intercept: float) -> None:
    if not 1 / _LARGEST < abs(slope) < _LARGEST or abs(intercept) > _LARGEST:
        fields.fail("its RescaleSlope or RescaleIntercept is zero or implausible")
