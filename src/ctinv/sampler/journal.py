"""Journal: the commit record of a study. A sample counts only if its line stands here.

One JSON object per line: row number, sha256 of the stored image and of its feed-back error, certificate, and
a checksum of the line itself. Lines are written after the sample's data have reached the disk, and are
followed by fsync. A torn last line (power loss, kill) or a damaged one means that this sample does not count
and is drawn again. A line that takes the place of another is written with the whole file, in one rename; so a row never
has two lines. What the last finished run left is recorded in the manifest: a line that is lost since is told.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import replace_file
from ctinv.errors import StoreError
from ctinv.fibre.tiers import Certificate
from ctinv.sampler.batch import MOST_ROWS

_CERTIFICATE = tuple(item.name for item in fields(Certificate))


@dataclass(frozen=True)
class Record:
    """One committed sample.

    Attributes:
        sha256: Hash of the sample's stored bytes, rows of little-endian numbers.
        error_sha256: Hash of the stored bytes of its feed-back error.
        certificate: What was measured on it; holds the row number k.
        tiles: CRC-32 of each part of it that lies in a chunk of its own, by array, to name a damaged chunk; empty
            where one chunk holds all.
    """

    sha256: str
    error_sha256: str
    certificate: Certificate
    tiles: Mapping[str, list[str]] = field(default_factory=dict)

    def of(self, array: str) -> str:
        """Hash of the part that an array holds."""
        return self.sha256 if array == "x_tilde" else self.error_sha256

    def line(self) -> bytes:
        """The record as one line of JSON with its own checksum."""
        body: dict[str, Any] = {
            "k": self.certificate.k,
            "sha256": self.sha256,
            "error_sha256": self.error_sha256,
            "certificate": {name: _strict(getattr(self.certificate, name)) for name in _CERTIFICATE},
        }
        if self.tiles:
            body["tiles"] = self.tiles
        return json.dumps({**body, "crc32": _checksum(body)}, default=_python).encode() + b"\n"


def sha256_of(values: NDArray[Any]) -> str:
    """sha256 of the bytes of one stored image, little-endian, row by row."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _strict(value: Any) -> Any:
    """JSON has no NaN: what was not measured is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _python(value: Any) -> Any:
    return value.item()  # NumPy numbers; anything else has no place in a certificate


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, default=_python, sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"


class Journal:
    """The file of committed records.

    Args:
        path: The journal's file.

    Attributes:
        records: Committed records by row number; of two lines for one row the later counts.
        damaged: Numbers (from 1) of lines that could not be read, without a torn last line.
        repeated: Numbers of lines whose row has a later one.
        out_of_order: Numbers of lines whose row is below that of the line before.
        torn: Whether the file ends in the middle of a line.

    Raises:
        StoreError: There is no journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reload()

    def reload(self) -> None:
        """Read the file anew."""
        self.records: dict[int, Record] = {}
        self.damaged: list[int] = []
        self.repeated: list[int] = []
        self.out_of_order: list[int] = []
        self._lines: dict[int, int] = {}
        self._count = self._size = 0
        self._last = b""
        self._file = self._identity()
        self._take(self._content())

    def followed(self) -> Journal:
        """The journal as it stands now; only what was appended since is read, unless the file is another one by now."""
        begin = self._size - len(self._last)
        content = self._content(begin)
        if not content.startswith(self._last) or self._identity() != self._file:
            return Journal(self._path)
        now = copy.copy(self)  # whoever still reads the old one is not disturbed
        now.records, now._lines = dict(self.records), dict(self._lines)
        now.damaged, now.repeated = list(self.damaged), list(self.repeated)
        now.out_of_order = list(self.out_of_order)
        now._take(content[len(self._last) :])
        return now

    def _take(self, content: bytes) -> None:
        """Take in what stands behind the lines that are known."""
        whole, _, torn = content.rpartition(b"\n")
        self.torn = bool(torn)
        lines = whole.split(b"\n") if whole else []
        self._size += len(whole) + 1 if whole else 0
        self._last = lines[-1] + b"\n" if lines else self._last
        for number, line in enumerate(lines, start=self._count + 1):
            record = _parse(line)
            if record is None:
                self.damaged.append(number)
                continue
            k = record.certificate.k
            if self.records and k < next(reversed(self.records)):
                self.out_of_order.append(number)
            if k in self._lines:
                self.repeated.append(self._lines[k])
            self._lines[k] = number
            self.records.pop(k, None)  # so that the last key is that of the last line
            self.records[k] = record
        self._count += len(lines)

    def _identity(self) -> tuple[int, int]:
        """Which file it is: one that is rewritten takes the place of another, one that grows stays the same."""
        try:
            status = self._path.stat()
        except OSError:
            raise self._lost() from None
        return status.st_dev, status.st_ino

    def _content(self, begin: int = 0) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(begin)
                return file.read()
        except OSError:
            raise self._lost() from None

    def _lost(self) -> StoreError:
        return StoreError(
            f"{self._path.name} of {self._path.parent.name} is lost; `ctinv repair` draws its samples again."
        )

    def state(self) -> dict[str, Any]:
        """What the manifest keeps of a journal: its length, its hash and the rows that it commits, as runs."""
        content = self._content()[: self._size]
        runs: list[list[int]] = []
        for k in sorted(self.records):
            if runs and runs[-1][1] == k:
                runs[-1][1] = k + 1
            else:
                runs.append([k, k + 1])
        return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "rows": runs}

    def continues(self, state: Mapping[str, Any]) -> bool:
        """Whether the file begins with the journal that a finished run left."""
        begin = self._content()[: int(state["bytes"])]
        return hashlib.sha256(begin).hexdigest() == state["sha256"]

    @staticmethod
    def unproven(state: Mapping[str, Any]) -> dict[str, Any]:
        """What the manifest keeps while recorded lines are replaced: only which rows were there."""
        return {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest(), "rows": state["rows"]}

    def breaks(self, state: Mapping[str, Any], records: list[Record]) -> bool:
        """Whether committing these records would change the part that a finished run left."""
        if not self._rewrites(records):
            return False
        begin = self._merged(records)[: int(state["bytes"])]
        return hashlib.sha256(begin).hexdigest() != state["sha256"]

    def append(self, records: list[Record]) -> None:
        """Commit records: all of them are on the disk when this returns, none if it raises.

        Lines stand in the order of their rows. Where new ones belong before others, or take the place of others, the file is
        rewritten; records that stand there already cost nothing.

        Raises:
            OSError: The disk refused.
        """
        if self._rewrites(records):
            replace_file(self._path, self._merged(records))
            self.reload()
        elif new := self._new(records):
            self._append(new)

    def adds(self, records: list[Record]) -> bool:
        """Whether committing these records would change anything."""
        return bool(self._new(records))

    def _new(self, records: list[Record]) -> list[Record]:
        new = [record for record in records if not self._holds(record)]
        return sorted(new, key=lambda record: record.certificate.k)

    def _holds(self, record: Record) -> bool:
        known = self.records.get(record.certificate.k)
        return known is not None and known.line() == record.line()

    def _rewrites(self, records: list[Record]) -> bool:
        new = self._new(records)
        return self.unclean or bool(new and new[0].certificate.k <= max(self.records, default=-1))

    def _merged(self, records: list[Record]) -> bytes:
        merged = {**self.records, **{record.certificate.k: record for record in records}}
        return b"".join(merged[k].line() for k in sorted(merged))

    @property
    def unclean(self) -> bool:
        """Whether there are lines that do not count."""
        return bool(self.damaged or self.repeated or self.out_of_order)

    def _append(self, records: list[Record]) -> None:
        data = b"".join(record.line() for record in records)
        with self._path.open("r+b", buffering=0) as file:
            file.truncate(self._size)  # drops what a torn write left behind
            file.seek(self._size)
            try:
                _write_all(file.fileno(), data)
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(self._size)
                raise
        self._size += len(data)
        self._last = records[-1].line()
        self.torn = False
        for record in records:
            self._count += 1
            self._lines[record.certificate.k] = self._count
            self.records[record.certificate.k] = record


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _parse(line: bytes) -> Record | None:
    try:
        body = json.loads(line)
        checksum = body.pop("crc32")
        if _checksum(body) != checksum:
            return None
        data = body["certificate"]
        sha256, error_sha256 = str(body["sha256"]), str(body["error_sha256"])
        tiles = {str(name): [str(part) for part in parts] for name, parts in body.get("tiles", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Record(sha256, error_sha256, _certificate(data), tiles) if _is_certificate(data) else None


def _is_certificate(data: Any) -> bool:
    """Whether a certificate holds values of the right kinds; which are there is seen elsewhere."""
    kinds: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "str": str, "bool": bool}
    if not isinstance(data, dict):
        return False
    for item in fields(Certificate):
        value = data.get(item.name, 0)
        kind = str(item.type).removesuffix(" | None")
        wanted = item.name in data and not (value is None and kind in ("float", "bool"))
        if wanted and (not isinstance(value, kinds[kind]) or (kind == "int" and isinstance(value, bool))):
            return False
    return 0 <= data.get("k", 0) < MOST_ROWS


def _certificate(data: dict[str, Any]) -> Certificate:
    known = {item.name: item for item in fields(Certificate)}
    missing = [name for name, item in known.items() if name not in data and item.default is MISSING]
    if missing:
        raise StoreError(
            f"this study comes from another version of ctinv: its certificates lack {', '.join(missing)}."
        )
    figures = {name for name, item in known.items() if item.type == "float"}
    given: dict[str, Any] = {name: value for name, value in data.items() if name in known}
    for name, value in given.items():
        if type(value) not in _TYPES[str(known[name].type)]:
            raise TypeError(f"{name} is no {known[name].type}")
    if min(given["k"], given["steps"], given.get("passes", 0)) < 0:
        raise ValueError("a count below 0")
    unmeasured = {name: math.nan for name, value in given.items() if value is None and name in figures}
    return Certificate(**{**given, **unmeasured})


_TYPES: dict[str, tuple[type, ...]] = {
    "float": (float, int, type(None)),
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "bool | None": (bool, type(None)),
}
"""What JSON holds for each type of a certificate's fields; null for what was not measured."""
