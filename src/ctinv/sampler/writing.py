"""The writing side of a study: what is on the disk and what the manifest says of it change together.

`Store` is what others use; this is how it keeps its books and how it takes back what an interrupted run left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import replace_file
from ctinv.errors import StoreError
from ctinv.fibre.tiers import Certificate
from ctinv.sampler import layout, manifest
from ctinv.sampler.batch import BLOCK, Batch
from ctinv.sampler.chunks import ImageArray
from ctinv.sampler.disk import disk_errors
from ctinv.sampler.journal import Journal, Record, sha256_of
from ctinv.sampler.reading import StoreReader

_logger = logging.getLogger(__name__)


class StoreWriter(StoreReader):
    """A study and the steps of writing to it; who calls them holds the lock."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._here: dict[str, Any] = {}
        super().__init__(path, write=write)

    def _load(self) -> None:
        super()._load()
        self._wanted = self.n

    def missing(self) -> list[int]:
        """Rows that were asked for and are not there yet, ascending."""
        committed = self._committed
        return [k for k in range(self._wanted) if k not in committed]

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

    def _extend(self, **changes: Any) -> None:
        """Take new metadata and make room for their n rows; existing ones stay as they are."""
        files = [f"{name}/{manifest.ROOT}" for name in layout.IMAGES]
        if changes["n"] != self.n or self._is_open(files):
            self._announce(files)
            for file in files:
                content = (self.path / file).read_bytes()
                replace_file(self.path / file, layout.with_rows(content, changes["n"]))
        self._update(**changes, **self._hashed(files))

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

    def _encoded(self, batch: Batch) -> tuple[NDArray[Any], NDArray[Any], list[Record]]:
        images, errors = self.x_tilde.encode(batch.x_tilde), self.feedback_error.encode(batch.feedback_error)
        samples = zip(images, errors, batch.certificates, strict=True)
        return images, errors, [self._record_of(*sample) for sample in samples]

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

    def _maps_stand(self) -> bool:
        sound = all(manifest.fault_of(self.path, self._meta, file) is None for file in layout.map_files())
        return self._meta["maps"] == self._digest() and sound

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
