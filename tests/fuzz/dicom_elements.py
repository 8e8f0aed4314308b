"""DICOM files as a flat list of elements, so that values, lengths, types and tags can be damaged one at a time.

Headers of sequences and items stand in the list without their content, which follows: the encoders of the seeds write
them with undefined length, so that nothing above an element has to be corrected when it changes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from random import Random

from mutators import CANARY, LENGTHS, read_dictionary

_LONG = {b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OV", b"SV", b"UV"}
_VRS = (
    *_LONG,
    b"DS",
    b"IS",
    b"US",
    b"SS",
    b"UL",
    b"SL",
    b"FD",
    b"FL",
    b"AT",
    b"CS",
    b"LO",
    b"PN",
    b"UI",
    b"DA",
    b"??",
)
_UNDEFINED = 0xFFFFFFFF
_GROUP_OF_ITEMS = 0xFFFE

TOKENS = read_dictionary("dicom")
_LONG_WORDS = (b"\\" * 40, b"9" * 400, b"1.2" * 40)
_WHOLE = (0, 1, 2, 3, 7, 8, 9, 11, 12, 15, 16, 17, 31, 32, 40, 64, 255, 256, 4096, 32767, 32768, 65535)


@dataclass(frozen=True)
class Element:
    """One element or delimiter; without a type in implicit files."""

    group: int
    number: int
    vr: bytes
    length: int
    value: bytes
    long: bool = False

    def encode(self, order: str) -> bytes:
        head = struct.pack(f"{order}HH", self.group, self.number)
        if not self.vr:
            return head + struct.pack(f"{order}I", self.length % 2**32) + self.value
        if self.long:
            return head + self.vr + b"\0\0" + struct.pack(f"{order}I", self.length % 2**32) + self.value
        return head + self.vr + struct.pack(f"{order}H", self.length % 2**16) + self.value

    def with_value(self, value: bytes) -> Element:
        value += b"\0" * (len(value) % 2) if self.vr in (b"UI", b"OB", b"UN") else b" " * (len(value) % 2)
        return replace(self, value=value, length=len(value))


def split(data: bytes, *, order: str, implicit: bool) -> list[Element]:
    """The elements of a sound data set; what follows the last whole one is left out."""
    found, at = [], 0
    while at + 8 <= len(data):
        group, number = struct.unpack_from(f"{order}HH", data, at)
        vr = b"" if implicit or group == _GROUP_OF_ITEMS else data[at + 4 : at + 6]
        long = vr in _LONG
        if not vr or long:
            start = at + 12 if long else at + 8
            (length,) = struct.unpack_from(f"{order}I", data, start - 4)
        else:
            start = at + 8
            (length,) = struct.unpack_from(f"{order}H", data, at + 6)
        size = 0 if length == _UNDEFINED else length
        found.append(Element(group, number, vr, length, data[start : start + size], long))
        at = start + size
    return found


@dataclass(frozen=True)
class Syntax:
    """How the data set of a seed is written after its file meta."""

    order: str = "<"
    implicit: bool = False
    deflated: bool = False


def mutate_elements(rng: Random, data: bytes, syntax: Syntax) -> bytes:
    """A file with one to four of its elements damaged, everything else in order."""
    meta_length = 12 + struct.unpack_from("<I", data, 140)[0]
    head, body = data[: 132 + meta_length], data[132 + meta_length :]
    if syntax.deflated:
        body = zlib.decompress(body, -zlib.MAX_WBITS)
    elements = split(body, order=syntax.order, implicit=syntax.implicit)
    meta = split(head[132:], order="<", implicit=False)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        if rng.random() < 0.08:
            _mutate_one(rng, meta, "<")
        else:
            _mutate_one(rng, elements, syntax.order)
    body = b"".join(element.encode(syntax.order) for element in elements)
    if syntax.deflated:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    return head[:132] + b"".join(element.encode("<") for element in meta) + body


def _mutate_one(rng: Random, elements: list[Element], order: str) -> None:
    if not elements:
        return
    at = rng.randrange(len(elements))
    one = elements[at]
    step = rng.random()
    if step < 0.5:
        elements[at] = one.with_value(_value(rng, one, order))
    elif step < 0.6:
        elements[at] = replace(
            one, length=rng.choice((*LENGTHS, one.length + 1, one.length + 2, one.length - 2))
        )
    elif step < 0.7:
        del elements[at]
    elif step < 0.76:
        elements.insert(rng.randrange(len(elements) + 1), one)
    elif step < 0.82 and one.vr:
        vr = rng.choice(_VRS)
        elements[at] = replace(one, vr=vr, long=vr in _LONG)
    elif step < 0.88:
        other = rng.choice(elements)
        if CANARY.encode() not in one.value:  # a name in the place of a kernel would rightly be shown
            elements[at] = replace(one, group=other.group, number=other.number)
    elif step < 0.93:
        other = rng.randrange(len(elements))
        elements[at], elements[other] = elements[other], elements[at]
    elif step < 0.97:
        value = rng.choice(elements).value
        elements[at] = one.with_value(value if CANARY.encode() not in value else b"")
    else:
        elements[at:at] = _nest(rng, one.vr)


def _value(rng: Random, one: Element, order: str) -> bytes:
    if len(one.value) > 64 and rng.random() < 0.7:  # pixels and fragments
        start = rng.randrange(len(one.value))
        return rng.choice(
            (
                one.value[:start],
                one.value[:start] + rng.randbytes(4) + one.value[start + 4 :],
                one.value[:start] + rng.choice(TOKENS) + one.value[start:],
                one.value + b"\0" * rng.choice((1, 2, 100)),
                b"",
            )
        )
    if one.vr in (b"US", b"SS") or (not one.vr and len(one.value) == 2):
        count = rng.choice((1, 1, 1, 1, 0, 2, 3))
        return b"".join(struct.pack(f"{order}H", rng.choice(_WHOLE)) for _ in range(count))
    if one.vr in (b"FD", b"FL"):
        kind = "d" if one.vr == b"FD" else "f"
        values = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"))
        return struct.pack(f"{order}{kind}", rng.choice(values)) * rng.choice((1, 1, 0, 2))
    parts = one.value.split(b"\\")
    word = rng.choice((*TOKENS, *_LONG_WORDS, b"", b"\0"))
    if len(parts) > 1 and rng.random() < 0.7:  # one number of several
        parts[rng.randrange(len(parts))] = word
        return b"\\".join(parts)
    return word


def _nest(rng: Random, vr: bytes) -> list[Element]:
    """Sequences inside sequences, not closed."""
    depth = rng.choice((1, 10, 600, 3000))
    sequence = Element(0x0008, 0x1115, b"SQ" if vr else b"", _UNDEFINED, b"", long=bool(vr))
    return [sequence, Element(_GROUP_OF_ITEMS, 0xE000, b"", _UNDEFINED, b"")] * depth
