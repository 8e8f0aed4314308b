"""Verify: every file of a study compared with what it must be; what is wrong is named.

The metadata are proven by their own checksum, arrays that are written once by the manifest, a journal's lines by their
checksums and the whole of them by what the last finished run left, samples by the journal. Rows that were never drawn are
no fault, nor is what an interrupted writer left behind: it counts for nothing.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import StoreError
from ctinv.sampler import layout, manifest
from ctinv.sampler.batch import BLOCK
from ctinv.sampler.chunks import ImageArray, checksum_of
from ctinv.sampler.guard import check_size, well_formed
from ctinv.sampler.journal import Journal, Record, sha256_of
from ctinv.sampler.lock import FILE_NAME
from ctinv.sampler.manifest import JOURNAL, ROOT
from ctinv.sampler.planes import Planes

_NEVER_EMPTY = ("x", "context", "fx", "fx_output")
Kind = Literal["metadata", "plane", "map", "journal", "samples", "foreign"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a study.

    Attributes:
        kind: ``"metadata"``, ``"plane"`` (what all samples share), ``"map"`` (computed from the samples), ``"journal"``,
            ``"samples"`` or ``"foreign"``.
        file: The file, from the study's folder on.
        problem: What is wrong with it, as the end of a sentence that begins with the file.
        rows: The samples that do not count because of it.
        lines: Line numbers of the journal, from 1.
    """

    kind: Kind
    file: str
    problem: str
    rows: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """It in words."""
        where = f", lines {listed(self.lines)}" if self.lines else ""
        who = f" (samples {listed(self.rows)})" if self.rows else ""
        return f"{self.file}{where} {self.problem}{who}"


def find_faults(folder: Path) -> list[Fault]:
    """Everything that is wrong with a study, in the order of its parts; empty if it is sound.

    Raises:
        StoreError: There is no study at all, one of another version, or metadata that fit no study.
    """
    if not (folder / ROOT).exists() and not (folder / JOURNAL).exists():
        manifest.read_root(folder)
    faults: list[Fault] = []
    for _ in manifest.looks(folder):
        with well_formed(folder.name):
            faults = list(_faults(folder))
        if not faults:
            break
    return faults


def _faults(folder: Path) -> Iterator[Fault]:
    try:
        meta = manifest.read_root(folder)
    except StoreError as error:
        yield Fault("metadata", ROOT, _root_problem(folder, error))
        return
    check_size(meta, folder.name)
    for file in meta.get("files", {}):
        if problem := manifest.fault_of(folder, meta, file):
            yield Fault(_kind_of(file), file, problem)
    if manifest.is_older(meta):
        yield from _older_plane_faults(folder)
    journal = None
    try:
        journal = Journal(folder / JOURNAL)
    except StoreError:
        committed = _rows((meta.get("journal") or {}).get("rows", []))
        yield Fault("journal", JOURNAL, "is missing", rows=committed)
    if journal is not None:
        yield from _journal_faults(journal, meta)
        yield from _sample_faults(folder, meta, journal)
    yield from _foreign_files(folder, meta)


def _root_problem(folder: Path, error: StoreError) -> str:
    if not (folder / ROOT).exists():
        return "is missing"
    return f"cannot be trusted: {error}".rstrip(".")


def _older_plane_faults(folder: Path) -> Iterator[Fault]:
    """What the checksums of the chunks tell of a study without a manifest."""
    planes = Planes.open(folder, write=False)
    for name in sorted(path.parent.name for path in folder.glob(f"*/{ROOT}")):
        try:
            if name not in layout.IMAGES and np.isnan(planes.read(name)).all() and name in _NEVER_EMPTY:
                yield Fault("plane", name, "is missing")
        except StoreError:
            yield Fault(_kind_of(f"{name}/"), name, "cannot be decoded")


def _kind_of(file: str) -> Kind:
    array, *_, name = file.split("/")
    if name == ROOT:
        return "metadata"
    return "map" if array in layout.MAPS else "plane"


