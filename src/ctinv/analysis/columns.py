"""What the columns of a curve and the figures of a finding are: their names end in their unit."""

from __future__ import annotations

_UNITS = {
    "_mm": "mm",
    "_per_mm": "1/mm",
    "_per_px": "1/pixel",
    "_cycles_per_pixel": "cycles/pixel",
    "_sigma": "σ",
    "_share": "share",
    "_hu": "HU",
    "_per_hu": "1/HU",
    "_hu2": "HU²",
    "_hu2_mm2": "HU² mm²",
}


def split_unit(name: str, unit: str = "HU") -> tuple[str, str]:
    """``"diameter_mm"`` is ``("diameter", "mm")``; the second is empty where the name says none.

    Args:
        name: Name of a column or a figure.
        unit: Unit of the scan, for which HU stands in names.
    """
    for ending, words in sorted(_UNITS.items(), key=lambda one: -len(one[0])):
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending).replace("_", " "), words.replace("HU", unit)
    return name.replace("_", " "), ""


def axis_text(name: str, unit: str = "HU") -> str:
    """The name of a column as the name of an axis: ``"diameter_mm"`` gives ``"diameter, mm"``."""
    words, found = split_unit(name, unit)
    return f"{words}, {found}" if found else words
