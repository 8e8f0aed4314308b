"""NRRD, MetaImage and NumPy files that are odd, damaged or hostile, each for another reason."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from files_phantom import CANARY, SHAPE, Case, affine, outside, phantom
from nifti_cases import FRACTIONS, NOT_RIGID, PERMUTED, sheared, with_value
from numpy.typing import NDArray

Make = Callable[[Path], Path]
LITTLE = phantom().astype("<i2").tobytes()
BIG = phantom().astype(">i2").tobytes()
TEXT = " ".join(str(v) for v in phantom().ravel()).encode()
FRACTIONS_TEXT = " ".join(map(repr, FRACTIONS.ravel().tolist())).encode()


def vector(values: NDArray[np.float64]) -> str:
    return "(" + ",".join(f"{v:.9g}" for v in values) + ")"


def placed(true: NDArray[np.float64], signs: tuple[int, int, int] = (1, 1, 1)) -> dict[str, str]:
    flip = np.array(signs)
    directions = " ".join(vector(flip * true[:3, i]) for i in (2, 1, 0))
    return {"space directions": directions, "space origin": vector(flip * true[:3, 3])}


def nrrd(
    fields: dict[str, str | None] | None = None,
    voxels: bytes = LITTLE,
    *,
    name: str = "scan.nrrd",
    beside: dict[str, bytes] | None = None,
    extra: str = "",
    magic: str = "NRRD0004",
    change: Callable[[bytes], bytes] = bytes,
    before: Callable[[Path], object] | None = None,
) -> Make:
    """How to write one file; a field None is left out, `change` is called on the header."""
    default: dict[str, str | None] = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, SHAPE[::-1])),
        **placed(affine()),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
    }
    lines = [f"{key}: {value}\n" for key, value in {**default, **(fields or {})}.items() if value is not None]

    def make(folder: Path) -> Path:
        head = f"{magic}\n" + "".join(lines) + extra + "\n"
        (folder / name).write_bytes(change(head.encode()) + voxels)
        for other, content in (beside or {}).items():
            (folder / other).write_bytes(content)
        if before is not None:
            before(folder)
        return folder / name

    return make


def detached(data: str, before: Callable[[Path], object] | None = None) -> Make:
    return nrrd({"data file": data}, b"", name="scan.nhdr", before=before)


def steal(folder: Path) -> None:
    (folder / "stolen.raw").symlink_to(outside(folder))


def steal_folder(folder: Path) -> None:
    (folder / "inner").symlink_to(outside(folder).parent)


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "data.raw")


def subfolder(folder: Path) -> None:
    (folder / "data.raw").mkdir()


def numbered(folder: Path) -> None:
    for k, image in enumerate(phantom()):
        (folder / f"s{k}.raw").write_bytes(image.tobytes())


def flipped(content: bytes, at: int) -> bytes:
    """The content with one bit of this byte flipped."""
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


MICRONS = affine().copy()
MICRONS[:3] *= 1000
RAS = placed(affine(), (-1, -1, 1))
COMMENTS = f"# patient {CANARY}\nPatientName:={CANARY}\ncontent: {CANARY}\n"
DETACHED_GZIP = {"data file": "voxels of the scan.raw.gz", "encoding": "gz"}

NRRD_READ: dict[str, Any] = {
    "LPS": nrrd(),
    "RAS": nrrd({"space": "right-anterior-superior", **RAS}),
    "RAS in short": nrrd({"space": "RAS", **RAS}),
    "LAS": nrrd({"space": "left-anterior-superior", **placed(affine(), (1, -1, 1))}),
    "big endian": nrrd({"endian": "big"}, BIG),
    "gzip": nrrd({"encoding": "gzip"}, gzip.compress(LITTLE)),
    "bzip2": nrrd({"encoding": "bzip2"}, bz2.compress(LITTLE)),
    "text": nrrd({"encoding": "ascii", "endian": None}, TEXT),
    "text of fractions": (nrrd({"encoding": "text", "type": "float"}, FRACTIONS_TEXT),
                          FRACTIONS.astype(np.float32)),
    "detached": nrrd({"data file": "scan.raw"}, b"", name="scan.nhdr", beside={"scan.raw": LITTLE}),
    "detached gzip, spaces in the name": nrrd(DETACHED_GZIP, b"", name="scan.nhdr",
                                              beside={"voxels of the scan.raw.gz": gzip.compress(LITTLE)}),
    "detached, name that is not ASCII": nrrd({"data file": "头部.raw"}, b"", name="scan.nhdr", beside={"头部.raw": LITTLE}),
    "voxels at the end of another file": nrrd({"data file": "scan.raw", "byte skip": "-1"}, b"", name="scan.nhdr",
                                              beside={"scan.raw": b"junk" * 9 + LITTLE}),
    "bytes to skip": nrrd({"byte skip": "16"}, bytes(16) + LITTLE),
    "bytes to skip in gzip": nrrd({"byte skip": "16", "encoding": "gzip"}, gzip.compress(bytes(16) + LITTLE)),
    "unsigned bytes without endian": (nrrd({"type": "uchar", "endian": None}, (phantom() % 256).astype("u1").tobytes()),
                                      phantom() % 256),
    "64-bit integers": nrrd({"type": "long long int"}, phantom().astype("<i8").tobytes()),
    "double": (nrrd({"type": "double"}, FRACTIONS.astype("<f8").tobytes()), FRACTIONS.astype(np.float32)),
    "float, big endian": nrrd({"type": "float", "endian": "big"}, phantom().astype(">f4").tobytes()),
    "remarks that name the patient": nrrd(extra=COMMENTS),
    "line ends of Windows": nrrd(change=lambda head: head.replace(b"\n", b"\r\n")),
    "fields in capitals": nrrd(change=lambda head: head.replace(b"sizes:", b"Sizes:")),
    "left-handed": (nrrd(placed(NOT_RIGID)), None, NOT_RIGID),
    "permuted axes": (nrrd(placed(PERMUTED)), None, PERMUTED),
    "sheared": (nrrd(placed(sheared())), None, sheared()),
    "micrometres": (nrrd({**placed(MICRONS), "space units": '"um" "um" "um"'}), None, affine(), "converted"),
    "millimetres": nrrd({"space units": '"mm" "mm" "mm"'}),
}  # fmt: skip

NRRD_REFUSE: dict[str, Any] = {
    "no space": nrrd({"space": None}),
    "a space without anatomy": nrrd({"space": "scanner-xyz"}),
    "space with time": nrrd({"space": "right-anterior-superior-time"}),
    "only the dimension of space": nrrd({"space": None, "space dimension": "3"}),
    "spacings alone": nrrd({"space": None, "space directions": None, "space origin": None, "spacings": "0.7 0.8 2.5"}),
    "no spacing": nrrd({"space directions": None}),
    "no origin": nrrd({"space origin": None}),
    "origin NaN": nrrd({"space origin": "(0,nan,0)"}),
    "origin 1e400": nrrd({"space origin": "(0,1e400,0)"}),
    "an axis without direction": nrrd({"space directions": "none (0,0.8,0) (0,0,2.5)"}),
    "two directions": nrrd({"space directions": "(0.7,0,0) (0,0.8,0)"}),
    "directions of two numbers": nrrd({"space directions": "(0.7,0) (0,0.8) (0,0)"}),
    "directions with a comma as decimal point": nrrd({"space directions": "(0,7,0,0) (0,0,8,0) (0,0,2,5)"}),
    "directions of zero": nrrd({"space directions": "(0,0,0) (0,0.8,0) (0,0,2.5)"}),
    "directions NaN": nrrd({"space directions": "(nan,0,0) (0,0.8,0) (0,0,2.5)"}),
    "directions in one plane": nrrd({"space directions": "(0.7,0,0) (0,0.8,0) (0.7,0.8,0)"}),
    "directions that are words": nrrd({"space directions": "(a,b,c) (d,e,f) (g,h,i)"}),
    "four axes, a list first": nrrd({"dimension": "4", "sizes": "3 9 7 5", "kinds": "list domain domain domain",
                                     "space directions": "none (0.7,0,0) (0,0.8,0) (0,0,2.5)"}, LITTLE * 3),
    "four axes, one of them 1": nrrd({"dimension": "4", "sizes": "9 7 5 1"}),
    "two axes": nrrd({"dimension": "2", "sizes": "63 5"}),
    "dimension that disagrees with sizes": nrrd({"dimension": "3", "sizes": "9 7 5 1"}),
    "dimension 99": nrrd({"dimension": "99"}),
    "dimension -3": nrrd({"dimension": "-3"}),
    "sizes too large": nrrd({"sizes": "9 7 6"}),
    "sizes too small": nrrd({"sizes": "9 7 4"}),
    "sizes of zero": nrrd({"sizes": "9 0 5"}),
    "sizes below zero": nrrd({"sizes": "-9 -7 5"}),
    "sizes that are words": nrrd({"sizes": "nine seven five"}),
    "sizes of 10**30": nrrd({"sizes": f"{10**30} 7 5"}),
    "sizes of 10**12": nrrd({"sizes": f"{10**12} {10**12} {10**12}"}),
    "no sizes": nrrd({"sizes": None}),
    "type block": nrrd({"type": "block"}),
    "type unknown": nrrd({"type": "half"}),
    "no type": nrrd({"type": None}),
    "no encoding": nrrd({"encoding": None}),
    "encoding hex": nrrd({"encoding": "hex"}, LITTLE.hex().encode()),
    "no endian": nrrd({"endian": None}),
    "endian unknown": nrrd({"endian": "middle"}),
    "a field twice": nrrd(extra="sizes: 9 7 4\n"),
    "a line that is no field": nrrd(extra="nonsense\n"),
    "no blank line": nrrd(change=lambda head: head[:-1], voxels=b""),
    "wrong magic": nrrd(magic="NRRD0009"),
    "no magic": nrrd(magic=""),
    "empty": nrrd(voxels=b"", change=lambda head: b""),
    "header of 2 MB": nrrd(extra="# " + "x" * 2**21 + "\n"),
    "lines to skip": nrrd({"line skip": "2"}),
    "bytes to skip below -1": nrrd({"byte skip": "-5"}),
    "bytes to skip beyond the file": nrrd({"byte skip": str(10**12)}),
    "bytes to skip from the end of gzip": nrrd({"byte skip": "-1", "encoding": "gzip"}, gzip.compress(LITTLE)),
    "inches": nrrd({"space units": '"inch" "inch" "inch"'}),
    "mixed units": nrrd({"space units": '"mm" "mm" "um"'}),
    "raw truncated": nrrd(voxels=LITTLE[:-3]),
    "gzip truncated": nrrd({"encoding": "gzip"}, gzip.compress(LITTLE)[:-40]),
    "gzip with a wrong checksum": nrrd({"encoding": "gzip"}, flipped(gzip.compress(LITTLE), -8)),
    "gzip with more voxels": nrrd({"encoding": "gzip"}, gzip.compress(LITTLE * 2)),
    "gzip that is none": nrrd({"encoding": "gzip"}, LITTLE),
    "bzip2 damaged": nrrd({"encoding": "bz2"}, flipped(bz2.compress(LITTLE), 60)),
    "bzip2 truncated": nrrd({"encoding": "bz2"}, bz2.compress(LITTLE)[:-20]),
    "text with too few numbers": nrrd({"encoding": "ascii"}, TEXT[:-30]),
    "text with too many numbers": nrrd({"encoding": "ascii"}, TEXT + b" 1 2 3"),
    "text with words": nrrd({"encoding": "ascii"}, TEXT[:-1] + b"x"),
    "text with numbers beyond the type": nrrd({"encoding": "ascii"}, TEXT.replace(b"-1000", b"70000", 1)),
    "text with fractions of integers": nrrd({"encoding": "ascii"}, TEXT.replace(b"-1000", b"-10.5", 1)),
    "text with one endless number": nrrd({"encoding": "ascii"}, b"1" * 3000),
    "NaN voxels": nrrd({"type": "float"}, with_value(np.nan, "<f4").tobytes()),
    "data file ../../etc/passwd": detached("../../../../../../../../etc/passwd"),
    "data file by absolute path": detached("/etc/passwd"),
    "data file one folder up": lambda folder: detached(f"../{outside(folder).name}")(folder),
    "data file by a link out of the folder": detached("stolen.raw", steal),
    "data file through a linked folder": lambda folder: detached(f"inner/{outside(folder).name}", steal_folder)(folder),
    "data file by a path of Windows": detached("..\\scan.raw"),
    "data files as a list": nrrd({"data file": "LIST"}, b"s0.raw\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n", name="scan.nhdr",
                                 before=numbered),
    "data files by a pattern": detached("s%d.raw 0 4 1 2", numbered),
    "data file that is missing": detached("scan.raw"),
    "data file that is a folder": detached("data.raw", subfolder),
    "data file that is a pipe": detached("data.raw", pipe),
    "data file ..": detached(".."),
    "data file .": detached("."),
    "data file without a name": detached(""),
    "data file of a very long name": detached("x" * 5000),
    "data file with a null byte": detached("scan\0.raw"),
    "two data files": nrrd({"data file": "a.raw", "datafile": "b.raw"}, b"", name="scan.nhdr",
                           beside={"a.raw": LITTLE, "b.raw": LITTLE}),
    "data file too long": nrrd({"data file": "scan.raw"}, b"", name="scan.nhdr", beside={"scan.raw": LITTLE + b"\0\0"}),
}  # fmt: skip


def meta_placed(true: NDArray[np.float64]) -> dict[str, str]:
    steps = true[:3, [2, 1, 0]]
    edges = np.linalg.norm(steps, axis=0)
    return {
        "TransformMatrix": " ".join(f"{v:.9g}" for v in (steps / edges).T.ravel()),
        "Offset": " ".join(f"{v:.9g}" for v in true[:3, 3]),
        "ElementSpacing": " ".join(f"{v:.9g}" for v in edges),
    }


def mha(
    fields: dict[str, str | None] | None = None,
    voxels: bytes = LITTLE,
    *,
    name: str = "scan.mha",
    beside: dict[str, bytes] | None = None,
    extra: str = "",
    before: Callable[[Path], object] | None = None,
) -> Make:
    """How to write one file; a field None is left out."""
    default: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        **meta_placed(affine()),
        "CenterOfRotation": "0 0 0",
        "DimSize": " ".join(map(str, SHAPE[::-1])),
        "ElementType": "MET_SHORT",
    }
    given = {**default, **(fields or {})}
    last = given.pop("ElementDataFile", "LOCAL")
    lines = [f"{key} = {value}\n" for key, value in given.items() if value is not None]

    def make(folder: Path) -> Path:
        end = "" if last is None else f"ElementDataFile = {last}\n"
        (folder / name).write_bytes(("".join(lines) + extra + end).encode() + voxels)
        for other, content in (beside or {}).items():
            (folder / other).write_bytes(content)
        if before is not None:
            before(folder)
        return folder / name

    return make


def elsewhere(data: str, before: Callable[[Path], object] | None = None) -> Make:
    return mha({"ElementDataFile": data}, b"", name="scan.mhd", before=before)


PACKED = zlib.compress(LITTLE)
ZLIB = {"CompressedData": "True", "CompressedDataSize": str(len(PACKED))}

META_READ: dict[str, Any] = {
    "in one file": mha(),
    "big endian": mha({"BinaryDataByteOrderMSB": "True"}, BIG),
    "byte order by its other name": mha({"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"}, BIG),
    "compressed": mha(ZLIB, PACKED),
    "compressed, size not stated": mha({"CompressedData": "True"}, PACKED),
    "compressed by gzip": mha({"CompressedData": "True"}, gzip.compress(LITTLE)),
    "detached": mha({"ElementDataFile": "scan.raw"}, b"", name="scan.mhd", beside={"scan.raw": LITTLE}),
    "detached, compressed": mha({**ZLIB, "ElementDataFile": "scan.zraw"}, b"", name="scan.mhd",
                                beside={"scan.zraw": PACKED}),
    "detached, after a header": mha({"ElementDataFile": "scan.raw", "HeaderSize": "16"}, b"", name="scan.mhd",
                                    beside={"scan.raw": bytes(16) + LITTLE}),
    "detached, at the end of a file": mha({"ElementDataFile": "scan.raw", "HeaderSize": "-1"}, b"", name="scan.mhd",
                                          beside={"scan.raw": b"junk" * 5 + LITTLE}),
    "spacing as size of an element": mha({"ElementSpacing": None, "ElementSize": meta_placed(affine())["ElementSpacing"]}),
    "position by its other names": mha({"Offset": None, "Position": meta_placed(affine())["Offset"],
                                        "TransformMatrix": None, "Rotation": meta_placed(affine())["TransformMatrix"]}),
    "position by two names that agree": mha({"Position": meta_placed(affine())["Offset"]}),
    "float": mha({"ElementType": "MET_FLOAT"}, phantom().astype("<f4").tobytes()),
    "double": (mha({"ElementType": "MET_DOUBLE"}, FRACTIONS.astype("<f8").tobytes()), FRACTIONS.astype(np.float32)),
    "64-bit integers": mha({"ElementType": "MET_LONG_LONG"}, phantom().astype("<i8").tobytes()),
    "text": mha({"BinaryData": "False"}, TEXT),
    "sheared": (mha(meta_placed(sheared())), None, sheared()),
    "left-handed": (mha(meta_placed(NOT_RIGID)), None, NOT_RIGID),
    "permuted axes": (mha(meta_placed(PERMUTED)), None, PERMUTED),
    "remarks that name the patient": mha(extra=f"Comment = {CANARY}\nName = {CANARY}\nComment = again {CANARY}\n"),
    "modality stated": mha({"Modality": "MET_MOD_CT"}),
    "line ends of Windows": mha(extra="Name = x\r\n"),
}  # fmt: skip

META_REFUSE: dict[str, Any] = {
    "voxels ../../etc/passwd": elsewhere("../../../../../../../../etc/passwd"),
    "voxels by absolute path": elsewhere("/etc/passwd"),
    "voxels one folder up": lambda folder: elsewhere(f"../{outside(folder).name}")(folder),
    "voxels by a link out of the folder": elsewhere("stolen.raw", steal),
    "voxels through a linked folder": lambda folder: elsewhere(f"inner/{outside(folder).name}", steal_folder)(folder),
    "voxels as a list": mha({"ElementDataFile": "LIST"}, b"s0.raw\ns1.raw\ns2.raw\ns3.raw\ns4.raw\n", name="scan.mhd",
                            before=numbered),
    "voxels by a pattern": elsewhere("s%d.raw 0 4 1", numbered),
    "voxels that are missing": elsewhere("scan.raw"),
    "voxels in a folder": elsewhere("data.raw", subfolder),
    "voxels in a pipe": elsewhere("data.raw", pipe),
    "voxels without a name": elsewhere(""),
    "no data file": mha({"ElementDataFile": None}, b""),
    "compressed, truncated": mha(ZLIB, PACKED[:-20]),
    "compressed, damaged": mha(ZLIB, flipped(PACKED, 80)),
    "compressed, wrong checksum": mha(ZLIB, flipped(PACKED, -1)),
    "compressed, more behind": mha(ZLIB, PACKED + b"more"),
    "compressed, too many voxels": mha({"CompressedData": "True"}, zlib.compress(LITTLE * 2)),
    "compressed, that is not": mha({"CompressedData": "True"}, LITTLE),
    "axes that are not of length 1": mha({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}),
    "axes in one plane": mha({"TransformMatrix": "1 0 0 0 1 0 1 0 0"}),
    "axes NaN": mha({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}),
    "eight numbers of axes": mha({"TransformMatrix": "1 0 0 0 1 0 0 0"}),
    "no axes": mha({"TransformMatrix": None}),
    "axes stated twice and differently": mha({"Rotation": "1 0 0 0 1 0 0 0 1"}),
    "no position": mha({"Offset": None}),
    "position infinite": mha({"Offset": "0 inf 0"}),
    "no spacing": mha({"ElementSpacing": None}),
    "spacing 0": mha({"ElementSpacing": "0.7 0 2.5"}),
    "spacing below 0": mha({"ElementSpacing": "0.7 -0.8 2.5"}),
    "spacing NaN": mha({"ElementSpacing": "0.7 nan 2.5"}),
    "spacing of two numbers": mha({"ElementSpacing": "0.7 0.8"}),
    "spacing with commas": mha({"ElementSpacing": "0,7 0,8 2,5"}),
    "type unknown": mha({"ElementType": "MET_NONSENSE"}),
    "type of vectors": mha({"ElementType": "MET_SHORT_ARRAY"}),
    "type of no certain size": mha({"ElementType": "MET_LONG"}, phantom().astype("<i8").tobytes()),
    "type of another size": mha({"ElementType": "MET_INT"}),
    "no type": mha({"ElementType": None}),
    "three channels": mha({"ElementNumberOfChannels": "3"}, LITTLE * 3),
    "two axes": mha({"NDims": "2", "DimSize": "63 5"}),
    "four axes": mha({"NDims": "4", "DimSize": "9 7 5 1"}),
    "-3 axes": mha({"NDims": "-3"}),
    "300 axes": mha({"NDims": "300"}),
    "no axes stated": mha({"NDims": None}),
    "sizes too large": mha({"DimSize": "9 7 6"}),
    "sizes too small": mha({"DimSize": "9 7 4"}),
    "sizes of zero": mha({"DimSize": "9 0 5"}),
    "sizes below zero": mha({"DimSize": "-9 -7 5"}),
    "sizes of 10**12": mha({"DimSize": f"{10**12} 7 5"}),
    "no sizes": mha({"DimSize": None}),
    "no byte order": mha({"BinaryDataByteOrderMSB": None}),
    "byte orders that disagree": mha({"ElementByteOrderMSB": "True"}),
    "no word whether binary": mha({"BinaryData": None}),
    "scaled by a slope": mha({"ElementToIntensityFunctionSlope": "2"}),
    "shifted by an offset": mha({"ElementToIntensityFunctionOffset": "-1024"}),
    "turned about another centre": mha({"CenterOfRotation": "10 0 0"}),
    "MR": mha({"Modality": "MET_MOD_MR"}),
    "a tube": mha({"ObjectType": "Tube"}),
    "inches": mha({"DistanceUnits": "inch"}),
    "a field twice": mha(extra="DimSize = 9 7 4\n"),
    "a line that is no field": mha(extra="nonsense\n"),
    "header before a file's own voxels": mha({"HeaderSize": "16"}, bytes(16) + LITTLE),
    "truncated": mha(voxels=LITTLE[:-2]),
    "too long": mha(voxels=LITTLE + b"\0"),
    "NaN voxels": mha({"ElementType": "MET_FLOAT"}, with_value(np.nan, "<f4").tobytes()),
    "noise": lambda folder: _write(folder, "scan.mha", np.random.default_rng(2).bytes(4000)),
    "empty": lambda folder: _write(folder, "scan.mha", b""),
}  # fmt: skip


def _write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def npy(data: Any, change: Callable[[bytes], bytes] = bytes, *, version: tuple[int, int] = (1, 0)) -> Make:
    def make(folder: Path) -> Path:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.asanyarray(data), version=version)
        return _write(folder, "scan.npy", change(stream.getvalue()))

    return make


def npy_head(text: str, voxels: bytes = LITTLE, *, length: int | None = None) -> Make:
    """A file of version 2 whose header is this text; its length can be made to lie."""
    head = text.encode()
    prefix = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(head) if length is None else length)
    return lambda folder: _write(folder, "scan.npy", prefix + head + voxels)


def shape_of(shape: str, dtype: str = "<i2") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"


def zipped(folder: Path) -> Path:
    np.savez(folder / "scan.npz", phantom())
    return (folder / "scan.npz").rename(folder / "scan.npy")


def one_mm() -> NDArray[np.float64]:
    true = np.zeros((4, 4))
    true[2, 0] = true[1, 1] = true[0, 2] = true[3, 3] = 1
    return true


PAIR = np.zeros(SHAPE, dtype=[("hu", "<i2"), (CANARY, "<f4")])
ASSUMED = "1 mm assumed"

NPY_READ: dict[str, Any] = {
    "in C order": npy(phantom()),
    "in Fortran order": npy(np.asfortranarray(phantom())),
    "big endian": npy(phantom().astype(">i2")),
    "float64": (npy(FRACTIONS), FRACTIONS.astype(np.float32)),
    "float16": (npy(phantom().astype(np.float16)), phantom().astype(np.float16)),
    "float128": npy(phantom().astype(np.longdouble)),
    "one slice": (npy(phantom()[2]), phantom()[2:3]),
    "version 2": npy(phantom(), version=(2, 0)),
    "version 3": npy(phantom(), version=(3, 0)),
}

NPY_REFUSE: dict[str, Any] = {
    "objects": lambda folder: _pickled(folder),
    "several values per voxel": npy(PAIR),
    "complex": npy(phantom().astype(complex)),
    "true and false": npy(phantom() > 0),
    "text": npy(phantom().astype("U5")),
    "dates": npy(phantom().astype("M8[s]")),
    "four axes": npy(phantom()[None]),
    "one number": npy(np.int16(3)),
    "no voxels": npy(phantom()[:0]),
    "64 axes": npy(phantom().reshape(SHAPE + (1,) * 61)),
    "truncated": npy(phantom(), lambda b: b[:-1]),
    "too long": npy(phantom(), lambda b: b + b"\0"),
    "truncated in its header": npy(phantom(), lambda b: b[:40]),
    "header of 100 MB, claimed": npy_head(shape_of(str(SHAPE)), length=100_000_000),
    "header of 100 MB": lambda folder: _write(folder, "scan.npy",
                                              b"\x93NUMPY\x02\x00" + struct.pack("<I", 10**8) + b" " * 10**8),
    "header of deep brackets": npy_head("(" * 9000),
    "header of code": npy_head("__import__('os').system('true')\n"),
    "header without shape": npy_head("{'descr': '<i2', 'fortran_order': False}\n"),
    "shape of 10**12": npy_head(shape_of("(1000000000000, 7, 5)")),
    "shape of 2**63": npy_head(shape_of(f"({2**63}, 7, 5)")),
    "shape below 0": npy_head(shape_of("(-5, -7, 9)")),
    "shape of fractions": npy_head(shape_of("(5.0, 7, 9)")),
    "type of objects, no pickle": npy_head(shape_of(str(SHAPE), "|O")),
    "version 9": npy(phantom(), lambda b: b[:6] + b"\x09" + b[7:]),
    "an archive": zipped,
    "noise": lambda folder: _write(folder, "scan.npy", np.random.default_rng(3).bytes(999)),
    "empty": lambda folder: _write(folder, "scan.npy", b""),
    "NaN": npy(with_value(np.nan, "f4")),
    "values beyond float32": npy(with_value(1e300, "f8")),
    "values that are no HU": npy(with_value(2**40, "i8")),
}  # fmt: skip


RAN = "CTINV_HARD_PICKLE_RAN"


class _Planted:
    """A pickle of this leaves a mark in the process when it is opened."""

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return os.putenv, (RAN, "1")


def _pickled(folder: Path) -> Path:
    np.save(folder / "scan.npy", np.array([_Planted()], dtype=object), allow_pickle=True)
    return folder / "scan.npy"


def _case(kind: str, must: str, name: str, how: Any, true: NDArray[np.float64], note: str = "") -> Case:
    make, hu, place, said = (
        (*how, None, None, None)[:4] if isinstance(how, tuple) else (how, None, None, None)
    )
    hu, place = phantom() if hu is None else hu, true if place is None else place
    return Case(f"{kind}: {name}", must, make, hu, place, said or note)


CASES = [
    *(_case("NRRD", "read", name, how, affine()) for name, how in NRRD_READ.items()),
    *(_case("NRRD", "refuse", name, how, affine()) for name, how in NRRD_REFUSE.items()),
    *(_case("MetaImage", "read", name, how, affine()) for name, how in META_READ.items()),
    *(_case("MetaImage", "refuse", name, how, affine()) for name, how in META_REFUSE.items()),
    *(_case("npy", "read", name, how, one_mm(), ASSUMED) for name, how in NPY_READ.items()),
    *(_case("npy", "refuse", name, how, one_mm()) for name, how in NPY_REFUSE.items()),
]
