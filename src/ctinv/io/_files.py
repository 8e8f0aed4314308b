"""Find DICOM files and open them safely: sniffed first, deflated ones inflated under a bound."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from errno import ELOOP, ENOENT
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from stat import S_ISREG
from struct import unpack_from
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ctinv.errors import SeriesError
from ctinv.io._unpack import bound
from ctinv.names import bare

MAX_FILES = 20_000
MAX_INFLATED = 512 * 2**20
# Each item of a sequence becomes an object; 20000 empty ones in 160 kB keep pydicom and us busy for half a minute.
_ITEMS_FREE, _ITEM_BYTES, _MAX_ITEMS = 1000, 64, 100_000
_ITEM_TAGS, _PIXEL_TAGS = (
    (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"),
    (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"),
)
_META_BYTES = 64 * 1024
_LONG_VR = {b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UN", b"UT", b"UC", b"UR"}


class NotDicom(Exception):
    """The file does not look like DICOM; it is skipped."""


def unreadable(path: Path, error: OSError) -> SeriesError:
    """What to say of a file that the system does not give, also one that has gone since it was found."""
    return SeriesError(
        f"{bare(path)} cannot be read ({error.strerror or 'input/output error'}); check the disk and rights."
    )


def regular_files(root: Path) -> list[Path]:
    """All regular files below `root`, sorted; raises as `files_and_dead_links`."""
    return files_and_dead_links(root)[0]


def files_and_dead_links(root: Path) -> tuple[list[Path], list[Path]]:
    """All regular files below `root`, sorted, and links whose file is not there; pipes, sockets and devices are left out.

    Linked folders are not entered, so no loop can form.

    Raises:
        SeriesError: The folder does not exist, a part of it cannot be listed or it holds far too many files.
    """
    if not root.is_dir():
        raise SeriesError(
            f"there is no folder {bare(root)!r}; give the folder of one DICOM series or one of its files."
        )
    found: list[Path] = []
    dead: list[Path] = []
    for folder, subfolders, names in os.walk(root, followlinks=False, onerror=_refuse_listing):
        subfolders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            try:
                if S_ISREG(path.stat().st_mode):
                    found.append(path)
            except OSError as error:
                if error.errno == ENOENT:
                    dead.append(path)
                elif error.errno != ELOOP:
                    raise unreadable(path, error) from None
        if len(found) > MAX_FILES:
            raise SeriesError(
                f"more than {MAX_FILES} files lie in this folder; give the folder of one DICOM series."
            )
    return found, dead


def _refuse_listing(error: OSError) -> None:
    """A folder that cannot be listed may hold slices."""
    raise SeriesError(
        f"a folder cannot be listed ({error.strerror or 'input/output error'}), so slices may be missing; check its rights."
    )


def open_dataset(path: Path, tags: list[int], *, pixels: bool) -> Dataset:
    """Parse the allow-listed tags of a file.

    Args:
        path: A regular file.
        tags: The only tags whose values are read.
        pixels: Read on into the pixel data.

    Returns:
        The dataset, with a file meta that always names a transfer syntax.

    Raises:
        NotDicom: The file does not look like DICOM.
        SeriesError: A deflated file inflates to more than any CT image needs, or the header holds too many items.
        OSError: The file cannot be read.
        Exception: Whatever pydicom raises on a damaged file.
    """
    with path.open("rb") as stream:
        head = stream.read(_META_BYTES)
    preamble = head[128:132] == b"DICM"
    if not preamble and not _looks_bare(head):
        raise NotDicom
    meta, end = _file_meta(head) if preamble else ({}, 0)
    syntax = meta.get(0x10, b"").rstrip(b"\0 ").decode("ascii", "replace")
    deflated = syntax == DeflatedExplicitVRLittleEndian
    with BytesIO(head[:132] + _inflate(path, end)) if deflated else _Bounded(path) as source:
        _check_items(path, source)
        source.seek(0)
        dataset = dcmread(source, stop_before_pixels=not pixels, specific_tags=[*tags], force=not preamble)
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = _guess_syntax(dataset)
    if not isinstance(dataset.file_meta.TransferSyntaxUID, UID):
        raise ValueError("the transfer syntax is not one UID")
    return dataset


class _Bounded(BufferedReader):
    """A file of which no more is asked than is left: Python sets aside what is asked, a damaged length asks for 4 GB."""

    def __init__(self, path: Path) -> None:
        raw = FileIO(path)
        super().__init__(raw)
        self._end = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, all that are left where no size is given."""
        left = max(0, self._end - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def media_class(path: Path) -> str:
    """MediaStorageSOPClassUID of a file, "" if it has none; works on files whose data set is damaged."""
    with path.open("rb") as stream:
        head = stream.read(_META_BYTES)
    meta = _file_meta(head)[0] if head[128:132] == b"DICM" else {}
    return meta.get(0x02, b"").rstrip(b"\0 ").decode("ascii", "replace")


def _looks_bare(head: bytes) -> bool:
    """Whether a file without preamble starts like a DICOM data set: group 2 or 8 with a small element number."""
    if len(head) <= 256:
        return False
    little = head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0 and head[2] < 0x20
    return little or (head[:3] == b"\x00\x08\x00" and head[3] < 0x20)


def _guess_syntax(dataset: Dataset) -> UID:
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _file_meta(head: bytes) -> tuple[dict[int, bytes], int]:
    """Elements of group 2 and the byte where they end; PS3.10 writes them in explicit VR little endian."""
    elements: dict[int, bytes] = {}
    at = 132
    while at + 12 <= len(head) and head[at : at + 2] == b"\x02\x00":
        element = unpack_from("<H", head, at + 2)[0]
        if head[at + 4 : at + 6] in _LONG_VR:
            length, start = unpack_from("<I", head, at + 8)[0], at + 12
        else:
            length, start = unpack_from("<H", head, at + 6)[0], at + 8
        elements[element] = head[start : start + length]
        at = start + length
    return elements, at


def _inflate(path: Path, start: int) -> bytes:
    """Inflate the data set of a deflated file, never beyond the bound."""
    data = path.read_bytes()[start:]
    most = min(MAX_INFLATED, bound(len(data)))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = inflater.decompress(data, most)
    if inflater.unconsumed_tail and not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1):
        raise SeriesError(
            f"{bare(path)}: the deflated file inflates to more than {most // 2**20} MB, which no CT image "
            "needs; it was not read."
        )
    if not inflater.eof:
        raise SeriesError(f"{bare(path)}: the deflated file is truncated; export the series again.")
    return out


def _check_items(path: Path, stream: BinaryIO) -> None:
    """Refuse a header of more items than its file could need, before any becomes an object."""
    allowed = min(_MAX_ITEMS, _ITEMS_FREE + path.stat().st_size // _ITEM_BYTES)
    count, rest = 0, b""
    while piece := stream.read(_META_BYTES):
        data = rest + piece
        ends = [at for at in map(data.find, _PIXEL_TAGS) if at >= 0]
        count += sum(data.count(tag, 0, min(ends, default=len(data))) for tag in _ITEM_TAGS)
        if count > allowed:
            raise SeriesError(
                f"{bare(path)} holds more than {allowed} items in its header, which no CT image needs; export it again."
            )
        if ends:
            return
        rest = piece[-3:]


def chunks(path: Path, size: int = 2**20) -> Iterator[bytes]:
    """The bytes of a file in pieces, to hash it."""
    with path.open("rb") as stream:
        while piece := stream.read(size):
            yield piece
