"""NIfTI files that are odd, damaged or hostile, each for another reason."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from files_phantom import CANARY, SHAPE, SPACING, Case, affine, phantom, rotation
from numpy.typing import NDArray

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
Edit = Callable[[Any], None]


def header_of(data: NDArray[Any], true: NDArray[np.float64], version: int, order: str) -> Any:
    """A complete header: sform and qform (of its rotation part) with code 1, mm."""
    kind = nib.Nifti1Header if version == 1 else nib.Nifti2Header
    header = kind(endianness=order)
    header["dim"][:4] = (3, *data.shape[::-1])
    header["dim"][4:] = 1
    header.set_data_dtype(data.dtype)
    ras = LPS @ true[:, [2, 1, 0, 3]]
    header.set_sform(ras, code=1)
    header.set_qform(ras, code=1, strip_shears=True)
    header["xyzt_units"] = 2
    header["vox_offset"] = 352 if version == 1 else 544
    header["magic"] = b"n+1" if version == 1 else b"n+2"
    if version == 2:
        header["eol_check"] = (13, 10, 26, 10)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["descrip"], header["aux_file"], header["intent_name"] = (CANARY.encode(),) * 3
    return header


def nifti(
    *edits: Edit,
    name: str = "scan.nii",
    data: NDArray[Any] | None = None,
    true: NDArray[np.float64] | None = None,
    version: int = 1,
    order: str = "<",
    after: bytes = b"\0\0\0\0",
    change: Callable[[bytes], bytes] = bytes,
    pack: Callable[[bytes], bytes] | None = None,
) -> Callable[[Path], Path]:
    """How to write one file.

    Args:
        edits: Called on the header's fields.
        after: What stands between header and voxels: the extension flag and extensions.
        change: Called on the whole file before it is packed.
        pack: Packs the file; gzip for a name that ends so.
    """

    def make(folder: Path) -> Path:
        voxels = phantom() if data is None else data
        header = header_of(voxels, affine() if true is None else true, version, order)
        for edit in edits:
            edit(header)
        stored = voxels.astype(voxels.dtype.newbyteorder(order), copy=False)
        whole = change(header.binaryblock + after + stored.tobytes())
        packer = pack or (gzip.compress if name.endswith(".gz") else bytes)
        (folder / name).write_bytes(packer(whole))
        return folder / name

    return make


def put(field: str, value: Any, index: Any = None) -> Edit:
    def edit(header: Any) -> None:
        if index is None:
            header[field] = value
        else:
            header[field][index] = value

    return edit


def dims(*sizes: int) -> Edit:
    return put("dim", [len(sizes), *sizes, *[1] * (7 - len(sizes))])


def extension(text: bytes) -> bytes:
    size = -(-(len(text) + 8) // 16) * 16
    return struct.pack("<ii", size, 6) + text.ljust(size - 8, b"\0")


def with_name(packed: bytes) -> bytes:
    """The gzip file with a file name in its header."""
    return packed[:3] + b"\x08" + packed[4:10] + f"{CANARY}.nii".encode() + b"\0" + packed[10:]


def two_members(whole: bytes) -> bytes:
    return gzip.compress(whole[:400]) + gzip.compress(whole[400:])


def wrong_checksum(whole: bytes) -> bytes:
    packed = bytearray(gzip.compress(whole))
    packed[-8] ^= 1
    return bytes(packed)


def wrong_size(whole: bytes) -> bytes:
    packed = bytearray(gzip.compress(whole))
    packed[-4] ^= 1
    return bytes(packed)


def flipped_inside(whole: bytes) -> bytes:
    """A stored gzip block with one bit of a voxel flipped: only the checksum can tell."""
    packer = zlib.compressobj(0, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = bytearray(packer.compress(whole) + packer.flush())
    packed[-100] ^= 4
    return bytes(packed)


def sheared() -> NDArray[np.float64]:
    """A gantry tilted by 15 degrees: slices shifted along y."""
    true = affine()
    true[:3, 0] += true[:3, 1] / SPACING[1] * SPACING[0] * np.tan(np.radians(15))
    return true


def in_units_of(scale: float) -> Edit:
    def edit(header: Any) -> None:
        for row in ("srow_x", "srow_y", "srow_z"):
            header[row] = np.asarray(header[row]) / scale
        header["qform_code"] = 0

    return edit


def pair(folder: Path, give: str) -> Path:
    header = header_of(phantom(), affine(), 1, "<")
    header["magic"], header["vox_offset"] = b"ni1", 0
    (folder / "scan.hdr").write_bytes(header.binaryblock)
    (folder / "scan.img").write_bytes(phantom().tobytes())
    return folder / give


def analyze(folder: Path) -> Path:
    header = nib.AnalyzeHeader()
    header.set_data_dtype(np.int16)
    header.set_data_shape(SHAPE[::-1])
    (folder / "scan.nii").write_bytes(header.binaryblock + bytes(4) + phantom().tobytes())
    return folder / "scan.nii"


def raw(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "scan.nii")
    return folder / "scan.nii"


def linked(folder: Path) -> Path:
    (folder / "store").mkdir()
    nifti(name="blob")(folder / "store")
    (folder / "scan.nii").symlink_to(folder / "store" / "blob")
    return folder / "scan.nii"


def with_value(value: float, dtype: str) -> NDArray[Any]:
    data = phantom().astype(dtype)
    data[1, 2, 3] = data[3, 4, 1] = value
    return data


def colours(channels: str) -> NDArray[Any]:
    return np.zeros(SHAPE, dtype=[(c, "u1") for c in channels])


no_sform, no_qform = put("sform_code", 0), put("qform_code", 0)
NOT_RIGID = affine(rotation() @ np.diag([1.0, 1.0, -1.0]))
PERMUTED = affine()[:, [1, 2, 0, 3]]
HALF = (phantom() * 0.5 - 24).astype(np.float32)
FRACTIONS = (phantom() / 7.0).astype(np.float64)
NAMED = b"\x01\0\0\0" + extension(f"patient {CANARY}".encode())
TWICE = NAMED + extension(CANARY.encode() * 9)

READ: dict[str, Any] = {
    "NIfTI-1": nifti(),
    "NIfTI-1, gzip": nifti(name="scan.nii.gz"),
    "NIfTI-2": nifti(version=2),
    "NIfTI-2, gzip": nifti(name="scan.nii.gz", version=2),
    "NIfTI-1, big endian": nifti(order=">"),
    "NIfTI-2, big endian, gzip": nifti(order=">", version=2, name="scan.nii.gz"),
    "upper-case ending": nifti(name="SCAN.NII"),
    "unsigned with intercept": nifti(put("scl_inter", -1024), data=(phantom() + 1024).astype(np.uint16)),
    "bytes with a slope of 10": (nifti(put("scl_slope", 10), data=(phantom() // 10).astype(np.int8)), phantom() // 10 * 10),
    "unsigned bytes": (nifti(data=(phantom() % 256).astype(np.uint8)), phantom() % 256),
    "32-bit integers": nifti(data=phantom().astype(np.int32)),
    "64-bit integers": nifti(data=phantom().astype(np.int64)),
    "unsigned 64-bit with intercept": nifti(put("scl_inter", -1024), data=(phantom() + 1024).astype(np.uint64)),
    "float32": nifti(data=phantom().astype(np.float32)),
    "float64 fractions": (nifti(data=FRACTIONS), FRACTIONS.astype(np.float32)),
    "slope and intercept": (nifti(put("scl_slope", 0.5), put("scl_inter", -24)), HALF),
    "negative slope": (nifti(put("scl_slope", -1)), -phantom()),
    "slope 0 and intercept 0: unscaled": nifti(put("scl_slope", 0)),
    "slope and intercept NaN: unscaled": nifti(put("scl_slope", np.nan), put("scl_inter", np.nan)),
    "qform alone": nifti(no_sform),
    "sform alone, nonsense in the quaternion": nifti(no_qform, put("quatern_b", 7.0), put("quatern_c", np.nan)),
    "qform that is no rotation beside a sform": nifti(put("quatern_b", 7.0)),
    "qfac 0 means 1": nifti(no_sform, put("pixdim", 0, 0)),
    "left-handed sform": (nifti(no_qform, true=NOT_RIGID), None, NOT_RIGID),
    "left-handed qform by qfac -1": (nifti(no_sform, true=NOT_RIGID), None, NOT_RIGID),
    "permuted axes": (nifti(true=PERMUTED), None, PERMUTED),
    "sheared by a tilted gantry": (nifti(no_qform, true=sheared()), None, sheared()),
    "five dimensions, two of them 1": nifti(put("dim", 5, 0)),
    "seven dimensions, four of them 1": nifti(put("dim", 7, 0)),
    "nonsense in the unused dimensions": nifti(put("dim", [3, 9, 7, 5, 0, -3, 99, 0])),
    "an extension that names the patient": nifti(put("vox_offset", 352 + len(NAMED) - 4), after=NAMED),
    "two extensions": nifti(put("vox_offset", 352 + len(TWICE) - 4), after=TWICE),
    "an extension of a false size": nifti(put("vox_offset", 384), after=b"\x01\0\0\0" + b"\xff" * 32),
    "voxels at an odd byte": nifti(put("vox_offset", 353), after=bytes(5)),
    "voxels far from the header": nifti(put("vox_offset", 2**20), after=bytes(2**20 - 348)),
    "gzip with a name in its header": nifti(name="scan.nii.gz", pack=lambda b: with_name(gzip.compress(b))),
    "gzip of two members": nifti(name="scan.nii.gz", pack=two_members),
    "gzip with zeros behind": nifti(name="scan.nii.gz", pack=lambda b: gzip.compress(b) + bytes(700)),
    "gzip without compression": nifti(name="scan.nii.gz", pack=lambda b: gzip.compress(b, 0)),
    "a link that the user made": linked,
    "a name that is not ASCII": nifti(name="Schädel 头部.nii"),
    "a very long name": nifti(name="scan-" + "x" * 240 + ".nii.gz"),
}  # fmt: skip

SAID: dict[str, tuple[Any, str]] = {
    "sform and qform 50 mm apart": (nifti(put("qoffset_x", 81.5)), "sform and qform differ by up to 50.0 mm"),
    "sform and qform of other hands": (nifti(put("pixdim", -1, 0)), "sform and qform differ"),
    "micrometres": (nifti(in_units_of(0.001), put("xyzt_units", 3)), "micrometres"),
    "metres": (nifti(in_units_of(1000.0), put("xyzt_units", 1)), "metres"),
    "no unit of length": (nifti(put("xyzt_units", 0)), "not stated"),
    "seconds beside mm": (nifti(put("xyzt_units", 2 | 8)), ""),
}

EITHER: dict[str, Any] = {
    "gzip named .nii": nifti(pack=gzip.compress),
    "plain named .nii.gz": nifti(name="scan.nii.gz", pack=bytes),
    "two dimensions": (nifti(dims(9, 7), data=phantom()[:1]), phantom()[:1]),
    "a sform with an odd code": nifti(put("sform_code", 5)),
}

REFUSE: dict[str, Any] = {
    "no orientation": nifti(no_sform, no_qform),
    "bad magic": nifti(put("magic", b"abc")),
    "no magic": nifti(put("magic", b"")),
    "NIfTI-2 with mangled line ends": nifti(put("eol_check", (10, 10, 26, 10)), version=2),
    "size of the header 0": nifti(put("sizeof_hdr", 0)),
    "size of the header of the other version": nifti(put("sizeof_hdr", 540)),
    "magic of one half of a pair": nifti(put("magic", b"ni1")),
    "header of a pair": lambda folder: pair(folder, "scan.hdr"),
    "voxels of a pair": lambda folder: pair(folder, "scan.img"),
    "Analyze 7.5": analyze,
    "empty": raw("scan.nii", b""),
    "empty, gzip": raw("scan.nii.gz", gzip.compress(b"")),
    "text": raw("scan.nii", f"patient: {CANARY}\n".encode() * 40),
    "noise": raw("scan.nii.gz", np.random.default_rng(1).bytes(5000)),
    "a named pipe": pipe,
    "truncated in the header": nifti(change=lambda b: b[:200]),
    "truncated in the header, gzip": nifti(name="scan.nii.gz", change=lambda b: b[:200]),
    "truncated in an extension": nifti(put("vox_offset", 352 + len(TWICE) - 4), after=TWICE, change=lambda b: b[:390]),
    "truncated in the voxels": nifti(change=lambda b: b[:-50]),
    "truncated by one byte": nifti(change=lambda b: b[:-1]),
    "truncated before it was packed": nifti(name="scan.nii.gz", change=lambda b: b[:-50]),
    "truncated after it was packed": nifti(name="scan.nii.gz", pack=lambda b: gzip.compress(b)[:-60]),
    "gzip without its checksum": nifti(name="scan.nii.gz", pack=lambda b: gzip.compress(b)[:-8]),
    "gzip with a wrong checksum": nifti(name="scan.nii.gz", pack=wrong_checksum),
    "gzip with a wrong size": nifti(name="scan.nii.gz", pack=wrong_size),
    "gzip with a flipped bit in a voxel": nifti(name="scan.nii.gz", pack=flipped_inside),
    "gzip with garbage behind": nifti(name="scan.nii.gz", pack=lambda b: gzip.compress(b) + b"garbage"),
    "gzip of gzip": nifti(name="scan.nii.gz", pack=lambda b: gzip.compress(gzip.compress(b))),
    "gzip of 70000 empty members": raw("scan.nii.gz", gzip.compress(b"") * 70000),
    "more voxels than the header says": nifti(dims(9, 7, 4)),
    "more voxels than the header says, gzip": nifti(dims(9, 7, 4), name="scan.nii.gz"),
    "voxels from a byte 16 too late": nifti(put("vox_offset", 368)),
    "voxels at byte 0": nifti(put("vox_offset", 0)),
    "voxels inside the header": nifti(put("vox_offset", 100)),
    "voxels at a negative byte": nifti(put("vox_offset", -16)),
    "voxels at half a byte": nifti(put("vox_offset", 352.5)),
    "voxels at byte 1e9": nifti(put("vox_offset", 1e9)),
    "voxels at byte NaN": nifti(put("vox_offset", np.nan)),
    "voxels at byte infinity": nifti(put("vox_offset", np.inf)),
    "voxels at byte 2**62": nifti(put("vox_offset", 2**62), version=2),
    "intercept without slope": nifti(put("scl_slope", 0), put("scl_inter", -1024)),
    "slope NaN with intercept 0": nifti(put("scl_slope", np.nan)),
    "slope infinite": nifti(put("scl_slope", np.inf)),
    "intercept NaN": nifti(put("scl_inter", np.nan)),
    "slope 1e30": nifti(put("scl_slope", 1e30)),
    "slope 1e-30": nifti(put("scl_slope", 1e-30)),
    "intercept 1e30": nifti(put("scl_inter", 1e30)),
    "sform NaN": nifti(put("srow_y", np.nan, 1)),
    "sform infinite": nifti(put("srow_y", np.inf, 1)),
    "sform singular": nifti(put("srow_z", 0.0)),
    "sform with two equal axes": nifti(put("srow_x", [1, 1, 0, 0]), put("srow_y", [1, 1, 0, 0])),
    "sform nearly flat": nifti(put("srow_x", [1, 1, 0, 0]), put("srow_y", [1, 1.00001, 0, 0])),
    "sform at 1e30 mm": nifti(put("srow_x", 1e30, 3)),
    "sform of 1e9 mm voxels": nifti(put("srow_x", 1e9, 0)),
    "sform of an unknown code": nifti(put("sform_code", 77)),
    "qform of a negative code": nifti(no_sform, put("qform_code", -2)),
    "qform of no rotation": nifti(no_sform, put("quatern_b", 7.0)),
    "qform NaN": nifti(no_sform, put("qoffset_z", np.nan)),
    "qform without spacing": nifti(no_sform, put("pixdim", 0, 2)),
    "qform with negative spacing": nifti(no_sform, put("pixdim", -0.8, 2)),
    "qform with qfac 3": nifti(no_sform, put("pixdim", 3, 0)),
    "unknown unit of length": nifti(put("xyzt_units", 5)),
    "no dimensions": nifti(put("dim", 0, 0)),
    "nine dimensions": nifti(put("dim", 9, 0)),
    "a dimension of 0": nifti(dims(9, 0, 5)),
    "a negative dimension": nifti(dims(9, -7, 5)),
    "two negative dimensions": nifti(dims(-9, -7, 5)),
    "all dimensions 32767": nifti(dims(32767, 32767, 32767)),
    "dimensions of 2**62": nifti(dims(2**62, 2**62, 2**62), version=2),
    "four dimensions": nifti(dims(9, 7, 1, 5)),
    "seven dimensions": nifti(dims(9, 7, 1, 1, 1, 1, 5)),
    "colours": nifti(data=colours("RGB")),
    "colours with opacity": nifti(data=colours("RGBA")),
    "complex": nifti(data=phantom().astype(np.complex64)),
    "complex in 128 bits": nifti(data=phantom().astype(np.complex128)),
    "float128": nifti(put("datatype", 1536), put("bitpix", 128), data=phantom().astype(np.complex128)),
    "no type": nifti(put("datatype", 0)),
    "one bit per voxel": nifti(put("datatype", 1), put("bitpix", 1)),
    "unknown type": nifti(put("datatype", 999)),
    "type of another size than its bits": nifti(put("bitpix", 32)),
    "type that was changed to one of equal size": nifti(put("datatype", 8), data=phantom().astype(np.float32)),
    "NaN voxels": nifti(data=with_value(np.nan, "f4")),
    "infinite voxels": nifti(data=with_value(-np.inf, "f4"), name="scan.nii.gz"),
    "float64 beyond float32": nifti(data=with_value(1e300, "f8")),
    "integers beyond float32": nifti(data=with_value(2**40 + 1, "i8")),
    "unsigned integers of 2**64 - 1": nifti(data=with_value(0, "i8").astype(np.uint64)),
    "values that are no HU": nifti(data=with_value(1e6, "f4")),
}  # fmt: skip


def _case(must: str, name: str, how: Any, note: str = "") -> Case:
    make, *truth = how if isinstance(how, tuple) else (how,)
    hu = truth[0] if truth and truth[0] is not None else phantom()
    return Case(f"NIfTI: {name}", must, make, hu, truth[1] if len(truth) > 1 else affine(), note)


CASES = [
    *(_case("read", name, how) for name, how in READ.items()),
    *(_case("read", name, how, note) for name, (how, note) in SAID.items()),
    *(_case("either", name, how) for name, how in EITHER.items()),
    *(_case("refuse", name, how) for name, how in REFUSE.items()),
    Case(
        "NIfTI: MR integers beyond float32",
        "refuse",
        nifti(data=with_value(2**24 + 1, "i4")),
        modality="MR",
    ),
    Case("NIfTI: MR beyond the range of HU", "read", nifti(data=with_value(2**24, "i4")),
         with_value(2**24, "i4"), modality="MR"),
]  # fmt: skip
