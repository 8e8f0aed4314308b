"""Search bytes for the words of `canaries` in every form in which a program could have written them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

from numcodecs import blosc, zstd

DEPTH = 3
"""How often packed bytes within packed bytes are unpacked."""
_MOST = 64 * 2**20
_LONG = 4096  # letters of base64 that begin where they seem to begin, as pictures in a page do

_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}[ :]?){8,}")
_ESCAPES = re.compile(rb"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")

# The words of `canaries` begin alike and have ten letters, their numbers nine digits; searched in lower case.
_WORDS = re.compile(rb"zq[a-z]{8}|z q(?: [a-z]){8}|7 \d(?: \d){7}")
_WORD = re.compile(r"zq[a-z]{8}|7\d{8}")
_RUNS = re.compile(rb"\d{9,}")
_DIGESTS = re.compile(rb"(?<![0-9a-z])[0-9a-f]{8,128}(?![0-9a-z])")
_UID = "1.2.826.0.1.3680043.77."


def leaks(contents: Iterable[tuple[str, bytes]], places: Mapping[str, str]) -> dict[str, set[str]]:
    """Sink to the places found in it, for sinks with any."""
    leaking: dict[str, set[str]] = {}
    for sink, content in contents:
        if found := found_in(content, places):
            leaking.setdefault(sink, set()).update(found)
    return leaking


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Content of every file, and the names of files and folders and the targets of links."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        yield f"name of {name}", name.encode() + (str(path.readlink()).encode() if path.is_symlink() else b"")
        if path.is_file():
            yield name, path.read_bytes()


def found_in(content: bytes, places: Mapping[str, str]) -> set[str]:
    """The places whose words stand in some form in the bytes, also as a hash that could be guessed."""
    known = _Known.of(tuple(places.items()))
    found: set[str] = set()
    for packed in _unpacked(content, DEPTH):
        for view in _texts(packed):
            found |= known.in_view(view.lower())
    return found


class _Known:
    """Forms of the words by how they are searched."""

    def __init__(self, places: tuple[tuple[str, str], ...]) -> None:
        self.tokens: dict[bytes, str] = {}
        self.phrases: dict[bytes, str] = {}
        self.digests: dict[bytes, str] = {}
        for place, text in places:
            last = text.rsplit(".", 1)[-1] if text.startswith(_UID) else text
            if _WORD.fullmatch(last.lower()):
                for form in (last, last[::-1], " ".join(last)):
                    self.tokens[form.lower().encode()] = place
            else:
                self.phrases.update(dict.fromkeys(_phrases(last), place))
            if place != "series UID":  # its sha256 is kept, to tell scans apart
                self.digests.update(dict.fromkeys(_digests(text), place))

    @staticmethod
    @cache
    def of(places: tuple[tuple[str, str], ...]) -> _Known:
        return _Known(places)

    def in_view(self, view: bytes) -> set[str]:
        found = {self.tokens.get(match[0], "") for match in _WORDS.finditer(view)}
        found |= {
            self.tokens.get(view[match.start() - 8 : match.end()], "") for match in re.finditer(b"qz", view)
        }
        for run in (match[0] for match in _RUNS.finditer(view)):
            found |= {self.tokens.get(run[start : start + 9], "") for start in range(len(run) - 8)}
        found |= {place for phrase, place in self.phrases.items() if phrase in view}
        found |= {self.digests.get(match[0][:8], "") for match in _DIGESTS.finditer(view)}
        return found - {""}


def _phrases(text: str) -> set[bytes]:
    """A date, a time or a foreign name as it may stand in lower-cased bytes."""
    forms = {text, text.upper(), text.lower(), text.swapcase()}
    if re.fullmatch(r"\d{8}", text):
        year, month, day = text[:4], text[4:6], text[6:]
        forms |= {f"{year}-{month}-{day}", f"{day}.{month}.{year}", f"{month}/{day}/{year}"}
    forms |= {form[::-1] for form in forms} | {" ".join(form) for form in forms}
    encodings = (
        ("utf-8", "utf-16-le", "utf-16-be", "iso8859-5", "cp1251") if not text.isascii() else ("utf-8",)
    )
    return {form.encode(encoding).lower() for form in forms for encoding in encodings}


def _digests(text: str) -> set[bytes]:
    """The first digits of hashes that whoever guesses the text could compare."""
    kinds = (hashlib.sha256, hashlib.sha1, hashlib.md5, hashlib.sha512)
    return {kind(text.encode()).hexdigest()[:8].encode() for kind in kinds}


def _unpacked(content: bytes, depth: int) -> Iterator[bytes]:
    """The bytes themselves and whatever can be unpacked from them."""
    yield content
    if depth and len(content) > 8:
        for one in (
            *_inflated(content),
            *_members(content),
            *_base64(content),
            *_blosc(content),
            *_zstd(content),
        ):
            yield from _unpacked(one, depth - 1)


def _inflated(content: bytes) -> Iterator[bytes]:
    """Whatever unpacks as zlib or gzip from where it begins: chunks of a PNG, .nii.gz, .npz."""
    for match in _ZLIB.finditer(content):
        if content[match.start() - 4 : match.start()] == b"IDAT":
            continue  # pixels, drawn by matplotlib from numbers and sentences that are searched elsewhere
        try:
            inflater = zlib.decompressobj(47)
            out = inflater.decompress(memoryview(content)[match.start() :], _MOST)
        except zlib.error:
            continue
        if inflater.eof or len(out) > 256:  # else two bytes that only looked like a beginning
            yield out


def _members(content: bytes) -> Iterator[bytes]:
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            yield "\n".join(packed.namelist()).encode() + packed.comment
            yield from (packed.read(name) for name in packed.namelist())


def _base64(content: bytes) -> Iterator[bytes]:
    """All runs that could be base64, decoded from each of four beginnings."""
    runs = [match[0].translate(bytes.maketrans(b"-_", b"+/")) for match in _BASE64.finditer(content)]
    for start in range(4) if runs else ():
        parts = [run[start:] for run in runs if start == 0 or len(run) < _LONG]
        yield b"\n".join(
            base64.b64decode(part + b"=" * (-len(part) % 4)) for part in parts if len(part) % 4 != 1
        )


def _blosc(content: bytes) -> Iterator[bytes]:
    """A chunk of a zarr array, with the checksum behind it or without."""
    for chunk in (content, content[:-4]):
        if len(chunk) > 16 and chunk[0] in (1, 2) and int.from_bytes(chunk[12:16], "little") == len(chunk):
            yield blosc.decompress(chunk)


def _zstd(content: bytes) -> Iterator[bytes]:
    """A chunk of an OME-Zarr array, with the checksum behind it or without."""
    for chunk in (content, content[:-4]):
        if chunk[:4] == b"\x28\xb5\x2f\xfd":
            with suppress(RuntimeError):  # cut short, or four bytes that only looked like a beginning
                yield zstd.decompress(chunk)
                return


def _texts(content: bytes) -> Iterator[bytes]:
    """The bytes, and without the escapes of JSON, URLs, HTML, hexadecimal and two-byte letters."""
    yield content
    runs = [re.sub(rb"[ :]", b"", match[0]) for match in _HEX.finditer(content)]
    for start in (0, 1) if runs else ():
        yield b"\n".join(binascii.unhexlify(run[start : start + (len(run) - start) // 2 * 2]) for run in runs)
    if b"\\" in content:
        yield _ESCAPES.sub(
            lambda match: chr(int(match[1] or match[2], 16)).encode("utf-8", "replace"), content
        )
    if b"%" in content:
        yield unquote_to_bytes(content)
    if b"&" in content:
        yield html.unescape(content.decode("utf-8", "replace")).encode()
    if b"\0" in content:
        yield content.replace(b"\0", b"")
