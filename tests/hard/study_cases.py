"""Studies of strangers: damaged, or made to look whole. Each is changed from a sound one, and most are sealed again."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from files_phantom import CANARY

from ctinv.sampler import manifest

sys.path.insert(0, str(Path(__file__).parent.parent / "sampler"))

ROWS = 30
GIGABYTE = 2**30


@dataclass(frozen=True)
class StudyCase:
    """One study.

    Attributes:
        must: ``"read"``, ``"refuse"`` or ``"either"``: right or refused.
        change: Called on a copy of a sound study.
    """

    name: str
    must: str
    change: Callable[[Path], object]


def sound(folder: Path) -> Path:
    """A whole study of 30 samples in two blocks of rows."""
    from sampler_studies import fill, make_provenance, make_setting

    from ctinv.sampler import Store

    with Store.create(folder, make_provenance(), make_setting(), n=ROWS) as store:
        fill(store)
        store.finish()
    return folder


def seal(folder: Path, meta: dict[str, Any] | None = None) -> None:
    """Let manifest and metadata fit what lies there now, as an attacker would."""
    if meta is None:
        meta = json.loads((folder / "zarr.json").read_bytes())["attributes"]["ctinv"]
    meta.pop("sha256", None)
    meta["files"] = manifest.hash_all(folder, [name for name in meta["files"] if (folder / name).is_file()])
    manifest.write_root(folder, meta)


def meta_of(*path: str | int, value: Any) -> Callable[[Path], None]:
    """Set one value of the study's metadata, and seal it again."""

    def change(folder: Path) -> None:
        meta = json.loads((folder / "zarr.json").read_bytes())["attributes"]["ctinv"]
        at: Any = meta
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        seal(folder, meta)

    return change


def array_of(name: str, *path: str | int, value: Any) -> Callable[[Path], None]:
    """Set one value of an array's metadata, and seal it again."""

    def change(folder: Path) -> None:
        file = folder / name / "zarr.json"
        document = json.loads(file.read_bytes())
        at: Any = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        file.write_text(json.dumps(document))
        seal(folder)

    return change


def codecs(*names: str) -> list[dict[str, Any]]:
    settings = {
        "bytes": {"endian": "little"},
        "blosc": {"typesize": 2, "cname": "zstd", "clevel": 3, "shuffle": "bitshuffle", "blocksize": 0},
    }
    return [{"name": name, "configuration": settings.get(name, {})} for name in names]


def write(name: str, content: bytes, *, sealed: bool = False) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        if sealed:
            seal(folder)

    return change


