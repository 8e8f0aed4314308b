"""Store: one study on disk, a zarr 3 folder that opens again without any model.

To write a sample, its image and feed-back error go into their chunks (each replaced as a whole), the chunks
are flushed to the disk, then one line goes into the journal and is flushed (`journal.py`). Readers believe
the journal only, and check the hash of every image they read, so that neither a killed writer nor a damaged
file can show a sample that is not the certified one.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from pathlib import Path

from ctinv.errors import StoreError
from ctinv.sampler import layout, manifest
from ctinv.sampler.batch import Batch, Setting, check_count
from ctinv.sampler.disk import check_room, create_folder, disk_errors, is_free
from ctinv.sampler.lock import WriterLock
from ctinv.sampler.provenance import Provenance
from ctinv.sampler.stored_setting import same_scan
from ctinv.sampler.writing import StoreWriter

Hashes = tuple[str, str]
"""sha256 of a sample's stored image and of its feed-back error."""


class Store(StoreWriter):
    """A study: samples, certificates, setting and provenance in one folder. Made by `create` or `open`."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._lock: WriterLock | None = WriterLock(path) if write else None
        if self._lock is not None:
            weakref.finalize(self, self._lock.release)
        super().__init__(path, write=write)

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
            InputError: n is below 1, or more than a study can hold.
            StoreError: The folder is something else or a study of another key, or is being written.
            ResourceError: The disk has too little room.
        """
        folder = Path(path)
        check_count(n)
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

    def close(self) -> None:
        """Give up writing; reading goes on."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    @property
    def is_finished(self) -> bool:
        """Whether all samples that were asked for are there, with the maps over them."""
        return not self.missing() and self._maps_stand()

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
            f"{name} ({str(here)[:24]} there, {str(asked)[:24]} asked)"
            if isinstance(here, (str, int, float)) and name != "series"
            else name
            for name, (here, asked) in stored.differences(provenance).items()
        )
        shown = differing if len(differing) <= 90 else f"{differing[:89]}…"
        raise StoreError(
            f"{folder.name[:40]} holds another study; it differs in {shown}; choose another folder for it."
        )
    if not same_scan(setting, meta):
        raise StoreError(
            f"{folder.name} was sampled with another output box or rounding; choose another folder."
        )
