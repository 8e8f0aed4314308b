"""MetaImage in: the text header read here, its voxels by `_voxels`; see `nrrd` for why not by ITK.

References:
    MetaIO documentation, https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io._files import bare
from ctinv.io._text_header import beside, damaged, numbers, one_of, read_head, whole_numbers
from ctinv.io._voxels import Stored, affine_lps, check_type, make_volume, one_volume, read_voxels
from ctinv.volume import Volume

# MET_LONG and MET_ULONG have 4 or 8 bytes depending on the machine that wrote them, and are left out.
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_TO_MM = {"mm": 1.0, "cm": 10.0, "um": 0.001}
_MODALITIES = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_NM": "PT", "MET_MOD_US": "US"}


def read_metaimage(
    path: str | Path, *, memory_budget: int | None = None, modality: str = "CT", unit: str = ""
) -> Volume:
    """Read a three-dimensional ``.mha`` or ``.mhd`` file in HU, or in the unit of another modality.

    Args:
        path: The file; detached voxels must lie in one file beside it.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; must agree with the file where that states one.
        unit: Unit of the values, that of the modality by default.

    Returns:
        hu (Z, Y, X) float32 and the affine in LPS, both in the file's own order of voxels.

    Raises:
        SeriesError: The file is damaged, not one 3-D scalar image, says not where in the patient it lies, names a
            file outside its folder, or holds no finite HU.
    """
    path = Path(path)
    fields, end = _fields(path)
    _check_kind(path, fields, modality)
    stored = _layout(path, fields, end)
    affine, notes = _affine(path, fields)
    hu = read_voxels(stored, memory_budget=memory_budget)
    return make_volume(stored, hu, affine, notes, modality=modality, unit=unit)


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields by name, and the byte after the line of ElementDataFile, which is the last."""
    head = read_head(path)
    last = re.search(rb"^ElementDataFile[ \t]*=[^\n]*(\n|\Z)", head, re.MULTILINE)
    if last is None:
        raise damaged(path, "the field 'ElementDataFile'")
    fields: dict[str, str] = {}
    for line in head[: last.end()].decode("utf-8", "surrogateescape").split("\n"):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not line.strip():
            continue
        if not equals or (name in fields and name != "Comment"):
            raise damaged(path, "one of its fields")
        fields[name] = value.strip()
    return fields, last.end()


def _check_kind(path: Path, fields: dict[str, str], modality: str) -> None:
    if fields.get("ObjectType", "Image") != "Image":
        raise SeriesError(f"{bare(path)} is a MetaIO object other than an image; give a file of an image.")
    stated = _MODALITIES.get(fields.get("Modality", ""), modality)
    if stated != modality:
        raise SeriesError(
            f"{bare(path)} says that it is of modality {stated}, not {modality}; name its modality or correct its header."
        )
    channels = whole_numbers(fields.get("ElementNumberOfChannels", "1"), 1, "ElementNumberOfChannels", path)
    if channels != [1]:
        raise SeriesError(
            f"{bare(path)} holds several values per voxel; one 3-D image of one value is needed, so cut it out."
        )
    scaling = [
        numbers(fields.get(f"ElementToIntensityFunction{name}", default), 1, "ElementToIntensityFunction", path)[0]
        for name, default in (("Slope", "1"), ("Offset", "0"))
    ]  # fmt: skip
    if scaling != [1.0, 0.0]:
        raise SeriesError(
            f"{bare(path)} scales its values by ElementToIntensityFunction, which readers ignore; rewrite it in HU."
        )


def _layout(path: Path, fields: dict[str, str], end: int) -> Stored:
    axes = whole_numbers(fields.get("NDims", ""), 1, "NDims", path)[0]
    if not 1 <= axes <= 10:
        raise damaged(path, "the field 'NDims'")
    shape = one_volume(whole_numbers(fields.get("DimSize", ""), axes, "DimSize", path), path)
    if axes != 3:
        raise SeriesError(f"{bare(path)} has {axes} axes; one image of three axes is needed, so cut it out.")
    kind = fields.get("ElementType", "")
    if kind not in _TYPES:
        raise SeriesError(
            f"{bare(path)} states no type of number that is the same on all machines; write it as MET_SHORT or MET_FLOAT."
        )
    dtype = np.dtype(_TYPES[kind])
    check_type(dtype, path)
    packing = _packing(path, fields)
    if dtype.itemsize > 1 and packing != "text":
        names = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
        dtype = dtype.newbyteorder(">" if _flag(one_of(fields, names, path), names[0], path) else "<")
    local = fields["ElementDataFile"].upper() == "LOCAL"
    data = path if local else beside(path, fields["ElementDataFile"])
    skip = whole_numbers(fields.get("HeaderSize", "0"), 1, "HeaderSize", path)[0]
    if skip < -1 or (skip != 0 and (local or packing != "raw")):
        raise damaged(path, "the field 'HeaderSize'")
    return Stored(path, data, shape, dtype, packing, start=end if local else skip)


def _packing(path: Path, fields: dict[str, str]) -> str:
    if not _flag(fields.get("BinaryData"), "BinaryData", path):
        return "text"
    if not _flag(fields.get("CompressedData", "False"), "CompressedData", path):
        return "raw"
    return "zlib"


def _flag(text: str | None, field: str, path: Path) -> bool:
    if text is None or text.lower() not in ("true", "false", "1", "0"):
        raise damaged(path, f"the field {field!r}")
    return text.lower() in ("true", "1")


def _affine(path: Path, fields: dict[str, str]) -> tuple[NDArray[np.float64], list[str]]:
    """Affine (z, y, x) to mm (LPS) from spacing, directions and position, all of which must be stated."""
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    if spacing is None:
        raise SeriesError(
            f"{bare(path)} states no spacing, so its size in mm is unknown; it is damaged or of another format."
        )
    edges = numbers(spacing, 3, "ElementSpacing", path)
    matrix = one_of(fields, ("TransformMatrix", "Rotation", "Orientation"), path)
    position = one_of(fields, ("Offset", "Position", "Origin"), path)
    if matrix is None or position is None:
        raise SeriesError(
            f"{bare(path)} does not say where in the patient it lies; add the fields TransformMatrix and Offset."
        )
    # A row for each axis of the image, as ITK and Slicer read it.
    directions = numbers(matrix, 9, "TransformMatrix", path).reshape(3, 3)
    origin = numbers(position, 3, "Offset", path)
    lengths = np.linalg.norm(directions, axis=1)
    if not np.all(np.abs(lengths - 1) < 1e-3) or not (edges > 0).all():
        raise SeriesError(
            f"the spacing of {bare(path)} is not positive, or a row of its TransformMatrix is not of length 1; correct it."
        )
    if np.any(numbers(fields.get("CenterOfRotation", "0 0 0"), 3, "CenterOfRotation", path) != 0):
        raise SeriesError(
            f"{bare(path)} rotates about a centre other than 0, which readers ignore; set CenterOfRotation to 0 0 0."
        )
    scale = _TO_MM.get(fields.get("DistanceUnits", "mm"))
    if scale is None:
        raise SeriesError(f"{bare(path)} states a unit of length other than cm, mm or um; set it to mm.")
    notes = [] if scale == 1 else [f"lengths were converted to mm, 1 unit = {scale:g} mm"]
    return affine_lps((directions * edges[:, None]).T * scale, origin * scale, path), notes