def link_out(name: str) -> Callable[[Path], None]:
    """Replace a file or folder of the study by a link to the same thing outside of it."""

    def change(folder: Path) -> None:
        away = folder.parent / "outside"
        (folder / name).rename(away)
        (folder / name).symlink_to(away)

    return change


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def directory(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def remove(*names: str, sealed: bool = False) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
        if sealed:
            seal(folder)

    return change


def record_of(**values: Any) -> Callable[[Path], None]:
    """Change the certificate of the last sample; the line's own checksum fits."""

    def change(folder: Path) -> None:
        journal = folder / "journal.jsonl"
        *lines, last = journal.read_bytes().splitlines(keepends=True)
        body = json.loads(last)
        del body["crc32"]
        body["certificate"].update(values)
        body["crc32"] = f"{zlib.crc32(json.dumps(body, sort_keys=True).encode()):08x}"
        journal.write_bytes(b"".join(lines) + json.dumps(body).encode() + b"\n")

    return change


def with_crc(chunk: bytes) -> bytes:
    import google_crc32c

    return chunk + struct.pack("<I", google_crc32c.value(chunk))


def claiming(nbytes: int) -> bytes:
    """A Blosc header of this size over nothing."""
    return with_crc(struct.pack("<BBBBIII", 2, 1, 0x94, 2, nbytes, 2**18, 16 + 64) + bytes(64))


def zeros(nbytes: int) -> bytes:
    """A Blosc chunk that truly unpacks to this many zeros."""
    from numcodecs import blosc

    return with_crc(bytes(blosc.compress(np.zeros(nbytes, dtype="u1").data, b"zstd", 9, 1)))


def large_plane(folder: Path) -> None:
    """The scan claims 10**5 x 10**5 voxels, and no chunk is there."""
    remove("x/c")(folder)
    array_of("x", "shape", value=[1, 10**5, 10**5])(folder)
    array_of("x", "chunk_grid", "configuration", "chunk_shape", value=[1, 10**5, 10**5])(folder)


def large_region(folder: Path) -> None:
    """Region and samples claim 30000 x 30000 voxels, consistently."""
    side = 30_000
    array_of("x_tilde", "shape", value=[ROWS, 1, side, side])(folder)
    array_of("x_tilde", "chunk_grid", "configuration", "chunk_shape", value=[25, 1, 128, 128])(folder)
    meta = json.loads((folder / "zarr.json").read_bytes())["attributes"]["ctinv"]
    meta["provenance"]["box"], meta["setting"]["region"] = f"3,0:{side},0:{side}", [side, side]
    from ctinv.sampler import Provenance

    meta["key"] = Provenance.from_json(meta["provenance"]).key()
    seal(folder, meta)


def sparse_journal(folder: Path) -> None:
    with (folder / "journal.jsonl").open("r+b") as stream:
        stream.truncate(20 * GIGABYTE)


def consolidated_lie(folder: Path) -> None:
    """Consolidated metadata, which zarr believes before any array's own, say another scale."""
    document = json.loads((folder / "zarr.json").read_bytes())
    arrays = {p.parent.name: json.loads(p.read_bytes()) for p in folder.glob("*/zarr.json")}
    arrays["x_tilde"]["attributes"]["scale"] = 8.0
    document["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": arrays}
    text = json.dumps(document, indent=2).encode()
    old = document["attributes"]["ctinv"]["sha256"].encode()
    import hashlib

    blank = text.replace(old, b"0" * 64, 1)
    (folder / "zarr.json").write_bytes(text.replace(old, hashlib.sha256(blank).hexdigest().encode(), 1))


def version_two(folder: Path) -> None:
    """x_tilde as an array of zarr 2 with a pickle filter."""
    (folder / "x_tilde" / "zarr.json").unlink()
    old = {
        "zarr_format": 2, "shape": [ROWS, 1, 32, 24], "chunks": [25, 1, 32, 24], "dtype": "|O",
        "fill_value": 0, "order": "C", "compressor": None, "filters": [{"id": "pickle", "protocol": 5}],
    }  # fmt: skip
    write("x_tilde/.zarray", json.dumps(old).encode())(folder)
    write("x_tilde/.zattrs", b'{"scale": 0.125}')(folder)
    seal(folder)


def outside_name(folder: Path) -> None:
    """The manifest proves a file outside the study."""
    (folder.parent / "outside").write_bytes(b"secret")
    meta = json.loads((folder / "zarr.json").read_bytes())["attributes"]["ctinv"]
    meta.pop("sha256")
    meta["files"]["../outside"] = "00" * 32
    manifest.write_root(folder, meta)


def deep(levels: int) -> bytes:
    return b'{"attributes": {"ctinv": ' + b"[" * levels + b"]" * levels + b"}}"


def other_network(folder: Path) -> None:
    """One character of the metadata, not sealed."""
    root = folder / "zarr.json"
    root.write_bytes(root.read_bytes().replace(b"cnn10", b"cnn11"))


def renumbered(name: str, text: str) -> Callable[[Path], None]:
    """Write a number into the sealed metadata that JSON does not know."""

    def change(folder: Path) -> None:
        meta = json.loads((folder / "zarr.json").read_bytes())["attributes"]["ctinv"]
        meta.pop("sha256")
        meta[name] = float(text)
        manifest.write_root(folder, meta)

    return change


V2_KEYS = {"name": "v2", "configuration": {"separator": "."}}
CHUNK, SCAN = "x_tilde/c/0/0/0/0", "x/c/0/0/0"
READ: dict[str, Callable[[Path], object]] = {
    "sound": lambda folder: None,
    "sealed again": seal,
    "leftovers of a killed writer": write("x_tilde/c/.0.1234.part", b"junk"),
    "a remark beside it": write("NOTES.txt", CANARY.encode()),
    "an empty lock": write("writer.lock", b""),
    "a lock that is junk": write("writer.lock", b"\xff\xfe" * 99),
}
EITHER: dict[str, Callable[[Path], object]] = {
    "consolidated metadata that lie": consolidated_lie,
    "maps deleted": remove("mean/c", "spread/c", "worst/c"),
    "a map deleted and sealed": remove("mean/c", sealed=True),
    "a line of the journal that is deep": write("extra.jsonl", b"[" * 10**5),
}
REFUSE: dict[str, Callable[[Path], object]] = {
    # Metadata of arrays
    "rows of x_tilde 10**12": array_of("x_tilde", "shape", 0, value=10**12),
    "rows of x_tilde 3": array_of("x_tilde", "shape", 0, value=3),
    "height of x_tilde": array_of("x_tilde", "shape", 2, value=31),
    "height of x_tilde below 0": array_of("x_tilde", "shape", 2, value=-32),
    "height of x_tilde 32.0": array_of("x_tilde", "shape", 2, value=32.5),
    "shape of x_tilde is text": array_of("x_tilde", "shape", value="30,1,32,24"),
    "axes of x_tilde": array_of("x_tilde", "shape", value=[ROWS, 32, 24]),
    "chunks of x_tilde": array_of("x_tilde", "chunk_grid", "configuration", "chunk_shape", value=[1, 1, 32, 24]),
    "chunks of 10**12": array_of("x_tilde", "chunk_grid", "configuration", "chunk_shape", value=[10**12, 1, 32, 24]),
    "chunks of 0": array_of("x_tilde", "chunk_grid", "configuration", "chunk_shape", value=[0, 1, 32, 24]),
    "another chunk grid": array_of("x_tilde", "chunk_grid", "name", value="rectangular"),
    "another separator": array_of("x_tilde", "chunk_key_encoding", value=V2_KEYS),
    "type float32": array_of("x_tilde", "data_type", value="float32"),
    "type uint16": array_of("x_tilde", "data_type", value="uint16"),
    "type unknown": array_of("x_tilde", "data_type", value="object"),
    "type by a mapping": array_of("x_tilde", "data_type", value={"name": "numpy.datetime64", "configuration": {}}),
    "fill value": array_of("x_tilde", "fill_value", value=0),
    "fill value of the scan": array_of("x", "fill_value", value=0.0),
    "pickle codec": array_of("x_tilde", "codecs", value=codecs("numcodecs.pickle", "crc32c")),
    "pickle codec first": array_of("x_tilde", "codecs", value=codecs("numcodecs.pickle", "bytes", "blosc", "crc32c")),
    "no codecs": array_of("x_tilde", "codecs", value=[]),
    "codecs that are text": array_of("x_tilde", "codecs", value="blosc"),
    "codec without name": array_of("x_tilde", "codecs", value=[{}, {}, {}]),
    "no checksum": array_of("x_tilde", "codecs", value=codecs("bytes", "blosc")),
    "gzip": array_of("x_tilde", "codecs", value=codecs("bytes", "gzip", "crc32c")),
    "unknown codec": array_of("x_tilde", "codecs", value=codecs("bytes", "nonsense", "crc32c")),
    "sharding": array_of("x_tilde", "codecs", value=codecs("sharding_indexed")),
    "transposed": array_of("x_tilde", "codecs", value=codecs("transpose", "bytes", "blosc", "crc32c")),
    "big endian": array_of("x_tilde", "codecs", 0, "configuration", "endian", value="big"),
    "storage transformers": array_of("x_tilde", "storage_transformers", value=[{"name": "x"}]),
    "an array that is a group": array_of("x_tilde", "node_type", value="group"),
    "an array of zarr 2 by number": array_of("x_tilde", "zarr_format", value=2),
    "an array of zarr 2 with pickles": version_two,
    "metadata of an array missing": remove("x_tilde/zarr.json"),
    "metadata of an array missing, sealed": remove("x_tilde/zarr.json", sealed=True),
    "metadata of an array empty": write("x_tilde/zarr.json", b"", sealed=True),
    "metadata of an array a list": write("x_tilde/zarr.json", b"[]", sealed=True),
    "metadata of an array 100000 deep": write("x_tilde/zarr.json", deep(100_000), sealed=True),
    "metadata of an array 20 MB": write("x_tilde/zarr.json", b" " * 20 * 2**20, sealed=True),
    "metadata of the scan 20 MB": write("x/zarr.json", b" " * 20 * 2**20, sealed=True),
    "an array missing": remove("feedback_error", sealed=True),
    "scale is text": array_of("x_tilde", "attributes", "scale", value="x"),
    "scale is a list": array_of("x_tilde", "attributes", "scale", value=[1]),
    "scale is nothing": array_of("x_tilde", "attributes", value={}),
    "scale NaN": array_of("x_tilde", "attributes", "scale", value=float("nan")),
    "scale 0": array_of("x_tilde", "attributes", "scale", value=0.0),
    "scale doubled": array_of("x_tilde", "attributes", "scale", value=0.25),
    "scale of the errors": array_of("feedback_error", "attributes", "scale", value=0.001),
    "step of the values": array_of("x_tilde", "attributes", "quantum", value=1.0),
    "the scan of another shape": array_of("x", "shape", value=[1, 24, 32]),
    "the scan of 10**10 voxels": large_plane,
    "a region of 30000 x 30000": large_region,
    # Metadata of the study
    "root missing": remove("zarr.json"),
    "root empty": write("zarr.json", b""),
    "root a list": write("zarr.json", b"[1, 2]"),
    "root a group of somebody else": write("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}'),
    "root 1000 deep": write("zarr.json", deep(1000)),
    "root 100000 deep": write("zarr.json", deep(100_000)),
    "root of 20 MB": write("zarr.json", b" " * 20 * 2**20),
    "root not UTF-8": write("zarr.json", b"\xff\xfe{}"),
    "a bit of the root": other_network,
    "format 9": meta_of("format", value=9),
    "format of 400 digits": meta_of("format", value=10**400),
    "format text": meta_of("format", value="two"),
    "rows text": meta_of("n", value="many"),
    "rows -1": meta_of("n", value=-1),
    "rows 0": meta_of("n", value=0),
    "rows 10**12": meta_of("n", value=10**12),
    "rows more than the arrays have": meta_of("n", value=31),
    "rows NaN": renumbered("n", "nan"),
    "rows infinite": renumbered("n", "inf"),
    "time a list": meta_of("seconds", value=[1]),
    "no setting": meta_of("setting", value=None),
    "setting a list": meta_of("setting", value=[]),
    "affine NaN": meta_of("setting", "affine", 0, 0, value=float("nan")),
    "affine 3 x 3": meta_of("setting", "affine", value=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "affine singular": meta_of("setting", "affine", 0, value=[0, 0, 0, 0]),
    "affine text": meta_of("setting", "affine", value="identity"),
    "output box text": meta_of("setting", "output_box", value=f"{CANARY}"),
    "output box other": meta_of("setting", "output_box", value="3,0:9,0:9"),
    "output box a number": meta_of("setting", "output_box", value=3),
    "scalars a list": meta_of("setting", "scalars", value=[1, 2]),
    "a scalar text": meta_of("setting", "scalars", "d_eff", value="much"),
    "offset of two": meta_of("setting", "offset", value="ab"),
    "acquisition of another kind": meta_of("setting", "acquisition", value={"kvp": 1, "name": CANARY}),
    "a tube voltage of text": meta_of("setting", "acquisition", "kvp", value=CANARY),
    "offset of half a voxel and more": meta_of("setting", "offset", value=[0, 1]),
    "runs of numbers": meta_of("runs", value=[1, 2]),
    "window a number": meta_of("setting", "acquisition", "window", value=3),
    "modality unknown": meta_of("setting", "modality", value=CANARY),
    "unit unknown": meta_of("setting", "unit", value="furlong"),
    "quantum NaN": meta_of("setting", "quantum", value=float("nan")),
    "quantum doubled": meta_of("setting", "quantum", value=0.25),
    "quantum text": meta_of("setting", "quantum", value="an eighth"),
    "provenance missing": meta_of("provenance", value={}),
    "provenance a list": meta_of("provenance", value=[1]),
    "provenance of another network": meta_of("provenance", "denoiser", value="other"),
    "provenance with NaN": meta_of("provenance", "tolerance", value=float("nan")),
    "a box that is none": meta_of("provenance", "box", value="everywhere"),
    "manifest a list": lambda folder: manifest.write_root(
        folder, {**{k: v for k, v in json.loads((folder / "zarr.json").read_bytes())["attributes"]["ctinv"].items()
                    if k != "sha256"}, "files": 3}),
    "manifest that names a file outside": outside_name,
    # Files
    "a chunk that is a link out": link_out(CHUNK),
    "a folder of chunks that is a link out": link_out("x_tilde/c/0"),
    "an array that is a link out": link_out("x_tilde"),
    "metadata of an array that are a link out": link_out("x_tilde/zarr.json"),
    "the scan's chunk that is a link out": link_out(SCAN),
    "root that is a link out": link_out("zarr.json"),
    "journal that is a link out": link_out("journal.jsonl"),
    "a chunk that is a folder": directory(CHUNK),
    "a chunk that is a pipe": pipe(CHUNK),
    "root that is a folder": directory("zarr.json"),
    "root that is a pipe": pipe("zarr.json"),
    "journal that is a folder": directory("journal.jsonl"),
    "journal that is a pipe": pipe("journal.jsonl"),
    "journal of 20 GB of nothing": sparse_journal,
    "journal missing": remove("journal.jsonl"),
    "a chunk missing": remove(CHUNK),
    "a chunk empty": write(CHUNK, b""),
    "a chunk of noise": write(CHUNK, np.random.default_rng(4).bytes(3000)),
    "a chunk that claims 2 GB": write(CHUNK, claiming(2**31 - 1)),
    "a chunk that claims nothing": write(CHUNK, claiming(0)),
    "a chunk that claims one byte more": write(CHUNK, claiming(25 * 32 * 24 * 2 + 1)),
    "a chunk of zeros": write(CHUNK, zeros(25 * 32 * 24 * 2)),
    "a chunk of 300 MB of zeros": write(CHUNK, zeros(300 * 2**20)),
    "the scan missing": remove("x/c"),
    "the scan missing, sealed": remove("x/c", sealed=True),
    "the scan's chunk 300 MB of zeros": write(SCAN, zeros(300 * 2**20), sealed=True),
    "the scan's chunk a claim of 2 GB": write(SCAN, claiming(2**31 - 1), sealed=True),
    "f(x) missing, sealed": remove("fx/c", sealed=True),
    "the surroundings missing, sealed": remove("context/c", sealed=True),
    "a folder without anything": lambda folder: remove(*[p.name for p in folder.iterdir()])(folder),
}  # fmt: skip

CASES = [
    *(StudyCase(name, "read", change) for name, change in READ.items()),
    *(StudyCase(name, "either", change) for name, change in EITHER.items()),
    *(StudyCase(name, "refuse", change) for name, change in REFUSE.items()),
]

DAMAGED_LINES: dict[str, Callable[[Path], object]] = {
    "row is text": record_of(k="29"),
    "row is below 0": record_of(k=-1),
    "row is 10**12": record_of(k=10**12),
    "row is true": record_of(k=True),
    "row is half": record_of(k=28.5),
    "figure is text": record_of(rmse_hu=CANARY),
    "figure is a list": record_of(error=[1]),
    "tier is a number": record_of(tier=3),
    "passed is text": record_of(passed="yes"),
}
"""What makes the last line of the journal one that does not count, although its checksum fits."""