def _journal_faults(journal: Journal, meta: dict[str, Any]) -> Iterator[Fault]:
    if journal.damaged:
        yield Fault("journal", JOURNAL, "cannot be read or were changed", lines=tuple(journal.damaged))
    if journal.repeated:
        yield Fault(
            "journal", JOURNAL, "name samples that later lines name again", lines=tuple(journal.repeated)
        )
    state = meta.get("journal")
    if not isinstance(state, dict):
        return
    if journal.out_of_order:
        yield Fault("journal", JOURNAL, "are out of order", lines=tuple(journal.out_of_order))
    lost = tuple(k for k in _rows(state["rows"]) if k not in journal.records)
    if lost:
        yield Fault("journal", JOURNAL, "has lost lines that a finished run had written", rows=lost)
    elif not (journal.unclean or journal.continues(state)):
        yield Fault("journal", JOURNAL, "does not begin with what a finished run had written")


def _sample_faults(folder: Path, meta: dict[str, Any], journal: Journal) -> Iterator[Fault]:
    try:
        planes = Planes.open(folder, write=False)
        arrays = [ImageArray(planes, name) for name in layout.IMAGES]
    except StoreError:
        return  # told already; without its metadata no image can be read
    blocks: dict[int, dict[int, Record]] = {}
    for k in sorted(journal.records):
        if k < int(str(meta["n"])):
            blocks.setdefault(k // BLOCK, {})[k] = journal.records[k]
    for records in blocks.values():
        for array in arrays:
            yield from _block_faults(folder, array, records)


def _block_faults(folder: Path, array: ImageArray, records: dict[int, Record]) -> Iterator[Fault]:
    """Faults of one array in the rows that share its chunks."""
    first = next(iter(records))
    try:
        images = array.block(first)
        bad = [k for k, record in records.items() if sha256_of(images[k % BLOCK, 0]) != record.of(array.name)]
        if not bad:
            return
    except StoreError:
        bad = list(records)
    tiles = array.tiles(first)
    for index, (file, place) in enumerate(tiles.items()):
        try:
            values = array.tile(first, place)
        except StoreError:
            empty = (folder / file).stat().st_size == 0
            yield Fault("samples", file, "is empty" if empty else "cannot be decoded", rows=tuple(records))
            continue
        wrong = [
            k for k in bad if _differs(array, values[k % BLOCK, 0], records[k], index, alone=len(tiles) == 1)
        ]
        if wrong:
            there = (folder / file).exists()
            problem = "holds other values than were certified" if there else "is missing"
            yield Fault("samples", file, problem, rows=tuple(wrong))


def _differs(array: ImageArray, tile: NDArray[Any], record: Record, index: int, *, alone: bool) -> bool:
    """Whether one chunk holds another part of a sample than was committed; it may where nothing is known of its parts."""
    known = record.tiles.get(array.name)
    return alone or known is None or known[index] != checksum_of(tile)


def _foreign_files(folder: Path, meta: dict[str, Any]) -> Iterator[Fault]:
    known = {
        ROOT,
        JOURNAL,
        FILE_NAME,
        *meta.get("files", {}),
        *(_older_files if manifest.is_older(meta) else _own_files)(folder, meta),
    }
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not (path.is_dir() or name in known or _is_leftover(path)):
            yield Fault("foreign", name, "does not belong to the study")


def _own_files(_folder: Path, meta: dict[str, Any]) -> Iterator[str]:
    """Files that the manifest need not know: samples, and maps that no run has finished."""
    planned = layout.plan(meta["setting"], int(meta["n"]))
    for name in layout.IMAGES:
        yield from layout.chunk_files(name, planned[name])
    if meta["maps"] is None:
        yield from layout.map_files()


def _older_files(folder: Path, _meta: dict[str, Any]) -> Iterator[str]:
    """Whatever lies in an array of an older study."""
    for array in (path.parent for path in folder.glob(f"*/{ROOT}")):
        yield f"{array.name}/{ROOT}"
        yield from (path.relative_to(folder).as_posix() for path in array.glob("c/**/*"))


def _is_leftover(path: Path) -> bool:
    return any(fnmatch.fnmatch(path.name, pattern) for pattern in manifest.LEFTOVERS)


def _rows(runs: list[list[int]]) -> tuple[int, ...]:
    return tuple(k for start, stop in runs for k in range(start, stop))


def listed(numbers: tuple[int, ...], most: int = 8) -> str:
    """The first few of some numbers, and how many more."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
