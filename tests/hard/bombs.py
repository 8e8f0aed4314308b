"""Small files that claim or unpack to far more than a machine has: each is made on the fly and must be refused at once."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MEGABYTE = 2**20
GIGABYTE = 2**30


@dataclass(frozen=True)
class Bomb:
    """One bomb.

    Attributes:
        kind: ``"scan"``, ``"model"`` or ``"study"``: the door it comes in by.
        make: Writes it into an empty folder and returns the path that a user would give.
    """

    kind: str
    make: Callable[[Path], Path]


def _zeros(count: int, wbits: int, start: bytes = b"") -> bytes:
    """`start` and this many megabytes of zeros, packed; a block that ends in a full flush can simply be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    head = packer.compress(start + bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (count - 1) + packer.flush()


def _write(path: Path, *parts: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(parts))
    return path


# DICOM


def _element(group: int, number: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH", group, number) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN"):
        return head + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def _dicom(syntax: str, body: bytes) -> bytes:
    meta = _element(2, 0x02, "UI", b"1.2.840.10008.5.1.4.1.1.2\0") + _element(
        2, 0x10, "UI", syntax.encode() + b"\0" * (len(syntax) % 2)
    )
    length = _element(2, 0x00, "UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + body


def _data_set(rows: int, columns: int, frames: int | None = None, extra: bytes = b"") -> bytes:
    """All that a CT slice needs before its pixels."""
    parts = [
        _element(8, 0x08, "CS", b"ORIGINAL\\PRIMARY\\AXIAL "),
        _element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        _element(8, 0x18, "UI", b"1.2.3.4.5\0"),
        _element(8, 0x60, "CS", b"CT"),
        extra,
        _element(0x20, 0x0D, "UI", b"1.2.3\0"),
        _element(0x20, 0x0E, "UI", b"1.2.3.4\0"),
        _element(0x20, 0x32, "DS", b"0\\0\\0 "),
        _element(0x20, 0x37, "DS", b"1\\0\\0\\0\\1\\0 "),
        _element(0x28, 0x02, "US", struct.pack("<H", 1)),
        _element(0x28, 0x04, "CS", b"MONOCHROME2 "),
        b"" if frames is None else _element(0x28, 0x08, "IS", str(frames).encode().ljust(8)),
        _element(0x28, 0x10, "US", struct.pack("<H", rows)),
        _element(0x28, 0x11, "US", struct.pack("<H", columns)),
        _element(0x28, 0x30, "DS", b"0.7\\0.7 "),
        _element(0x28, 0x100, "US", struct.pack("<H", 16)),
        _element(0x28, 0x101, "US", struct.pack("<H", 16)),
        _element(0x28, 0x102, "US", struct.pack("<H", 15)),
        _element(0x28, 0x103, "US", struct.pack("<H", 1)),
        _element(0x28, 0x1052, "DS", b"-1024 "),
        _element(0x28, 0x1053, "DS", b"1 "),
    ]
    return b"".join(parts)


def _encapsulated(stream: bytes) -> bytes:
    item = b"\xfe\xff\x00\xe0"
    stream += b"\0" * (len(stream) % 2)
    frames = item + struct.pack("<I", 0) + item + struct.pack("<I", len(stream)) + stream
    return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + frames + b"\xfe\xff\xdd\xe0\0\0\0\0"


NATIVE, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
RLE, J2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"


def deflated(folder: Path) -> Path:
    """2 MB that inflate to 2 GB of pixels."""
    pixels = b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 2 * GIGABYTE - 2)
    body = _zeros(2048, -zlib.MAX_WBITS, _data_set(512, 512) + pixels)
    return _write(folder / "slice.dcm", _dicom(DEFLATED, body))


def deflated_items(folder: Path) -> Path:
    """60 kB that inflate to six million empty items, each of which becomes an object."""
    empty = b"\xfe\xff\x00\xe0\0\0\0\0"
    sequence = b"\x00\x52\x30\x92SQ\0\0" + struct.pack("<I", 6_000_000 * 8)
    body = zlib.compress(_data_set(512, 512) + sequence + empty * 6_000_000, 9)[2:-4]
    return _write(folder / "slice.dcm", _dicom(DEFLATED, body))


def deflated_depth(folder: Path) -> Path:
    """A few kB that inflate to sequences nested 300000 deep."""
    level = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    body = zlib.compress(_data_set(512, 512, extra=level * 300_000), 9)[2:-4]
    return _write(folder / "slice.dcm", _dicom(DEFLATED, body))


def rle(folder: Path) -> Path:
    """4 kB of RLE under a header of 65000 x 65000."""
    stream = struct.pack("<16I", 2, 64, 2064, *[0] * 13) + b"\x81\x00" * 2000
    return _write(folder / "slice.dcm", _dicom(RLE, _data_set(65000, 65000) + _encapsulated(stream)))


def native_frames(folder: Path) -> Path:
    """A page of pixels under a header of two million frames of 2048 x 2048."""
    pixels = _element(0x7FE0, 0x10, "OW", bytes(4096))
    return _write(folder / "slice.dcm", _dicom(NATIVE, _data_set(2048, 2048, 2_000_000) + pixels))


def j2k(folder: Path) -> Path:
    """A JPEG 2000 stream of 60000 x 60000, and a header that says the same."""
    size = struct.pack(">HHIIIIIIII", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0)
    stream = b"\xff\x4f\xff\x51" + size + struct.pack(">HBBB", 1, 15, 1, 1) + bytes(5000) + b"\xff\xd9"
    return _write(folder / "slice.dcm", _dicom(J2K, _data_set(60000, 60000) + _encapsulated(stream)))


# NIfTI, NRRD, MetaImage, NumPy


def _nifti_header(x: int, y: int, z: int) -> bytes:
    import nibabel as nib

    header = nib.Nifti1Header()
    header["dim"] = (3, x, y, z, 1, 1, 1, 1)
    header.set_data_dtype(np.int16)
    header.set_sform(np.diag([-0.7, -0.7, 1.0, 1.0]), code=1)
    header["xyzt_units"], header["vox_offset"], header["magic"] = 2, 352, b"n+1"
    return bytes(header.binaryblock) + bytes(4)


def gzip_nifti(folder: Path) -> Path:
    """5.6 GB of zeros, as the header says."""
    return _write(folder / "scan.nii.gz", _zeros(5600, zlib.MAX_WBITS | 16, _nifti_header(1024, 1024, 2800)))


def gzip_nifti_of(folder: Path, megabytes: int) -> Path:
    """This many megabytes of zeros, as the header says: no bomb where they are few."""
    header = _nifti_header(1024, 512, megabytes)
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    parts = [packer.compress(header), *(packer.compress(bytes(MEGABYTE)) for _ in range(megabytes))]
    return _write(folder / "scan.nii.gz", *parts, packer.flush())


def nifti_dimensions(folder: Path) -> Path:
    """Six bytes of voxels under a header of 35 trillion."""
    return _write(folder / "scan.nii", _nifti_header(32767, 32767, 32767), bytes(6))


def gzip_endless(folder: Path) -> Path:
    """An honest header of a small image and 4 GB behind it."""
    return _write(folder / "scan.nii.gz", _zeros(4096, zlib.MAX_WBITS | 16, _nifti_header(9, 7, 5)))


def gzip_far(folder: Path) -> Path:
    """A header whose voxels begin behind 60 GB of zeros."""
    header = bytearray(_nifti_header(9, 7, 5))
    header[108:112] = struct.pack("<f", 6e10)
    return _write(folder / "scan.nii.gz", _zeros(4096, zlib.MAX_WBITS | 16, bytes(header)))


def gzip_name(folder: Path) -> Path:
    """A gzip file whose own header holds a name of 60 MB."""
    return _write(folder / "scan.nii.gz", b"\x1f\x8b\x08\x08" + bytes(6), b"x" * (60 * MEGABYTE))


def npy_shape(folder: Path) -> Path:
    """A header of a trillion numbers, and none of them."""
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }\n"
    return _write(folder / "scan.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head, bytes(64))


def npy_sparse(folder: Path) -> Path:
    """A honest header of 200 GB, which the file has, but not the disk: all of it is a hole."""
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (50000, 1000, 1000), }\n"
    path = _write(folder / "scan.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    with path.open("r+b") as stream:
        stream.truncate(10 + len(head) + 4 * 50000 * 1000 * 1000)
    return path


NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 1024 1024 2048
space directions: (0.7,0,0) (0,0.7,0) (0,0,1)
endian: little
encoding: {encoding}
space origin: (0,0,0)

"""


def nrrd_gzip(folder: Path) -> Path:
    """4 GB of zeros, as the header says."""
    return _write(
        folder / "scan.nrrd", NRRD.format(encoding="gzip").encode(), _zeros(4096, zlib.MAX_WBITS | 16)
    )


def nrrd_bzip2(folder: Path) -> Path:
    """bzip2 packs zeros a million to one."""
    import bz2

    packed = bz2.compress(bytes(45 * MEGABYTE)) * 90
    return _write(folder / "scan.nrrd", NRRD.format(encoding="bzip2").encode(), packed)


def nrrd_text(folder: Path) -> Path:
    """One number of 64 million digits."""
    return _write(
        folder / "scan.nrrd",
        NRRD.format(encoding="ascii").encode().replace(b"2048", b"20"),
        b"1" * 64 * 10**6,
    )


def mha_zlib(folder: Path) -> Path:
    """4 GB of zeros behind the header of a small image."""
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = True\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 9 7 5\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    return _write(folder / "scan.mha", head.encode(), _zeros(4096, zlib.MAX_WBITS))


# Models


def safetensors_length(folder: Path) -> Path:
    """A header said to have a terabyte."""
    return _write(folder / "net.safetensors", struct.pack("<Q", 10**12), b"{}" * 100)


def safetensors_header(folder: Path) -> Path:
    """A header of 100 MB of JSON."""
    entry = b'"k%08d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    many = b"".join(entry % k for k in range(1_500_000))
    head = b"{" + many[:-1] + b"}"
    return _write(folder / "net.safetensors", struct.pack("<Q", len(head)), head)


def safetensors_shape(folder: Path) -> Path:
    """A tensor of a trillion numbers in no bytes."""
    entry = {"conv1.weight": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    head = json.dumps(entry).encode()
    return _write(folder / "net.safetensors", struct.pack("<Q", len(head)), head)


class _Storage:
    """Stands for a storage of torch in a pickle."""

    def __init__(self, count: int) -> None:
        self.count = count


def _state_pickle(count: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The pickle of {"conv1.weight": tensor} in torch's own format, of any claimed size."""
    import io

    import torch

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: object) -> object:
            if isinstance(thing, _Storage):
                return ("storage", torch.FloatStorage, "0", "cpu", thing.count)
            return None

    class Claim:
        def __reduce__(self) -> tuple[object, ...]:
            from collections import OrderedDict

            arguments = (_Storage(count), 0, shape, stride, False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments

    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump({"conv1.weight": Claim()})
    return stream.getvalue()


def _archive(path: Path, entries: dict[str, bytes], packed: dict[str, tuple[bytes, int]]) -> Path:
    """A zip of stored entries and of deflated ones given as (packed bytes, size they claim)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        for name, (content, _) in packed.items():
            archive.writestr(name, content)
    raw = bytearray(path.read_bytes())
    for name, (content, size) in packed.items():
        _claim_deflated(raw, name.encode(), len(content), size)
    path.write_bytes(raw)
    return path


def _claim_deflated(raw: bytearray, name: bytes, stored: int, size: int) -> None:
    """Make the local and central records of an entry say that it is deflated and unpacks to `size`."""
    for signature, method, sizes, at_name in ((b"PK\3\4", 8, 18, 30), (b"PK\1\2", 10, 20, 46)):
        at = raw.find(signature)
        while at >= 0:
            if raw[at + at_name : at + at_name + len(name)] == name:
                raw[at + method : at + method + 2] = struct.pack("<H", 8)
                raw[at + sizes : at + sizes + 8] = struct.pack("<II", stored, min(size, 2**32 - 1))
            at = raw.find(signature, at + 4)


def pt_deflated(folder: Path) -> Path:
    """Weights of 3.9 GB of zeros in 4 MB."""
    count = 3900 * MEGABYTE // 4
    entries = {
        "net/data.pkl": _state_pickle(count, (count,), (1,)),
        "net/version": b"3\n",
        "net/byteorder": b"little",
    }
    zeros = _zeros(3900, -zlib.MAX_WBITS)
    return _archive(folder / "net.pt", entries, {"net/data/0": (zeros, 4 * count)})


def pt_many(folder: Path) -> Path:
    """42.zip: very many entries of 100 MB each, of which one is asked for."""
    entries = {
        "net/data.pkl": _state_pickle(4, (4,), (1,)),
        "net/version": b"3\n",
        "net/data/0": bytes(16),
    }
    zeros = (_zeros(100, -zlib.MAX_WBITS), 100 * MEGABYTE)
    return _archive(folder / "net.pt", entries, {f"net/data/{k}": zeros for k in range(1, 30)})


def pt_stride(folder: Path) -> Path:
    """A tensor of a million by a million, all of whose numbers are the same four bytes."""
    entries = {
        "net/data.pkl": _state_pickle(1, (10**6, 10**6), (0, 0)),
        "net/version": b"3\n",
        "net/data/0": bytes(4),
    }
    return _archive(folder / "net.pt", entries, {})


def pt_pickle(folder: Path) -> Path:
    """A data.pkl that unpacks to 1.5 GB."""
    entries = {"net/version": b"3\n", "net/data/0": bytes(4)}
    text = b"\x80\x02X" + struct.pack("<I", 1500 * MEGABYTE)
    packed = _zeros(1500, -zlib.MAX_WBITS, text)
    return _archive(folder / "net.pt", entries, {"net/data.pkl": (packed, 1500 * MEGABYTE + len(text))})


def _laughs(levels: int, width: int) -> str:
    """YAML aliases of aliases: ten levels of ten are ten billion."""
    lines = ["a0: &a0 [lol, lol]"]
    for k in range(1, levels):
        lines.append(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * width)}]")
    return "\n".join(lines)


def yaml_laughs(folder: Path) -> Path:
    """Arguments of a network that are ten billion words by way of aliases."""
    text = f"{_laughs(11, 10)}\nnetwork_def: {{_target_: monai.networks.nets.UNet, channels: *a10}}\n"
    _write(folder / "bundle" / "configs" / "inference.yaml", text.encode())
    _write(folder / "bundle" / "configs" / "metadata.json", b'{"version": "0.1.0"}')
    return folder / "bundle"


def json_laughs(folder: Path) -> Path:
    """References to references: each name stands for ten of the next."""
    config: dict[str, object] = {f"a{k}": [f"@a{k + 1}"] * 10 for k in range(12)}
    config["a12"] = 1
    config["network_def"] = {"_target_": "monai.networks.nets.UNet", "channels": "@a0", "spatial_dims": 2}
    _write(folder / "bundle" / "configs" / "inference.json", json.dumps(config).encode())
    _write(folder / "bundle" / "configs" / "metadata.json", b'{"version": "0.1.0"}')
    return folder / "bundle"


def json_channels(folder: Path) -> Path:
    """A network of an allowed class with a trillion weights."""
    arguments = {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
        "channels": [10**6, 10**6, 10**6],
        "strides": [2, 2],
    }
    config = {"network_def": {"_target_": "monai.networks.nets.UNet", **arguments}}
    _write(folder / "bundle" / "configs" / "inference.json", json.dumps(config).encode())
    _write(folder / "bundle" / "configs" / "metadata.json", b'{"version": "0.1.0"}')
    _write(folder / "bundle" / "models" / "model.safetensors", struct.pack("<Q", 2), b"{}")
    return folder / "bundle"


def _onnx(folder: Path, nodes: list[object], tensors: list[object]) -> Path:
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1, "H", "W"]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    made.ir_version = 10
    return _write(folder / "net.onnx", made.SerializeToString())


def onnx_tensor(folder: Path) -> Path:
    """A constant of a trillion numbers in no bytes."""
    from onnx import TensorProto, helper

    claim = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[10**6, 10**6])
    return _onnx(folder, [helper.make_node("Add", ["x", "w"], ["y"])], [claim])


def onnx_shape(folder: Path) -> Path:
    """A node that makes a trillion numbers when it runs."""
    return _onnx_of_shape(folder, [10**6, 10**6])


def _onnx_of_shape(folder: Path, sizes: list[int]) -> Path:
    from onnx import helper, numpy_helper

    shape = numpy_helper.from_array(np.array(sizes), "s")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    return _onnx(folder, nodes, [shape])


def onnx_shape_that_fits(folder: Path) -> Path:
    """A node that makes 4 GB, which most machines have."""
    return _onnx_of_shape(folder, [2**15, 2**15])


def onnx_expand(folder: Path) -> Path:
    """A number that is repeated into 4 GB."""
    from onnx import helper, numpy_helper

    shape = numpy_helper.from_array(np.array([1, 1, 2**15, 2**15]), "s")
    one = numpy_helper.from_array(np.ones((1, 1, 1, 1), dtype=np.float32), "one")
    nodes = [
        helper.make_node("Expand", ["one", "s"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    return _onnx(folder, nodes, [shape, one])


def onnx_pad(folder: Path) -> Path:
    """An image padded by a hundred thousand voxels on all sides."""
    from onnx import helper, numpy_helper

    pads = numpy_helper.from_array(np.array([0, 0, 10**5, 10**5, 0, 0, 10**5, 10**5]), "p")
    return _onnx(folder, [helper.make_node("Pad", ["x", "p"], ["y"])], [pads])


# Studies


def study(name: str) -> Callable[[Path], Path]:
    """The hostile study of this name, see `study_cases`."""

    def make(folder: Path) -> Path:
        from study_cases import REFUSE, sound

        path = sound(folder / "study.zarr")
        REFUSE[name](path)
        return path

    return make


STUDIES = {
    "study_blosc_claim": "a chunk that claims 2 GB",
    "study_zstd_zeros": "a chunk of 300 MB of zeros",
    "study_scan_zeros": "the scan's chunk 300 MB of zeros",
    "study_chunk_shape": "chunks of 10**12",
    "study_plane": "the scan of 10**10 voxels",
    "study_region": "a region of 30000 x 30000",
    "study_rows": "rows 10**12",
    "study_journal": "journal of 20 GB of nothing",
    "study_depth": "root 100000 deep",
}
BOMBS: dict[str, Bomb] = {
    **{
        make.__name__: Bomb("scan", make)
        for make in (
            deflated,
            deflated_items,
            deflated_depth,
            rle,
            native_frames,
            j2k,
            gzip_nifti,
            nifti_dimensions,
            gzip_endless,
            gzip_far,
            gzip_name,
            npy_shape,
            npy_sparse,
            nrrd_gzip,
            nrrd_bzip2,
            nrrd_text,
            mha_zlib,
        )
    },
    **{
        make.__name__: Bomb("model", make)
        for make in (
            safetensors_length,
            safetensors_header,
            safetensors_shape,
            pt_deflated,
            pt_many,
            pt_stride,
            pt_pickle,
            yaml_laughs,
            json_laughs,
            json_channels,
            onnx_tensor,
            onnx_shape,
            onnx_shape_that_fits,
            onnx_expand,
            onnx_pad,
        )
    },
    **{name: Bomb("study", study(case)) for name, case in STUDIES.items()},
}


def names(kind: str) -> Iterator[str]:
    return (name for name, bomb in BOMBS.items() if bomb.kind == kind)
