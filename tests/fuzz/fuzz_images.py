"""Targets for NIfTI (plain, packed, pair), NRRD, MetaImage and NumPy files."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import nibabel as nib
import numpy as np
from fuzz_dicom import check_volume
from fuzzing import Target
from mutators import CANARY, LENGTHS, mutate_bytes, read_dictionary

from ctinv.io import read

_WHOLE = (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 64, 128, 256, 512, 1024, 2304, 32767, -32768, 100, 10000)
_REAL = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-45,
    1e-30,
    1e-9,
    1e9,
    1e30,
    3e38,
    -1024.0,
    352.0,
    348.0,
    353.0,
    float("nan"),
    float("inf"),
)
FIELDS: dict[int, tuple[tuple[int, str], ...]] = {
    348: (
        *((0, "i"), (70, "h"), (72, "h"), (108, "f"), (112, "f"), (116, "f"), (123, "b"), (252, "h"), (254, "h")),
        *((40 + 2 * axis, "h") for axis in range(8)),
        *((76 + 4 * axis, "f") for axis in range(8)),
        *((256 + 4 * part, "f") for part in range(18)),
        *((344, "i"), (348, "i"), (352, "i"), (356, "i")),
    ),
    540: (
        *((0, "i"), (4, "i"), (12, "h"), (14, "h"), (168, "q"), (176, "d"), (184, "d"), (344, "i"), (348, "i"), (500, "i")),
        *((16 + 8 * axis, "q") for axis in range(8)),
        *((104 + 8 * axis, "d") for axis in range(8)),
        *((352 + 8 * part, "d") for part in range(18)),
        *((540, "i"), (544, "i"), (548, "i")),
    ),
}  # fmt: skip
"""Byte and type of the fields of a NIfTI header that decide something, by its size."""
_NIFTI_TOKENS, _TEXT_TOKENS = read_dictionary("nifti"), read_dictionary("images")


def _voxels() -> np.ndarray:
    z, y, x = np.indices((3, 5, 6))
    return (-1000 + 300 * z + 17 * y + 3 * x).astype(np.int16)


def _nifti(kind: type, dtype: str = "<i2", order: str = "<") -> bytes:
    affine = np.array([[-0.7, 0, 0, 30], [0, -0.8, 0, 12.5], [0, 0, 2.5, -101], [0, 0, 0, 1]])
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    image = kind(_voxels().transpose(2, 1, 0).astype(dtype), affine, header)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = image.header["aux_file"] = CANARY.encode()
    image.header.set_slope_inter(1, 0)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    return image.to_bytes()


@cache
def nifti_seeds() -> list[bytes]:
    """NIfTI 1 and 2, integers and floats, both byte orders, one with an extension."""
    extended = nib.Nifti1Image.from_bytes(_nifti(nib.Nifti1Image))
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", CANARY.encode()))
    return [
        _nifti(nib.Nifti1Image),
        _nifti(nib.Nifti1Image, "<f4"),
        _nifti(nib.Nifti1Image, "<i2", ">"),
        _nifti(nib.Nifti2Image),
        extended.to_bytes(),
    ]


def mutate_nifti(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """One to four fields of the header, or bytes anywhere."""
    if rng.random() < 0.35:
        return mutate_bytes(rng, data, others, _NIFTI_TOKENS)
    order = "<" if data[:4] in (struct.pack("<i", 348), struct.pack("<i", 540)) else ">"
    (size,) = struct.unpack_from(f"{order}i", data)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        at, kind = rng.choice(FIELDS[size])
        if kind in "fd":
            new = struct.pack(f"{order}{kind}", rng.choice(_REAL))
        else:
            count = struct.calcsize(kind)
            value = rng.choice((*_WHOLE, *LENGTHS)) % 2 ** (8 * count)
            new = value.to_bytes(count, "little" if order == "<" else "big")
        changed[at : at + len(new)] = new
    return bytes(changed)


def _packed_seeds() -> list[bytes]:
    return [gzip.compress(seed, 6, mtime=0) for seed in nifti_seeds()]


def _mutate_packed(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """The header inside, or the packed bytes; sometimes several members or much padding, which packs well."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data, others, _NIFTI_TOKENS)
    inner = mutate_nifti(rng, gzip.decompress(data), nifti_seeds())
    if rng.random() < 0.05:
        inner += bytes(rng.choice((10**5, 10**7)))
    packed = gzip.compress(inner, 1, mtime=0)
    return packed + rng.choice((b"", b"", b"", b"\0" * 64, packed, b"trailing"))


def _pair_seeds() -> list[bytes]:
    return [seed[:344] + b"ni1\0" + seed[348:] for seed in nifti_seeds()[:3]]


