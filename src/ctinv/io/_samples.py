"""How one pixel is stored: bits, sign and padding, as the header claims."""

from __future__ import annotations

from ctinv.io._fields import Fields


def check_samples(fields: Fields) -> int:
    """Remember what forbids to decode the pixels; returns bits allocated."""
    if fields.integer("SamplesPerPixel") != 1:
        fields.fail("it is a colour image, not CT numbers")
    if fields.text("PhotometricInterpretation") not in {"MONOCHROME1", "MONOCHROME2"}:
        fields.fail("its PhotometricInterpretation is not MONOCHROME1 or MONOCHROME2")
    allocated, stored = fields.integer("BitsAllocated"), fields.integer("BitsStored")
    if allocated not in (8, 16, 32):
        fields.fail("its BitsAllocated is not 8, 16 or 32")
    elif not 1 <= stored <= allocated:
        fields.fail("its BitsStored is not between 1 and BitsAllocated")
    elif fields.integer("HighBit", stored - 1) != stored - 1:
        fields.fail("its HighBit does not fit its BitsStored")
    if fields.integer("PixelRepresentation") not in (0, 1):
        fields.fail("its PixelRepresentation is neither 0 nor 1")
    return allocated


def padding_of(fields: Fields, bits: int) -> tuple[int, int] | None:
    """Range of stored values that pad; scanners write negative ones as unsigned numbers."""
    first = fields.numbers("PixelPaddingValue")
    if not first or bits < 1:
        return None
    limit = fields.numbers("PixelPaddingRangeLimit") or first
    signed = fields.text("PixelRepresentation") == "1"
    ends = sorted(
        _signed(int(numbers[0]), bits) if signed else int(numbers[0]) % 2**bits for numbers in (first, limit)
    )
    return ends[0], ends[1]


def _signed(value: int, bits: int) -> int:
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value
