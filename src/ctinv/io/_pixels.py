"""Pixel data to stored values: claims checked against the file first, then one chosen decoder, never GDCM.

GDCM and libraries that trust a header have crashed whole processes on damaged files; every size is checked
before it is allocated, the size inside a compressed stream against the header, and codecs run in a child process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import unpack_from
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from ctinv.errors import SeriesError
from ctinv.io._decode import CodecUnavailable, decode_frame
from ctinv.io._fields import IMAGE_KEYWORDS, tags_of
from ctinv.io._files import bare, open_dataset
from ctinv.io._headers import Header

# No lossless coder packs CT better than this; a larger claim is a bomb or a damaged header.
MAX_RATIO = 1100
# RLE codes at best 128 equal bytes in 2.
MAX_RLE_RATIO = 80
_PLUGINS = ("pyjpegls", "pylibjpeg", "pydicom")
_RLE = "1.2.840.10008.1.2.5"
_DECODING = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_TAGS = tags_of([*IMAGE_KEYWORDS, "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"])


def check_claims(headers: Sequence[Header]) -> None:
    """Refuse a file that claims more pixels than its bytes could hold, before anything is decoded."""
    for header in headers:
        claimed = header.rows * header.columns * header.frames * header.bits_allocated // 8
        size = header.path.stat().st_size
        if claimed > size * MAX_RATIO:
            raise SeriesError(
                f"{bare(header.path)} claims {claimed / 2**20:.0f} MB of pixels in a file of "
                f"{size / 2**20:.2f} MB; it is damaged or not honest."
            )


def slices(headers: Sequence[Header]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Decode (index, (rows, columns) stored integers), each file opened once.

    Raises:
        SeriesError: Truncated, empty or corrupt pixels, or a codec that is not installed.
    """
    by_file: dict[Any, list[int]] = {}
    for index, header in enumerate(headers):
        by_file.setdefault(header.path, []).append(index)
    for path, indices in by_file.items():
        try:
            dataset = open_dataset(path, _TAGS, pixels=True)
        except SeriesError:
            raise
        except Exception:
            raise SeriesError(
                f"{bare(path)} is truncated or damaged and cannot be read; export the series again."
            ) from None
        for index in indices:
            yield index, _decode(dataset, headers[index])


def _decode(dataset: Dataset, header: Header) -> NDArray[Any]:
    name = bare(header.path)
    syntax: UID = dataset.file_meta.TransferSyntaxUID
    stream = _pixel_bytes(dataset, name)
    plugin = _plugin(syntax, name)
    frame = _checked(stream, header, syntax, name)
    try:
        if syntax.is_encapsulated:
            image = {keyword: dataset[keyword].value for keyword in _DECODING if keyword in dataset}
            pixels = decode_frame(frame, syntax=syntax, plugin=plugin, image=image)
        else:
            pixels, _ = get_decoder(syntax).as_array(dataset, index=header.frame or 0, raw=True)
    except CodecUnavailable:
        raise SeriesError(
            f"{name} is compressed, and no child process could be started to decode it; free some memory and try again."
        ) from None
    except Exception:
        raise SeriesError(
            f"the pixels of {name} are truncated or damaged and cannot be decoded; export the series again."
        ) from None
    if pixels.shape != (header.rows, header.columns):
        raise SeriesError(
            f"the pixels of {name} do not fill its {header.rows} x {header.columns} matrix; export the "
            "series again."
        )
    return pixels


def _pixel_bytes(dataset: Dataset, name: str) -> bytes:
    try:
        stream = dataset["PixelData"].value
    except Exception:
        stream = None
    if not isinstance(stream, bytes) or not stream:
        raise SeriesError(f"{name} holds no pixel data, it is truncated or empty; export the series again.")
    return stream


def _plugin(syntax: UID, name: str) -> str:
    """The decoder to use; "" for uncompressed data."""
    label = syntax.name if syntax.is_transfer_syntax and not syntax.is_private else "unknown"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise SeriesError(
            f"{name}: the transfer syntax {label} is not supported; export the series uncompressed."
        ) from None
    if not syntax.is_encapsulated:
        return ""
    for plugin in _PLUGINS if syntax != _RLE else ("pydicom", "pylibjpeg"):
        if plugin in decoder.available_plugins:
            return plugin
    raise SeriesError(
        f"{name}: no decoder for {label} is installed; pip install pylibjpeg[all] pyjpegls, or export the "
        "series uncompressed."
    )


def _checked(pixels: bytes, header: Header, syntax: UID, name: str) -> bytes:
    """The compressed stream of a frame, or all pixel data, after its size was compared with the header."""
    one_frame = header.rows * header.columns * header.bits_allocated // 8
    if not syntax.is_encapsulated:
        if len(pixels) < one_frame * header.frames:
            raise SeriesError(
                f"the pixels of {name} are truncated: {len(pixels)} of {one_frame * header.frames} bytes; "
                "export it again."
            )
        if len(pixels) > one_frame * header.frames + 1:
            raise SeriesError(
                f"{name} holds {len(pixels)} bytes of pixels where its header says "
                f"{one_frame * header.frames}; export it again."
            )
        return pixels
    limit = MAX_RLE_RATIO if syntax == _RLE else MAX_RATIO
    try:
        stream = bytes(get_frame(pixels, header.frame or 0, number_of_frames=header.frames))
    except Exception:
        raise SeriesError(
            f"the compressed pixels of {name} are truncated or damaged; export the series again."
        ) from None
    size = _stream_size(stream) if syntax != _RLE else None
    if one_frame > len(stream) * limit or (size is not None and size != (header.rows, header.columns)):
        raise SeriesError(
            f"the compressed pixels of {name} do not fit its {header.rows} x {header.columns} header; it is "
            "damaged."
        )
    if syntax != _RLE and b"\xff\xd9" not in stream[-16:]:
        raise SeriesError(
            f"the compressed pixels of {name} have no end marker: they are truncated; export the series "
            "again."
        )
    return stream


def _stream_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns inside a JPEG 2000, JPEG-LS or JPEG stream; (0, 0) if they cannot be found."""
    at = stream.find(b"\xff\x4f\xff\x51")
    if 0 <= at < 1024 and len(stream) >= at + 24:
        x1, y1, x0, y0 = unpack_from(">4I", stream, at + 8)
        return y1 - y0, x1 - x0
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = unpack_from(">2H", stream, at + 5)
            return rows, columns
        at += 2 + unpack_from(">H", stream, at + 2)[0]
    return 0, 0


def stored_to_hu(stored: NDArray[Any], header: Header, out: NDArray[np.float32]) -> None:
    """Rescale one slice into `out` (rows, columns) float32, in HU or the header's unit.

    Raises:
        SeriesError: The result is not finite, or beyond any CT number where it is one.
    """
    np.multiply(stored, np.float32(header.slope), out=out, dtype=np.float32, casting="unsafe")
    out += np.float32(header.intercept)
    low, high = float(out.min()), float(out.max())
    if header.unit != "HU":
        if not np.isfinite([low, high]).all():
            raise SeriesError(f"the values of {bare(header.path)} overflow; its rescale values are wrong.")
        return
    if not (low >= -32768.5 and high <= 65536):
        raise SeriesError(
            f"the HU of {bare(header.path)} reach beyond ±32768, which no CT has; its rescale values are "
            "wrong."
        )