def _file(name: str) -> Callable[[Path], Callable[[bytes], None]]:
    def prepare(room: Path) -> Callable[[bytes], None]:
        path = room / name

        def run(data: bytes) -> None:
            path.write_bytes(data)
            check_volume(read(path))

        return run

    return prepare


def _pair(room: Path) -> Callable[[bytes], None]:
    """The header of a pair; its image lies beside it."""
    (room / "pair.img").write_bytes(nifti_seeds()[0][352:])

    def run(data: bytes) -> None:
        (room / "pair.hdr").write_bytes(data)
        (room / "pair.nii").write_bytes(data)
        try:
            check_volume(read(room / "pair.nii"))
        finally:
            check_volume(read(room / "pair.hdr"))

    return run


_NRRD = (
    "NRRD0004\n# {canary}\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 5 3\n"
    "space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\nkinds: domain domain domain\nendian: little\n"
    "encoding: {encoding}\nspace origin: (-30,12.5,-101)\ncontent: {canary}\n\n"
)
_META = (
    "ObjectType = Image\nNDims = 3\nComment = {canary}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "CompressedData = {packed}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -30 12.5 -101\nCenterOfRotation = 0 0 0\n"
    "AnatomicalOrientation = RAI\nElementSpacing = 0.7 0.8 2.5\nDimSize = 6 5 3\nElementType = MET_SHORT\n"
    "ElementDataFile = LOCAL\n"
)


@cache
def _nrrd_seeds() -> list[bytes]:
    voxels = _voxels().tobytes()
    text = " ".join(str(value) for value in _voxels().ravel()).encode()
    ways = {"raw": voxels, "gzip": gzip.compress(voxels, mtime=0), "ascii": text}
    plain = _NRRD.replace("space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\n", "spacings: 0.7 0.8 2.5\n")
    plain = plain.replace("space: left-posterior-superior\n", "").replace(
        "space origin: (-30,12.5,-101)\n", ""
    )
    made = [_NRRD.format(canary=CANARY, encoding=way).encode() + body for way, body in ways.items()]
    return made[:2] if not _reads_ascii(made[2]) else made


def _reads_ascii(content: bytes) -> bool:
    """Whether the reader takes numbers written as text; it may refuse them."""
    import tempfile

    from ctinv.errors import CtinvError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.nrrd")
        path.write_bytes(content)
        try:
            read(path)
        except CtinvError:
            return False
    return True


@cache
def _meta_seeds() -> list[bytes]:
    voxels = _voxels().tobytes()
    return [
        _META.format(canary=CANARY, packed="False").encode() + voxels,
        _META.format(canary=CANARY, packed="True").encode() + zlib.compress(voxels),
    ]


def _npy_seeds() -> list[bytes]:
    made = []
    for array in (_voxels(), _voxels()[0].astype("<f4"), np.asfortranarray(_voxels().astype(">f8"))):
        target = io.BytesIO()
        np.save(target, array)
        made.append(target.getvalue())
    return made


def _mutate_text(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """The value of one line of the header, a line more, less or twice, or bytes anywhere."""
    if rng.random() < 0.4:
        return mutate_bytes(rng, data, others, _TEXT_TOKENS)
    lines = data.split(b"\n")
    count = min(14, len(lines))
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(min(count, len(lines)))
        split = b"=" if b"=" in lines[at] else b":"
        key, _, value = lines[at].partition(split)
        words = value.split()
        step = rng.random()
        if step < 0.45 and words:
            words[rng.randrange(len(words))] = rng.choice(_TEXT_TOKENS)
            lines[at] = key + split + b" " + b" ".join(words)
        elif step < 0.7:
            lines[at] = key + split + b" " + rng.choice(_TEXT_TOKENS)
        elif step < 0.85 and len(lines) > 1:
            del lines[at]
        else:
            lines.insert(rng.randrange(count), lines[at])
    return b"\n".join(lines)


def _mutate_npy(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    return mutate_bytes(rng, data, others, _TEXT_TOKENS)


TARGETS = {
    "image/nii": Target(nifti_seeds, mutate_nifti, _file("scan.nii")),
    "image/nii_gz": Target(_packed_seeds, _mutate_packed, _file("scan.nii.gz")),
    "image/pair": Target(_pair_seeds, mutate_nifti, _pair, refused=True),
    "image/nrrd": Target(_nrrd_seeds, _mutate_text, _file("scan.nrrd")),
    "image/mha": Target(_meta_seeds, _mutate_text, _file("scan.mha")),
    "image/npy": Target(_npy_seeds, _mutate_npy, _file("scan.npy")),
}
