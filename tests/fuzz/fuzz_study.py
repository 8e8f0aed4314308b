"""Target for a study: one file of it is damaged, then it is read, verified and continued.

First byte: which file. Second byte: bit 0 makes the checksums fit that a study keeps of itself, bit 1 continues the study
after reading. The rest is the file; nothing deletes it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzzing import Target, WrongError
from mutators import LEAVES, mutate_bytes, mutate_tree
from sampler_studies import fill, make_batch, make_provenance, make_setting

from ctinv.errors import CtinvError
from ctinv.sampler import Provenance, Store

ROWS = 4
SEALED, CONTINUED = 1, 2
_NAME = "study.zarr"


def _create(folder: Path) -> Store:
    return Store.create(folder, make_provenance(), make_setting(), n=ROWS)


@cache
def _files() -> dict[str, bytes]:
    """A finished study of four samples, file by file."""
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room, _NAME)
        with _create(folder) as store:
            fill(store, size=2)
            store.finish({"sampling": 1.5})
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        return {name: path.read_bytes() for name, path in files.items() if name != "writer.lock"}


def _seeds() -> list[bytes]:
    return [bytes([index, SEALED | CONTINUED]) + content for index, content in enumerate(_files().values())]


def _mutate(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    head = bytes([data[0], rng.choice((0, SEALED, CONTINUED, SEALED | CONTINUED))])
    if rng.random() < 0.45:  # the metadata and the journal decide most
        name = rng.choice(("zarr.json", "zarr.json", "journal.jsonl"))
        head = bytes([list(_files()).index(name)]) + head[1:]
    name = list(_files())[head[0]]
    content = _files()[name]
    step = rng.random()
    if step < 0.04:
        return head
    if step < 0.1:  # another file of the study in its place
        return head + rng.choice(list(_files().values()))
    if step > 0.35 and name.endswith("zarr.json"):
        return head + json.dumps(mutate_tree(rng, json.loads(content), _LEAVES), indent=2).encode()
    if step > 0.35 and name.endswith("jsonl"):
        return head + _mutate_journal(rng, content)
    return head + mutate_bytes(rng, content, [other[2:] for other in others], _TOKENS)


_LEAVES: tuple[Any, ...] = (
    *LEAVES,
    *([25, 1, 32, 24], [4, 1, 32, 24], [0, 1, 32, 24], [2**40, 1, 32, 24], [4, 1, 2**31, 2**31], [0, 0, 0, 0], [1, 1, 1, 1]),
    *("int16", "float32", "float64", "complex64", "bool", "string", "r8", "bytes", "blosc", "zstd", "gzip", "crc32c"),
    *("sharding_indexed", "numcodecs.pickle", "transpose", "default", "v2", "NaN", "0x7fc00000", ".", "CT", "MR", "a.u."),
)  # fmt: skip
_TOKENS = (
    b"null",
    b"NaN",
    b"Infinity",
    b"{}",
    b"[" * 5000,
    b'"crc32"',
    b"\n\n",
    b"\xff\xff\xff\xff",
    b"\x02\x01\x21\x02",
)


def _mutate_journal(rng: Random, content: bytes) -> bytes:
    """Lines changed as trees, left out, doubled, in another order or torn."""
    lines = content.splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        step = rng.random()
        if step < 0.7:
            with suppress(ValueError, RecursionError):
                lines[at] = json.dumps(mutate_tree(rng, json.loads(lines[at]))).encode()
        elif step < 0.8 and len(lines) > 1:
            del lines[at]
        elif step < 0.9:
            lines.insert(rng.randrange(len(lines)), lines[at])
        else:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
    return b"\n".join(lines) + rng.choice((b"\n", b"\n", b"", b'\n{"k": 9'))


def _seal(folder: Path) -> None:
    """Make the checksums fit: of the journal's lines, of the files in the manifest, of the metadata, and the key."""
    journal, root = folder / "journal.jsonl", folder / "zarr.json"
    if journal.is_file():
        journal.write_bytes(b"\n".join(_line(line) for line in journal.read_bytes().split(b"\n")))
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, CtinvError):
        whole = json.loads(root.read_bytes())
        meta = whole["attributes"]["ctinv"]
        with suppress(ValueError, KeyError, TypeError, AttributeError, CtinvError):
            meta["key"] = Provenance.from_json(meta["provenance"]).key()
        if isinstance(meta.get("files"), dict):
            for name, sha256 in meta["files"].items():
                if sha256 is not None and (folder / name).is_file():
                    meta["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if "sha256" in meta:
            meta["sha256"] = "0" * 64
        content = json.dumps(whole, indent=2).encode()
        seal = hashlib.sha256(content).hexdigest().encode()
        root.write_bytes(re.sub(rb'"sha256": "0{64}"', b'"sha256": "%s"' % seal, content, count=1))


def _line(line: bytes) -> bytes:
    try:
        body = json.loads(line)
        body.pop("crc32", None)
        text = json.dumps(body, sort_keys=True)
        return json.dumps({**body, "crc32": f"{zlib.crc32(text.encode()):08x}"}).encode()
    except (ValueError, AttributeError, TypeError, RecursionError):
        return line


def _prepare(room: Path) -> Callable[[bytes], None]:
    folder = room / _NAME
    _write(folder)
    certificates = {one.k: one for one in Store.open(folder).certificates}
    batch = make_batch(range(ROWS), make_setting())
    images = dict(zip(batch.rows, batch.x_tilde, strict=True))

    def run(data: bytes) -> None:
        which, flags, content = (data[0] if data else 0), (data[1] if len(data) > 1 else 0), data[2:]
        path = folder / list(_files())[which % len(_files())]
        sealed = bool(flags & SEALED)
        try:
            path.write_bytes(content)
            if not content:
                path.unlink()
            if sealed:
                _seal(folder)
            _read(folder, None if sealed else images, certificates)
            if flags & CONTINUED:
                _continue(folder, None if sealed else images)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _write(folder)

    return run


def _write(folder: Path) -> None:
    for name, content in _files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(folder: Path, images: dict[int, Any] | None, certificates: dict[int, Any]) -> None:
    """All of the reading side; where nothing was sealed, what is given must be what was written."""
    store = Store.open(folder)
    refused: list[CtinvError] = []

    def ask(question: Callable[[], Any]) -> Any:
        try:
            return question()
        except CtinvError as error:
            refused.append(error)
            return None

    sound = ask(store.verify)
    if images is not None and any(certificates.get(one.k) != one for one in store.certificates):
        raise WrongError("a certificate is not the one that was written")
    for k in store.rows:
        image = ask(lambda k=k: store.read(k))
        ask(lambda k=k: store.read_error(k))
        if images is not None and image is not None and not np.array_equal(image, images[k]):
            raise WrongError("a sample is not the one that was written")
        if images is not None and image is None and sound == []:
            raise WrongError("verify finds nothing and a sample cannot be read")
    for question in (
        lambda: store.setting,
        store.spread,
        store.worst,
        store.summary,
        lambda: list(store.batches()),
    ):
        ask(question)
    if refused:
        raise refused[0]


def _continue(folder: Path, images: dict[int, Any] | None) -> None:
    """Continue the study; what was lost is drawn again."""
    with _create(folder) as store:
        fill(store)
        store.finish()
    if images is not None:
        again = Store.open(folder)
        if again.rows != tuple(images) or any(not np.array_equal(again.read(k), images[k]) for k in images):
            raise WrongError("a study that was continued is not the one that never was interrupted")


TARGETS = {"study/files": Target(_seeds, _mutate, _prepare)}
