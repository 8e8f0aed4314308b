"""Units and quantities of what is written, as DICOM codes them: UCUM, SNOMED CT, DCM, and 99CTINV where nobody has a code.

References:
    UCUM, the unified code for units of measure. https://ucum.org/ucum
    DICOM PS3.16, CID 7180 (quantities) and CID 7464 (modifiers such as a standard deviation).
"""

from __future__ import annotations

from dataclasses import dataclass

from ctinv.errors import InputError

PRIVATE_SCHEME = "99CTINV"
"""Designator of the codes of this package."""

Code = tuple[str, str, str]
"""Value, scheme and meaning."""

_UNITS: dict[str, Code] = {
    "HU": ("[hnsf'U]", "UCUM", "Hounsfield unit"),
    "1": ("1", "UCUM", "no units"),
    "1/HU": ("/[hnsf'U]", "UCUM", "per Hounsfield unit"),
    "σ": ("{standard deviation}", "UCUM", "standard deviations"),
    "mm": ("mm", "UCUM", "millimeter"),
    "a.u.": ("[arb'U]", "UCUM", "arbitrary unit"),
    "Bq/ml": ("Bq/ml", "UCUM", "Becquerels/milliliter"),
}


@dataclass(frozen=True)
class Quantity:
    """What the numbers of a map are.

    Attributes:
        label: At most 16 characters A-Z, 0-9, space and underscore.
        title: What it is in words, ASCII, at most 64 characters.
        code: The quantity.
        modifier: How it was derived from many values, such as a standard deviation; or None.
    """

    label: str
    title: str
    code: Code
    modifier: Code | None = None


_ATTENUATION: Code = ("112031", "DCM", "Attenuation Coefficient")

SPREAD = Quantity(
    "SPREAD",
    "Standard deviation over the samples",
    _ATTENUATION,
    ("386136009", "SCT", "Standard Deviation"),
)
WORST = Quantity(
    "WORST_FEEDBACK",
    "Largest absolute feed-back error over the samples",
    ("FEEDBACK_ERROR", PRIVATE_SCHEME, "Absolute feed-back error"),
    ("56851009", "SCT", "Maximum"),
)
ETA = Quantity(
    "ETA",
    "Share of a lesion's detectability that f keeps",
    ("ETA", PRIVATE_SCHEME, "Share of detectability that the denoiser keeps"),
)


_BY_NAME = {"spread": SPREAD, "worst feed-back error": WORST, "lesion map η": ETA}
_SPELT = {"−": "-", "x̃": "x~", "η": "eta", "σ": "sigma", "ε": "epsilon", "d′": "d'"}


def quantity_of(title: str) -> Quantity:
    """The quantity that a map of this package shows by the first words of its name; else one that only words describe."""
    for start, quantity in _BY_NAME.items():
        if title.lower().startswith(start):
            return quantity
    return Quantity("MAP", _ascii(title), ("MAP", PRIVATE_SCHEME, "Map by napari-ctinv"))


def _ascii(text: str) -> str:
    """Words that every DICOM reader can show; what is no letter of ASCII is spelt or left out."""
    for sign, word in _SPELT.items():
        text = text.replace(sign, word)
    return " ".join(text.encode("ascii", "ignore").decode().split())[:64] or "Map"


def ucum(unit: str) -> Code:
    """The UCUM code of a unit as this package writes it.

    Raises:
        InputError: There is none.
    """
    if unit not in _UNITS:
        raise InputError(
            f"there is no UCUM code for the unit {unit[:16]!r} of this map; save it as NIfTI or OME-Zarr."
        )
    return _UNITS[unit]
