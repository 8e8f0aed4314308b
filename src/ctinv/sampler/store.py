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

from ctinv.errors import InputError, StoreError
from ctinv.sampler import layout
from ctinv.sampler.batch import Batch, Setting
from ctinv.sampler.disk import check_room, create_folder, disk_errors, is_free
from ctinv.sampler.journal import Record
from ctinv.sampler.lock import WriterLock
from ctinv.sampler.provenance import Provenance
from ctinv.sampler.reading import StoreReader, sha256_of

_logger = logging.getLogger(__name__)


class Store(StoreReader):
    """A study: samples, certificates, setting and provenance in one folder. Made by `create` or `open`."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._lock: WriterLock | None = WriterLock(path) if write else None
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
            check_room(folder, layout.estimate_bytes(setting, n))
            create_folder(folder, lambda beside: layout.write_new(beside, provenance, setting, n=n))
        _refuse_other(folder, provenance, setting)
        with disk_errors(folder):
            store = cls(folder, write=True)
        try:
            store._continue(provenance, n)
        except BaseException:
            store.close()
            raise
        return store

    def _continue(self, provenance: Provenance, n: int) -> None:
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink(missing_ok=True)
        self._check_all()
        self._wanted = n
        missing = len(self.missing())
        if missing == 0:
            return
        needed = layout.estimate_bytes(self.setting, missing)
        check_room(self.path, needed)
        with disk_errors(self.path, needed=needed, kept=len(self._committed)):
            for images in (self.x_tilde, self.feedback_error):
                images.extend(n)
            self._update(**layout.extended(self._meta, provenance, n))
        self._load()
        self._wanted = n

    def _check_all(self) -> None:
        """Compare every committed sample with its hash, and feed the running maps on the way."""
        self._maps, self._maps_rows = self._new_maps(), set()
        for block in self._blocks():
            try:
                images, errors = self.x_tilde.block(block[0]), self.feedback_error.block(block[0])
                good = [k for k in block if self._intact(k, images, errors)]
            except StoreError:
                good = []
                for array in (self.x_tilde, self.feedback_error):
                    array.drop_unreadable(block[0])
            self._damaged |= set(block) - set(good)
            if good:
                index = [k % layout.CHUNK_ROWS for k in good]
                self._add_to_maps(good, images[index], errors[index])
        if self._damaged:
            _logger.warning(
                "%d damaged samples of %s will be drawn again", len(self._damaged), self.path.name
            )

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
        self._require_writer()
        self._check_rows(batch)
        images, errors = self.x_tilde.encode(batch.x_tilde), self.feedback_error.encode(batch.feedback_error)
        records = [
            Record(sha256_of(image), sha256_of(error), certificate)
            for image, error, certificate in zip(images, errors, batch.certificates, strict=True)
        ]
        needed = layout.estimate_bytes(self.setting, max(len(self.missing()), len(batch.rows)))
        with disk_errors(self.path, needed=needed, kept=len(self._committed)):
            self.x_tilde.write(batch.rows, images)
            self.feedback_error.write(batch.rows, errors)
            self._journal.append(records)
        self._damaged -= set(batch.rows)
        self._add_to_maps(batch.rows, images, errors)

    def finish(self, seconds: Mapping[str, float] | None = None) -> None:
        """Write the maps, add the time by stage in s to that of earlier runs, and give up writing.

        Raises:
            StoreError: The disk refused; the samples are kept, and the maps can be computed from them.
        """
        self._require_writer()
        total = dict(self._meta["seconds"])
        for name, value in (seconds or {}).items():
            total[name] = total.get(name, 0.0) + float(value)
        try:
            maps = self._current_maps()
            needed = layout.estimate_bytes(self.setting, 0)
            with disk_errors(self.path, needed=needed, kept=len(self._committed)):
                for name, values in zip(layout.MAPS, maps, strict=True):
                    layout.array(self._group, name)[...] = values
                self._update(seconds=total, maps=self._digest())
        finally:
            self.close()

    def _update(self, **changes: Any) -> None:
        meta = {**self._meta, **changes}
        self._group.attrs.put({layout.ATTRIBUTE: meta})
        self._meta = meta

    def _require_writer(self) -> None:
        if self._lock is None:
            raise StoreError(f"{self.path.name} is open for reading only; continue it with Store.create.")

    def _check_rows(self, batch: Batch) -> None:
        committed = self._committed
        wrong = [k for k in batch.rows if k >= self.n or k in committed]
        if wrong:
            raise StoreError(
                f"{self.path.name} has no place for rows {wrong[:5]}: beyond n = {self.n} or there already."
            )


def _refuse_other(folder: Path, provenance: Provenance, setting: Setting) -> None:
    """Raise StoreError unless the folder holds a study that this request continues."""
    _, meta = layout.open_group(folder, write=False)
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
    if not layout.same_scan(setting, meta):
        raise StoreError(
            f"{folder.name} was sampled with another output box or rounding; choose another folder."
        )
