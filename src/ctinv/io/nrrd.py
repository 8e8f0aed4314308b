"""NRRD in: the text header read here, its voxels by `_voxels`.

ITK does not read them: on 2000 damaged NRRD and MetaImage files it crashed the process with 52, corrupting its memory
with some, and hung with 8; it takes 490 MB to load; and it opens whatever file a header names.

References:
    Definition of NRRD file format, https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io._files import bare
from ctinv.io._text_header import (
    MAX_HEADER,
    beside,
    damaged,
    numbers,
    one_of,
    read_head,
    whole_numbers,
)
from ctinv.io._voxels import Stored, affine_lps, check_type, make_volume, one_volume, read_voxels
from ctinv.volume import Volume

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}  # fmt: skip
_ENCODINGS = {
    "raw": ("raw",),
    "gzip": ("gz", "gzip"),
    "bzip2": ("bz2", "bzip2"),
    "text": ("txt", "text", "ascii"),
}
# Signs that turn a space's axes into left, posterior, superior.
_SPACES = {
    ("right-anterior-superior", "ras"): (-1, -1, 1),
    ("left-anterior-superior", "las"): (1, -1, 1),
    ("left-posterior-superior", "lps"): (1, 1, 1),
}
_TO_MM = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "": 1.0}
_VECTOR = re.compile(r"none|\(([^()]*)\)")


def read_nrrd(
    path: str | Path, *, memory_budget: int | None = None, modality: str = "CT", unit: str = ""
) -> Volume:
    """Read a three-dimensional ``.nrrd`` or ``.nhdr`` file in HU, or in the unit of another modality.

    Args:
        path: The file; detached voxels must lie in one file beside it.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; the file itself does not say.
        unit: Unit of the values, that of the modality by default.

    Returns:
        hu (Z, Y, X) float32 and the affine in LPS, both in the file's own order of voxels.

    Raises:
        SeriesError: The file is damaged, not one 3-D scalar image, says not where in the patient it lies, names a
            file outside its folder, or holds no finite HU.
    """
    path = Path(path)
    fields, start = _fields(path)
    stored = _layout(path, fields, start)
    affine, notes = _affine(path, fields)
    hu = read_voxels(stored, memory_budget=memory_budget)
    return make_volume(stored, hu, affine, notes, modality=modality, unit=unit)


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields by their name in small letters, and the byte after the blank line that ends them."""
    head = read_head(path)
    if not re.match(rb"NRRD000[1-5]\r?\n", head):
        raise damaged(path, "the first line of a NRRD file")
    blank = re.search(rb"\n\r?\n", head)
    if blank is None and len(head) == MAX_HEADER:
        raise damaged(path, "the blank line after it")
    end = blank.end() if blank else len(head)
    fields: dict[str, str] = {}
    for line in head[:end].decode("utf-8", "surrogateescape").split("\n")[1:]:
        line = line.rstrip("\r ")
        if not line or line.startswith("#") or re.match(r"[^:]*:=", line):
            continue  # a comment or a remark of the writer
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or name in fields:
            raise damaged(path, "one of its fields")
        fields[name] = value.strip()
    return fields, end


def _layout(path: Path, fields: dict[str, str], start: int) -> Stored:
    axes = whole_numbers(fields.get("dimension", ""), 1, "dimension", path)[0]
    if not 1 <= axes <= 16:
        raise damaged(path, "the field 'dimension'")
    shape = one_volume(whole_numbers(fields.get("sizes", ""), axes, "sizes", path), path)
    if axes != 3:
        raise SeriesError(f"{bare(path)} has {axes} axes; one image of three axes is needed, so cut it out.")
    code = next((code for code, names in _TYPES.items() if fields.get("type", "").lower() in names), None)
    if code is None:
        raise damaged(path, "a type of plain numbers")
    dtype = np.dtype(code)
    check_type(dtype, path)
    encoding = fields.get("encoding", "").lower()
    packing = next((packing for packing, names in _ENCODINGS.items() if encoding in names), None)
    if packing is None:
        raise SeriesError(
            f"{bare(path)} states no encoding among raw, gzip, bzip2 and text; write it again with one of them."
        )
    if dtype.itemsize > 1 and packing != "text":
        endian = fields.get("endian", "").lower()
        if endian not in ("little", "big"):
            raise damaged(path, "the field 'endian'")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    return _place_of_voxels(path, fields, start, shape, dtype, packing)


def _place_of_voxels(
    path: Path,
    fields: dict[str, str],
    start: int,
    shape: tuple[int, int, int],
    dtype: np.dtype[np.generic],
    packing: str,
) -> Stored:
    named = one_of(fields, ("data file", "datafile"), path)
    data = path if named is None else beside(path, fields.get("data file", fields.get("datafile", "")))
    skip = [
        whole_numbers(one_of(fields, names, path) or "0", 1, names[0], path)[0]
        for names in (("line skip", "lineskip"), ("byte skip", "byteskip"))
    ]
    if skip[0] != 0 or skip[1] < -1 or (skip[1] == -1 and packing != "raw"):
        raise SeriesError(
            f"{bare(path)} skips lines, or bytes from its end, before its voxels; write it again without skips."
        )
    begin = start if named is None else 0
    if skip[1] == -1:
        return Stored(path, data, shape, dtype, packing, start=-1)
    if packing == "raw":
        return Stored(path, data, shape, dtype, packing, start=begin + skip[1])
    return Stored(path, data, shape, dtype, packing, start=begin, inside=skip[1])


def _affine(path: Path, fields: dict[str, str]) -> tuple[NDArray[np.float64], list[str]]:
    """Affine (z, y, x) to mm (LPS) from space, directions and origin, all of which must be stated."""
    space = fields.get("space", "").lower()
    signs = next((signs for names, signs in _SPACES.items() if space in names), None)
    if not {"spacings", "space directions"} & set(fields):
        raise SeriesError(
            f"{bare(path)} states no spacing, so its size in mm is unknown; it is damaged or of another format."
        )
    if signs is None or "space directions" not in fields or "space origin" not in fields:
        raise SeriesError(
            f"{bare(path)} does not say where in the patient it lies; state its space (RAS, LAS, LPS), directions and "
            "origin."
        )
    columns = np.stack(_vectors(fields["space directions"], 3, "space directions", path), axis=1)
    origin = _vectors(fields["space origin"], 1, "space origin", path)[0]
    scale, notes = _length(path, fields)
    flip = np.array(signs, dtype=np.float64) * scale
    return affine_lps(columns * flip[:, None], origin * flip, path), notes


def _vectors(text: str, count: int, field: str, path: Path) -> list[NDArray[np.float64]]:
    found = list(_VECTOR.finditer(text))
    if _VECTOR.sub("", text).strip() or len(found) != count:
        raise damaged(path, f"the field {field!r}")
    if any(match.group(1) is None for match in found):
        raise SeriesError(
            f"{bare(path)} has an axis that is not of space; one image of three axes is needed."
        )
    return [numbers(match.group(1).replace(",", " "), 3, field, path) for match in found]


def _length(path: Path, fields: dict[str, str]) -> tuple[float, list[str]]:
    """Millimetres in the file's unit of length, mm where none is stated, and a note where it is another."""
    units = {unit.strip() for unit in re.findall(r'"([^"]*)"', fields.get("space units", ""))} or {""}
    scales = {_TO_MM.get(unit) for unit in units}
    scale = scales.pop()
    if scales or scale is None:
        raise SeriesError(f"{bare(path)} states units of length other than m, cm, mm or um; set them to mm.")
    return scale, [] if scale == 1 else [f"lengths were converted to mm, 1 unit = {scale:g} mm"]
