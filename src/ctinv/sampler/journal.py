"""Journal: the commit record of a study. A sample counts only if its line stands here.

One JSON object per line: row number, sha256 of the stored image and of its feed-back error, certificate, and
a checksum of the line itself. Lines are written after the sample's data have reached the disk, and are
followed by fsync. A torn last line (power loss, kill) or a damaged one means that this sample does not count
and is drawn again.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ctinv.errors import StoreError
from ctinv.fibre.tiers import Certificate


@dataclass(frozen=True)
class Record:
    """One committed sample.

    Attributes:
        sha256: Hash of the sample's stored bytes, rows of little-endian numbers.
        error_sha256: Hash of the stored bytes of its feed-back error.
        certificate: What was measured on it; holds the row number k.
    """

    sha256: str
    error_sha256: str
    certificate: Certificate

    def line(self) -> bytes:
        """The record as one line of JSON with its own checksum."""
        body = {
            "k": self.certificate.k,
            "sha256": self.sha256,
            "error_sha256": self.error_sha256,
            "certificate": {name: _strict(value) for name, value in asdict(self.certificate).items()},
        }
        return json.dumps({**body, "crc32": _checksum(body)}, default=_python).encode() + b"\n"


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
        path: The journal's file; it exists.

    Attributes:
        records: Committed records by row number; of two lines for one row the later counts.
        damaged: Numbers (from 1) of lines that could not be read, without a torn last line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reload()

    def reload(self) -> None:
        """Read the file anew."""
        self.records: dict[int, Record] = {}
        self.damaged: list[int] = []
        whole, _, _torn = self._path.read_bytes().rpartition(b"\n")
        self._size = len(whole) + 1 if whole else 0
        for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
            record = _parse(line)
            if record is None:
                self.damaged.append(number)
            else:
                self.records[record.certificate.k] = record

    def append(self, records: list[Record]) -> None:
        """Commit records: all of them are on the disk when this returns, none if it raises.

        Raises:
            OSError: The disk refused.
        """
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
        self.records.update({record.certificate.k: record for record in records})


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
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Record(sha256, error_sha256, _certificate(data))


def _certificate(data: dict[str, Any]) -> Certificate:
    known = {item.name: item for item in fields(Certificate)}
    missing = [name for name, item in known.items() if name not in data and item.default is MISSING]
    if missing:
        raise StoreError(
            f"this study comes from another version of ctinv: its certificates lack {', '.join(missing)}."
        )
    figures = {name for name, item in known.items() if item.type == "float"}
    given: dict[str, Any] = {name: value for name, value in data.items() if name in known}
    unmeasured = {name: math.nan for name, value in given.items() if value is None and name in figures}
    return Certificate(**{**given, **unmeasured})
