"""The bytes of a plain or packed file, read forward under a bound and never further than was asked for."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO

PIECE = 256 * 1024
# What unpacks 40-fold beyond 64 MiB is no CT image; a file that claims more is refused before it is unpacked.
FREE, RATIO = 64 * 2**20, 40
# 4 GB in the 64 kB members of bgzip; more of them are empty ones, which cost time and hold nothing.
_MAX_MEMBERS = 2**16


class Damaged(Exception):
    """The packed bytes are corrupt or end too early."""


class Surplus(Exception):
    """More bytes follow than the header says."""


def bound(size: int) -> int:
    """The most bytes that a packed file of this size may unpack to."""
    return FREE + RATIO * size


class Bytes:
    """Bytes of a file from where it stands now, unpacked on the way.

    Args:
        stream: The open file.
        packing: ``"raw"``, ``"gzip"``, ``"zlib"`` or ``"bzip2"``.
    """

    def __init__(self, stream: BinaryIO, packing: str) -> None:
        self._pieces = _UNPACKERS[packing](stream)
        self._rest = b""

    def read(self, count: int) -> bytes:
        """Exactly this many bytes.

        Raises:
            Damaged: There are fewer, or they are corrupt.
        """
        parts, missing = [], count
        while missing:
            piece = self._rest or self._next()
            if not piece:
                raise Damaged
            parts.append(piece[:missing])
            self._rest = piece[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over bytes without keeping them."""
        while count:
            count -= len(self.read(min(count, PIECE)))

    def end(self) -> None:
        """Make sure that nothing follows; this is also where a packed file's checksum is compared.

        Raises:
            Surplus: Something follows.
            Damaged: The checksum is wrong, or the end is missing.
        """
        if self._rest or self._next():
            raise Surplus

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except (zlib.error, EOFError, OSError, ValueError):
            raise Damaged from None


def _plain(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(PIECE), b"")


def _bzip2(stream: BinaryIO) -> Iterator[bytes]:
    unpacked = bz2.BZ2File(stream)
    return iter(lambda: unpacked.read(PIECE), b"")


def _zlib(stream: BinaryIO) -> Iterator[bytes]:
    rest = yield from _member(stream, b"", zlib.MAX_WBITS | 32)  # with the header of zlib or of gzip
    if rest or stream.read(1):
        raise zlib.error


def _gzip(stream: BinaryIO) -> Iterator[bytes]:
    """All members of a gzip file, and the zeros that tapes leave behind them.

    The standard library reads the name in a gzip header byte by byte, half a minute for 100 MB; zlib reads it at once.
    """
    rest = yield from _member(stream, stream.read(PIECE), zlib.MAX_WBITS | 16)
    for _ in range(_MAX_MEMBERS):
        rest = _after_zeros(stream, rest)
        if not rest:
            return
        rest = yield from _member(stream, rest, zlib.MAX_WBITS | 16)
    raise zlib.error


def _member(stream: BinaryIO, given: bytes, wbits: int) -> Generator[bytes, None, bytes]:
    """Unpack one zlib stream that starts with the given bytes; returns what was read beyond its end."""
    inflater = zlib.decompressobj(wbits)
    while not inflater.eof:
        packed = given or stream.read(PIECE)
        piece = inflater.decompress(packed, PIECE)
        given = inflater.unconsumed_tail
        if piece:
            yield piece
        elif not packed:
            raise EOFError
    return inflater.unused_data


def _after_zeros(stream: BinaryIO, data: bytes) -> bytes:
    rest = data.lstrip(b"\0")
    while not rest and (data := stream.read(PIECE)):
        rest = data.lstrip(b"\0")
    return rest


_UNPACKERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "raw": _plain,
    "gzip": _gzip,
    "zlib": _zlib,
    "bzip2": _bzip2,
}
