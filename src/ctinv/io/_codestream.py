"""What compressed pixels say about themselves, read from their own headers before any decoder sees them.

References: ISO/IEC 15444-1 A.5.1 (SIZ), ITU-T T.87 C.2.2 and T.81 B.2.2 (SOF); DICOM PS3.5 A.4 (fragments, offset tables).
"""

from __future__ import annotations

from io import BytesIO
from struct import unpack_from
from typing import NamedTuple

from pydicom import Dataset
from pydicom.encaps import parse_basic_offsets, parse_fragments

from ctinv.errors import SeriesError

_PICTURE_BITS = 8


class StreamInfo(NamedTuple):
    """Matrix and samples of a JPEG 2000, JPEG-LS or JPEG stream; JPEG streams know no sign."""

    rows: int
    columns: int
    bits: int
    signed: bool


def stream_info(stream: bytes) -> StreamInfo | None:
    """Read the size segment; None if there is none."""
    at = stream.find(b"\xff\x4f\xff\x51")
    if 0 <= at < 1024 and len(stream) >= at + 43:
        x1, y1, x0, y0 = unpack_from(">4I", stream, at + 8)
        depth = stream[at + 42]
        return StreamInfo(y1 - y0, x1 - x0, (depth & 0x7F) + 1, bool(depth & 0x80))
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            bits, rows, columns = unpack_from(">BHH", stream, at + 4)
            return StreamInfo(rows, columns, bits, signed=False)
        at += 2 + unpack_from(">H", stream, at + 2)[0]
    return None


def check_samples(info: StreamInfo, bits_stored: int, signed: bool, name: str) -> None:
    """Compare the samples of a stream with the header.

    More bits than are stored are harmless, and so are fewer where no sign stands in the bits that lack, unless what is left
    is a picture of 8 bits. The pattern of an unsigned stream is read with the sign of the header, as coders without a sign
    need it; the other way round one of the two is wrong.

    Raises:
        SeriesError: Bits that should be there are not, or a signed stream stands under an unsigned header.
    """
    lacks = info.bits < bits_stored
    if lacks and (info.bits <= _PICTURE_BITS or (signed and not info.signed)):
        raise SeriesError(
            f"the compressed pixels of {name} have {info.bits} bits where its header says {bits_stored}; export the series "
            "again."
        )
    if info.signed and not signed:
        raise SeriesError(
            f"the compressed pixels of {name} have a sign where its header says they have none; export it uncompressed."
        )


def check_fragments(dataset: Dataset, frames: int, name: str) -> None:
    """See that fragments and offset tables can mean one thing only; a wrong table would swap frames without an error.

    Raises:
        SeriesError: A table that does not point at fragments in order, or fragments that do not tell frames apart.
    """
    buffer = BytesIO(dataset["PixelData"].value)
    plain = parse_basic_offsets(buffer)
    count, starts = parse_fragments(buffer)
    tables = [list(plain)] if plain else []
    if "ExtendedOffsetTable" in dataset:
        wide = dataset["ExtendedOffsetTable"].value
        tables.append(list(unpack_from(f"<{len(wide) // 8}Q", wide)))
    begins = [start - starts[0] for start in starts]
    for table in tables:
        if (
            len(table) != frames
            or table[0] != 0
            or table != sorted(set(table))
            or not set(table) <= set(begins)
        ):
            raise SeriesError(
                f"the offset table of the compressed pixels of {name} does not fit its frames; export the series again."
            )
    if count < frames or (count > frames and not tables):
        raise SeriesError(
            f"the compressed pixels of {name} have {count} fragments for {frames} frames, so frames cannot be told apart; "
            "export it again."
        )
