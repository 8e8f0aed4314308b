"""Reading a study: journal and hashes decide what is there, no model is needed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import StoreError
from ctinv.fibre.tiers import Certificate
from ctinv.sampler import guard, layout, manifest
from ctinv.sampler.batch import Batch, Setting
from ctinv.sampler.chunks import ImageArray
from ctinv.sampler.journal import Journal, Record, sha256_of
from ctinv.sampler.manifest import JOURNAL
from ctinv.sampler.maps import RunningMaps, rms
from ctinv.sampler.planes import Planes
from ctinv.sampler.provenance import Provenance
from ctinv.sampler.samples import check_pixel, summarise
from ctinv.sampler.stored_setting import read_setting

if TYPE_CHECKING:
    from ctinv.sampler.stack import ImageStack
    from ctinv.sampler.verify import Fault


class StoreReader:
    """The reading side of a `Store`; reads like `Samples`.

    Attributes:
        path: The folder.
        provenance: Where the samples come from; its `n` is the largest number ever asked for.
        n: The same number.
        x_tilde: (n, 1, h, w) samples on disk, loaded when indexed: int16 in units of its `quantum` HU (then
            float32 HU = value x quantum), or float32 HU with `quantum` 0. Rows not in `rows` hold no sample.
        feedback_error: (n, 1, H', W') float16 HU on disk, loaded when indexed.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self._write = write
        self._damaged: set[int] = set()
        self._maps: RunningMaps | None = None
        self._maps_rows: set[int] = set()
        self._sorted: dict[int, Record] | None = None
        self.refresh()

    def _load(self) -> None:
        self._planes = Planes.open(self.path, write=self._write)
        self._meta = self._planes.meta
        known = None if self._write else getattr(self, "_journal", None)
        self._journal = Journal(self.path / JOURNAL) if known is None else known.followed()
        self._sorted = None
        with guard.well_formed(self.path.name):
            self.n = int(self._meta["n"])
            self.provenance = Provenance.from_json(self._meta["provenance"])
            self.x_tilde = ImageArray(self._planes, "x_tilde")
            self.feedback_error = ImageArray(self._planes, "feedback_error")
            guard.check_images(self._meta, self.x_tilde, self.feedback_error, self.path.name)

    @property
    def _committed(self) -> dict[int, Record]:
        if self._sorted is None or self._write:  # what is only read changes when it is loaded anew
            records = self._journal.records
            self._sorted = {k: records[k] for k in sorted(records) if k < self.n and k not in self._damaged}
        return self._sorted

    @property
    def rows(self) -> tuple[int, ...]:
        """Row numbers k of the committed samples, ascending."""
        return tuple(self._committed)

    @property
    def certificates(self) -> list[Certificate]:
        """Certificates of the committed samples, in the order of `rows`."""
        return [record.certificate for record in self._committed.values()]

    @property
    def seconds(self) -> dict[str, float]:
        """Time by stage in s, over all runs that came to their end."""
        return dict(self._meta["seconds"])

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What each run was asked for and ran on; ``together`` rows were computed at once, fewer where memory was short."""
        return [dict(run) for run in self._meta["runs"]]

    @property
    def is_older(self) -> bool:
        """Whether it was made before studies kept a manifest (`ctinv.sampler.manifest.UNPROVEN`)."""
        return manifest.is_older(self._meta)

    @property
    def together(self) -> int:
        """Rows that were computed at once, at the fewest over all runs; see `Batch`."""
        return min(int(run.get("together", layout.CHUNK_ROWS)) for run in self._meta["runs"])

    @cached_property
    def setting(self) -> Setting:
        """What all samples share, as stored; the volume's uid is a hash."""
        with guard.well_formed(self.path.name):
            return read_setting(self._planes)

    def refresh(self) -> None:
        """Take in what another process has committed since this study was opened.

        Raises:
            StoreError: The study is damaged.
        """
        damaged: StoreError | None = None
        for _ in manifest.looks(
            self.path
        ):  # a writer may just be changing the arrays that the manifest names
            try:
                return self._load()
            except StoreError as error:
                damaged = error
        if damaged is not None:
            raise damaged

    def read(self, k: int) -> NDArray[np.float32]:
        """(h, w) HU, sample k, checked against its hash.

        Raises:
            StoreError: The sample is not there or damaged.
        """
        return self.x_tilde.to_hu(self._read(self.x_tilde, k, self._record(k).sha256))

    def read_error(self, k: int) -> NDArray[np.float32]:
        """(H', W') HU, f(x̃) − f(x) of sample k over the output box, checked against its hash."""
        return self._read(self.feedback_error, k, self._record(k).error_sha256).astype(np.float32)

    def _record(self, k: int) -> Record:
        if k not in self._committed:
            raise StoreError(
                f"{self.path.name} has no sample {k}; it holds {len(self._committed)} of {self.n}."
            )
        return self._journal.records[k]

    def _read(self, images: ImageArray, k: int, sha256: str) -> NDArray[Any]:
        values: NDArray[Any] = images[k, 0]
        if sha256_of(values) != sha256:
            raise StoreError(
                f"sample {k} of {self.path.name} is damaged; replace it with `ctinv repair {self.path.name}`."
            )
        return values

    def _blocks(self) -> Iterator[list[int]]:
        """Committed rows, grouped by the chunk they share."""
        blocks: dict[int, list[int]] = {}
        for k in self._committed:
            blocks.setdefault(k // layout.CHUNK_ROWS, []).append(k)
        yield from blocks.values()

    def batches(self) -> Iterator[Batch]:
        """The committed samples again as batches of up to 25, each chunk read once, each sample checked.

        Raises:
            StoreError: A sample is damaged.
        """
        for block in self._blocks():
            images, errors = self.x_tilde.block(block[0]), self.feedback_error.block(block[0])
            bad = [k for k in block if not self._intact(k, images, errors)]
            if bad:
                raise StoreError(
                    f"samples {bad[:5]} of {self.path.name} are damaged; "
                    f"replace them with `ctinv repair {self.path.name}`."
                )
            index = [k % layout.CHUNK_ROWS for k in block]
            certificates = tuple(self._journal.records[k].certificate for k in block)
            hu = self.x_tilde.to_hu(images[index, 0])
            yield Batch(tuple(block), hu, errors[index, 0].astype(np.float32), certificates, self.together)

    def verify(self) -> list[Fault]:
        """What is wrong with the study as it lies on the disk now, see `ctinv.sampler.verify.find_faults`."""
        from ctinv.sampler.verify import find_faults  # verify reads studies that cannot be opened

        return find_faults(self.path)

    def lazy(self) -> ImageStack:
        """(n, 1, h, w) float32 HU of the committed samples, read where they are shown."""
        return self.x_tilde.lazy(self.rows)

    def lazy_error(self) -> ImageStack:
        """(n, 1, H', W') float32 HU of their feed-back errors f(x̃) − f(x), read where they are shown."""
        return self.feedback_error.lazy(self.rows)

    def probe(self, y: int, x: int) -> NDArray[np.float32]:
        """(n,) HU, every committed sample at row y, column x of the region; reads only the chunks needed."""
        check_pixel(y, x, self.setting.region)
        return self.x_tilde.to_hu(self.x_tilde[:, 0, y, x][list(self.rows)])

    @property
    def has_maps(self) -> bool:
        """Whether the maps over exactly these samples are stored, so that they need not be computed."""
        return bool(self._meta["maps"] == self._digest())

    def mean(self) -> NDArray[np.float32]:
        """(h, w) mean of the committed samples in HU."""
        return self._current_maps()[0]

    def spread(self) -> NDArray[np.float32]:
        """(h, w) standard deviation over the committed samples in HU (n − 1)."""
        return self._current_maps()[1]

    def worst(self) -> NDArray[np.float32]:
        """(H', W') largest absolute feed-back error over the committed samples in HU."""
        return self._current_maps()[2]

    def summary(self) -> dict[str, Any]:
        """The figures that the shell prints, see `summarise`."""
        return summarise(
            self.certificates,
            self.setting.scalars,
            provenance=self.provenance,
            spread_hu=rms(self.spread()),
            seconds=self.seconds,
        )

    def _new_maps(self) -> RunningMaps:
        setting = self.setting
        return RunningMaps(setting.volume.hu[0], setting.output_box.shape, quantum=self.x_tilde.grid)

    def _current_maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The maps of exactly the committed rows: stored, kept while writing, or computed block by block."""
        if self.has_maps:
            with contextlib.suppress(
                StoreError
            ):  # damaged, or another run's by now: computed from the samples
                mean, spread, worst = (self._planes.read(name) for name in layout.MAPS)
                if np.isfinite(mean).all() and np.isfinite(spread).all():  # a missing chunk reads as NaN
                    return mean, spread, worst
        if self._maps is None or self._maps_rows != set(self.rows):
            self._maps, self._maps_rows = self._new_maps(), set(self.rows)
            for batch in self.batches():
                self._maps.add(batch.x_tilde, batch.feedback_error)
        return self._maps.mean(), self._maps.spread(), self._maps.worst()

    def _digest(self) -> str:
        """Names the set of committed samples, to tell whether stored maps belong to it."""
        text = "\n".join(f"{k} {r.sha256} {r.error_sha256}" for k, r in self._committed.items())
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _intact(self, k: int, images: NDArray[Any], errors: NDArray[Any]) -> bool:
        record, index = self._journal.records[k], k % layout.CHUNK_ROWS
        return (sha256_of(images[index, 0]), sha256_of(errors[index, 0])) == (
            record.sha256,
            record.error_sha256,
        )
