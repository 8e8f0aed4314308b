"""Two small JPEG encoders, so that the truth of these cases is not made by the decoders that are judged.

References: ITU-T T.81 (1992), "Digital compression and coding of continuous-tone still images": annex H for the lossless
process 14 with predictor 1, annexes A and F for sequential DCT coding (8 bits baseline, 12 bits extended).
"""

from __future__ import annotations

from struct import pack

import numpy as np
from numpy.typing import NDArray

_DC_SYMBOLS = bytes(range(17))
_AC_SYMBOLS = bytes(sorted({0x00, 0xF0, *(16 * run + size for run in range(16) for size in range(1, 15))}))


def lossless(image: NDArray[np.integer], bits: int) -> bytes:
    """Process 14, selection value 1, of an unsigned (rows, columns) image of this precision."""
    values = image.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 2 ** (bits - 1)
    # Differences are taken modulo 2^16, from -32767 to 32768.
    differences = 32768 - (32768 - (values - predicted)) % 65536
    codes = _codes(_DC_SYMBOLS)
    stream = "".join(codes[size] + text for size, text in map(_amplitude, differences.ravel()))
    return _frame(0xC3, bits, image.shape, _table(0, _DC_SYMBOLS), b"\x01\x00\x00", stream)


def sequential(image: NDArray[np.integer], bits: int) -> bytes:
    """Baseline (8 bits) or extended (12 bits) coding of a grey image whose sides are multiples of 8; every step is 1."""
    levels = image.astype(np.float64) - 2 ** (bits - 1)
    basis = _dct()
    dc_codes, ac_codes = _codes(_DC_SYMBOLS), _codes(_AC_SYMBOLS)
    texts: list[str] = []
    last = 0
    for y in range(0, image.shape[0], 8):
        for x in range(0, image.shape[1], 8):
            block = np.rint(basis @ levels[y : y + 8, x : x + 8] @ basis.T).astype(int)
            values = [int(block[i]) for i in _ZIGZAG]
            size, text = _amplitude(values[0] - last)
            texts.append(dc_codes[size] + text)
            texts += _ac(values[1:], ac_codes)
            last = values[0]
    quantisation = _segment(0xDB, b"\x00" + b"\x01" * 64)
    tables = quantisation + _table(0, _DC_SYMBOLS) + _table(0x10, _AC_SYMBOLS)
    return _frame(0xC0 if bits == 8 else 0xC1, bits, image.shape, tables, b"\x00\x3f\x00", "".join(texts))


def _ac(values: list[int], codes: dict[int, str]) -> list[str]:
    texts, run = [], 0
    for value in values:
        if value == 0:
            run += 1
            continue
        while run > 15:
            texts.append(codes[0xF0])
            run -= 16
        size, text = _amplitude(value)
        texts.append(codes[16 * run + size] + text)
        run = 0
    return [*texts, codes[0]] if run else texts


def _amplitude(value: int) -> tuple[int, str]:
    """Size category and its extra bits."""
    value = int(value)
    size = abs(value).bit_length()
    if size == 0 or size == 16:
        return size, ""
    return size, format(value if value > 0 else value + 2**size - 1, f"0{size}b")


def _length(symbols: bytes) -> int:
    return 5 if len(symbols) < 31 else 8


def _codes(symbols: bytes) -> dict[int, str]:
    """All codes of one length; the last one, all ones, is never used."""
    return {symbol: format(k, f"0{_length(symbols)}b") for k, symbol in enumerate(symbols)}


def _table(ident: int, symbols: bytes) -> bytes:
    counts = bytes(len(symbols) if length == _length(symbols) else 0 for length in range(1, 17))
    return _segment(0xC4, bytes([ident]) + counts + symbols)


def _segment(marker: int, payload: bytes) -> bytes:
    return pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _frame(
    kind: int, bits: int, shape: tuple[int, ...], tables: bytes, parameters: bytes, stream: str
) -> bytes:
    size = pack(">BHHB", bits, shape[0], shape[1], 1) + b"\x01\x11\x00"
    scan = b"\x01\x01\x00" + parameters
    stream += "1" * (-len(stream) % 8)
    data = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")
    whole = b"\xff\xd8" + tables + _segment(kind, size) + _segment(0xDA, scan) + data + b"\xff\xd9"
    return whole + b"\0" * (len(whole) % 2)


def _dct() -> NDArray[np.float64]:
    k, n = np.mgrid[:8, :8]
    basis = np.cos((2 * n + 1) * k * np.pi / 16) / 2
    basis[0] /= np.sqrt(2)
    return basis


_ZIGZAG = sorted(
    ((y, x) for y in range(8) for x in range(8)),
    key=lambda at: (sum(at), at[1] if sum(at) % 2 == 0 else at[0]),
)
