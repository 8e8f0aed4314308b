"""Store: one study on disk, a zarr 3 folder that opens again without any model.

To write a sample, its image and feed-back error go into their chunks (each replaced as a whole), the chunks
are flushed to the disk, then one line goes into the journal and is flushed (`journal.py`). Readers believe
the journal only, and check the hash of every image they read, so that neither a killed writer nor a damaged
file can show a sample that is not the certified one.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import replace_file
from ctinv.errors import InputError, StoreError
from ctinv.fibre.tiers import Certificate
from ctinv.sampler import layout, manifest
from ctinv.sampler.batch import BLOCK, Batch, Setting
from ctinv.sampler.chunks import ImageArray
from ctinv.sampler.disk import check_room, create_folder, disk_errors, is_free
from ctinv.sampler.journal import Journal, Record, sha256_of
from ctinv.sampler.lock import WriterLock
from ctinv.sampler.provenance import Provenance
from ctinv.sampler.reading import StoreReader
from ctinv.sampler.stored_setting import same_scan

Hashes = tuple[str, str]
"""sha256 of a sample's stored image and of its feed-back error."""

_logger = logging.getLogger(__name__)


class Store(StoreReader):
    """A study: samples, certificates, setting and provenance in one folder. Made by `create` or `open`."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._lock: WriterLock | None = WriterLock(path) if write else None
        self._here: dict[str, Any] = {}
        if self._lock is not None:
            weakref.finalize(self, self._lock.release)
        super().__init__(path, write=write)

    def _load(self) -> None:
        super()._load()
        self._wanted = self.n

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open a study for reading; it may be written by another process at the same time.

        Raises:
            StoreError: There is no study, or not one that this version reads.
        """
        return cls(Path(path), write=False)

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], provenance: Provenance, setting: Setting, *, n: int
    ) -> Store:
        """Start a study, or continue the one of the same key; a larger n extends it.

        Every committed sample of an existing study is checked; damaged ones are drawn again.

        Raises:
            InputError: n is below 1.
            StoreError: The folder is something else or a study of another key, or is being written.
            ResourceError: The disk has too little room.
        """
        folder = Path(path)
        if n < 1:
            raise InputError(f"at least one sample is needed, got n = {n}.")
        if is_free(folder):
            needed = layout.estimate_bytes(setting, n)
            check_room(folder, needed)
            create_folder(
                folder, lambda beside: layout.write_new(beside, provenance, setting, n=n), needed=needed
            )
        _refuse_other(folder, provenance, setting)
        with disk_errors(folder):
            store = cls(folder, write=True)
        try:
            store._continue(provenance, n)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Store:
        """Open an existing study for writing, to finish or to repair it; asks for no more samples than it does.

        Raises:
            StoreError: There is no study, it is being written, or what its samples share is damaged.
        """
        manifest.read_root(Path(path))
        with disk_errors(Path(path)):
            store = cls(Path(path), write=True)
        try:
            store._heal()
        except BaseException:
            store.close()
            raise
        return store

    def _continue(self, provenance: Provenance, n: int) -> None:
        self._heal()
        self._wanted = n
        missing = len(self.missing())
        if missing == 0:
            return
        needed = layout.estimate_bytes(self.setting, missing)
        check_room(self.path, needed)
        with disk_errors(self.path, needed=needed, kept=len(self._committed)):
            self._extend(**layout.extended(self._meta, provenance, n))
        self._load()
        self._wanted = n

    def _extend(self, **changes: Any) -> None:
        """Take new metadata and make room for their n rows; existing ones stay as they are."""
        files = [f"{name}/{manifest.ROOT}" for name in layout.IMAGES]
        if changes["n"] != self.n or self._is_open(files):
            self._announce(files)
            for file in files:
                content = (self.path / file).read_bytes()
                replace_file(self.path / file, layout.with_rows(content, changes["n"]))
        self._update(**changes, **self._hashed(files))

    def _heal(self) -> None:
        """Take back what an interrupted or damaged run left; what cannot be taken back is said."""
        for pattern in manifest.LEFTOVERS:
            for leftover in self.path.rglob(pattern):
                leftover.unlink(missing_ok=True)
        shared = [file for file in self._meta.get("files", {}) if file not in layout.map_files()]
        for file in shared:
            if fault := manifest.fault_of(self.path, self._meta, file):
                raise StoreError(
                    f"{file} of {self.path.name} {fault}; `ctinv repair {self.path.name}` says what can be done."
                )
        with disk_errors(self.path, kept=len(self._committed)):
            self._extend(n=self.n)
            self._check_all()

    def _check_all(self) -> None:
        """Compare every committed sample with its hash, and feed the running maps on the way."""
        self._maps, self._maps_rows = self._new_maps(), set()
        arrays, blocks = (self.x_tilde, self.feedback_error), list(self._blocks())
        for start in set(range(0, self.n, BLOCK)) - {k - k % BLOCK for k, *_ in blocks}:
            for array in arrays:
                array.drop(start)
        for block in blocks:
            readable = [self._readable(array, block) for array in arrays]
            good = [k for k in block if all(k in rows for rows, _ in readable)]
            self._damaged |= set(block) - set(good)
            if good:
                index = [k % BLOCK for k in good]
                images, errors = (values for _, values in readable)
                self._add_to_maps(good, images[index], errors[index])
        if self._damaged:
            _logger.warning(
                "%d damaged samples of %s will be drawn again", len(self._damaged), self.path.name
            )

    def _readable(self, array: ImageArray, block: list[int]) -> tuple[set[int], NDArray[Any]]:
        """Which rows of a block an array still holds, and all it holds of it; chunks that hold none of them are dropped."""
        try:
            values = array.block(block[0])
        except StoreError:
            array.drop_unreadable(block[0])
            return set(), np.empty(0)
        good = {
            k for k in block if sha256_of(values[k % BLOCK, 0]) == self._journal.records[k].of(array.name)
        }
        if not good:
            array.drop(block[0])
        return good, values

    def _add_to_maps(self, rows: Iterable[int], images: NDArray[Any], errors: NDArray[Any]) -> None:
        if self._maps is not None:
            self._maps.add(self.x_tilde.to_hu(images[:, 0]), errors[:, 0].astype(np.float32))
            self._maps_rows.update(rows)

    def close(self) -> None:
        """Give up writing; reading goes on."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def missing(self) -> list[int]:
        """Rows that were asked for and are not there yet, ascending."""
        committed = self._committed
        return [k for k in range(self._wanted) if k not in committed]

    def append(self, batch: Batch) -> None:
        """Commit finished samples: when this returns they survive a power loss.

        Batches that begin at a multiple of 25 rows are written fastest.

        Raises:
            StoreError: The batch does not fit the study, a value cannot be stored exactly, or the disk is
                full. Then none of the batch counts, and everything committed before stays readable.
        """
        writer = self._require_writer()
        self._check_rows(batch)
        images, errors, records = self._encoded(batch)
        needed = layout.estimate_bytes(self.setting, max(len(self.missing()), len(batch.rows)))
        with disk_errors(self.path, needed=needed, kept=len(self._committed)):
            writer.check()
            self._note(batch.together, records)
            self.x_tilde.write(batch.rows, images)
            self.feedback_error.write(batch.rows, errors)
            writer.check()
            self._commit(records)
        self._damaged -= set(batch.rows)
        self._add_to_maps(batch.rows, images, errors)

    def compute_on(self, device: str, versions: Mapping[str, str]) -> None:
        """Say what samples are drawn with from now on; it is recorded if they are others than the study held."""
        self._here = {"device": device, "versions": dict(versions)}

    def _encoded(self, batch: Batch) -> tuple[NDArray[Any], NDArray[Any], list[Record]]:
        images, errors = self.x_tilde.encode(batch.x_tilde), self.feedback_error.encode(batch.feedback_error)
        samples = zip(images, errors, batch.certificates, strict=True)
        return images, errors, [self._record_of(*sample) for sample in samples]

    def hashes(self, batch: Batch) -> list[Hashes]:
        """The hashes that its samples would have in this study."""
        return [(record.sha256, record.error_sha256) for record in self._encoded(batch)[2]]

    def on_record(self, k: int) -> Hashes | None:
        """The hashes of sample k as it was committed, damaged or not; None where its line is lost."""
        record = self._journal.records.get(k)
        return None if record is None else (record.sha256, record.error_sha256)

    @property
    def once_drawn(self) -> set[int]:
        """Rows that had been committed, as journal, manifest and the order of the rows tell."""
        state = self._meta.get("journal") or {"rows": []}
        finished = {k for start, stop in state["rows"] for k in range(start, stop)}
        return finished | set(range(max(self._journal.records, default=-1) + 1))

    def _record_of(self, image: NDArray[Any], error: NDArray[Any], certificate: Certificate) -> Record:
        arrays = ((self.x_tilde, image), (self.feedback_error, error))
        tiles = {
            name: one.checksums(values) for name, (one, values) in zip(layout.IMAGES, arrays, strict=True)
        }
        tiles = {name: checksums for name, checksums in tiles.items() if checksums}
        return Record(sha256_of(image), sha256_of(error), certificate, tiles)

    def _note(self, together: int, records: list[Record]) -> None:
        """Keep in the record of this run how many rows were computed at once, at the fewest."""
        if not self._journal.adds(records):
            return
        *before, last = self._meta["runs"]
        fewest = min(together, last.get("together", BLOCK))
        if {**last, **self._here} != last:
            self._update(runs=[*before, last, {**last, **self._here, "together": together}])
        elif fewest < last.get("together", BLOCK):
            self._update(runs=[*before, {**last, "together": fewest}])

    def _commit(self, records: list[Record]) -> None:
        state = self._meta.get("journal")
        if state is not None and self._journal.breaks(state, records):
            self._update(journal=Journal.unproven(state))
        self._journal.append(records)

    @property
    def is_finished(self) -> bool:
        """Whether all samples that were asked for are there, with the maps over them."""
        return not self.missing() and self._maps_stand()

    def _maps_stand(self) -> bool:
        sound = all(manifest.fault_of(self.path, self._meta, file) is None for file in layout.map_files())
        return self._meta["maps"] == self._digest() and sound

    def finish(self, seconds: Mapping[str, float] | None = None) -> None:
        """Write the maps, add the time by stage in s to that of earlier runs, and give up writing.

        Raises:
            StoreError: The disk refused; the samples are kept, and the maps can be computed from them.
        """
        writer = self._require_writer()
        total = dict(self._meta["seconds"])
        for name, value in (seconds or {}).items():
            total[name] = total.get(name, 0.0) + float(value)
        try:
            maps, needed = self._current_maps(), layout.estimate_bytes(self.setting, 0)
            with disk_errors(self.path, needed=needed, kept=len(self._committed)):
                writer.check()
                self._commit([])
                if not self._maps_stand():
                    self._announce(layout.map_files(), maps=None)
                    for name, values in zip(layout.MAPS, maps, strict=True):
                        self._planes.array(name)[...] = values
                proofs = self._hashed(layout.map_files())
                if proofs:
                    proofs["journal"] = self._journal.state()
                self._update(seconds=total, maps=self._digest(), **proofs)
        finally:
            self.close()

    def _announce(self, files: Iterable[str], **changes: Any) -> None:
        """Say in the manifest that these files are about to be rewritten."""
        if not manifest.is_older(self._meta):
            changes["files"] = {**self._meta["files"], **dict.fromkeys(files)}
        self._update(**changes)

    def _is_open(self, files: Iterable[str]) -> bool:
        """Whether rewriting these files was announced and not completed."""
        known = self._meta.get("files", {})
        return any(file in known and known[file] is None for file in files)

    def _hashed(self, files: Iterable[str]) -> dict[str, Any]:
        """The manifest's part of the metadata once these files are written; nothing for older studies."""
        if manifest.is_older(self._meta):
            return {}
        others = {file: sha256 for file, sha256 in self._meta["files"].items() if file not in files}
        return {"files": dict(sorted((others | manifest.hash_all(self.path, list(files))).items()))}

    def _update(self, **changes: Any) -> None:
        meta = {**self._meta, **changes}
        if meta != self._meta:
            manifest.write_root(self.path, meta)
            self._meta.update(meta)

    def _require_writer(self) -> WriterLock:
        if self._lock is None:
            raise StoreError(f"{self.path.name} is open for reading only; continue it with Store.create.")
        return self._lock

    def _check_rows(self, batch: Batch) -> None:
        committed = self._committed
        wrong = [k for k in batch.rows if k >= self.n or k in committed]
        if wrong:
            raise StoreError(
                f"{self.path.name} has no place for rows {wrong[:5]}: beyond n = {self.n} or there already."
            )


def _refuse_other(folder: Path, provenance: Provenance, setting: Setting) -> None:
    """Raise StoreError unless the folder holds a study that this request continues."""
    meta = manifest.read_root(folder)
    stored = Provenance.from_json(meta["provenance"])
    if stored.key() != provenance.key():
        differing = ", ".join(
            f"{name} ({here} there, {asked} asked)"
            if isinstance(here, (str, int, float)) and name != "series"
            else name
            for name, (here, asked) in stored.differences(provenance).items()
        )
        raise StoreError(
            f"{folder.name} holds another study; it differs in {differing}; choose another folder for it."
        )
    if not same_scan(setting, meta):
        raise StoreError(
            f"{folder.name} was sampled with another output box or rounding; choose another folder."
        )
