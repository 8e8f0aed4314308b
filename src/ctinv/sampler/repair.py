"""Repair: what is damaged in a study is made again from what is sound in it and from its denoiser.

Nothing is guessed. A shared image or the metadata of an array count as repaired only where what is computed again has the
hash that the manifest holds; else the study is left as it is. A sample is drawn again with its block, as it was at first; on
the machine that drew it, it is the same to the bit, and elsewhere the same but for rounding, with a certificate of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctinv.errors import StoreError
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.find import GENERATORS
from ctinv.generators.kinds import Domain
from ctinv.progress import Progress
from ctinv.sampler.batch import BLOCK, Batch
from ctinv.sampler.drawing import Drawer, join, ordered, select
from ctinv.sampler.prepare import Prepared
from ctinv.sampler.raw import scene_of
from ctinv.sampler.reopen import reopen
from ctinv.sampler.sampler import METHOD_VERSION, versions
from ctinv.sampler.shared import Find, make_shared_again
from ctinv.sampler.store import Hashes, Store
from ctinv.sampler.verify import Fault, find_faults


@dataclass(frozen=True)
class Repaired:
    """What a repair did.

    Attributes:
        rows: Samples that were drawn again.
        same: How many of them have the hash that was on record; the others had none, or come from another machine.
        drawn: Samples that had never been drawn and now are.
        files: Shared files that were made again.
        left: Faults that remain.
        missing: Samples that were never drawn and still are not.
    """

    rows: tuple[int, ...]
    same: int
    drawn: tuple[int, ...]
    files: tuple[str, ...]
    left: tuple[Fault, ...]
    missing: int


def repair(
    folder: Path,
    find: Find,
    *,
    missing: bool = False,
    progress: Progress | None = None,
) -> Repaired:
    """Make a study whole again.

    Args:
        folder: The study.
        find: Gives the denoiser whose weights have these hashes, on the device to compute on; asked only where it is needed.
        missing: Whether samples that were never drawn are drawn too.
        progress: Called with a phrase and a finished share.

    Raises:
        StoreError: Something is damaged that the study and its denoiser do not determine; the study is left as it is.
    """
    faults = find_faults(folder)
    make_shared_again(folder, faults, find)
    with Store.resume(folder) as store:
        lost = tuple(k for k in store.missing() if k in store.once_drawn)
        new = tuple(k for k in store.missing() if k not in store.once_drawn) if missing else ()
        known = {k: store.on_record(k) for k in lost}
        if lost or new:
            redrawer = Redrawer.of(store, find, progress)
            store.compute_on(str(redrawer.prepared.corrector.region.context.device), versions())
            for batch in redrawer.batches(sorted((*lost, *new)), known):
                store.append(batch)
        same = sum(known[k] is not None and known[k] == store.on_record(k) for k in lost)
        store.finish()
    made = tuple(fault.file for fault in faults if fault.kind in ("metadata", "plane", "map"))
    return Repaired(lost, same, new, made, tuple(find_faults(folder)), len(Store.open(folder).missing()))


@dataclass(frozen=True, eq=False)
class Redrawer:
    """Draws samples of a stored study again.

    Attributes:
        store: The study.
        prepared: Its region, set up again.
        progress: Called with a phrase and a finished share.
    """

    store: Store
    prepared: Prepared
    progress: Progress | None

    @classmethod
    def of(cls, store: Store, find: Find, progress: Progress | None) -> Redrawer:
        """Set the region of a study up again.

        Raises:
            StoreError: Its candidates need more than the study holds, or were drawn by another method.
        """
        provenance, name = store.provenance, store.path.name
        if provenance.generator not in GENERATORS:
            raise StoreError(
                f"samples of {name} are damaged, and {provenance.generator} needs the scan to draw them again; repeat the "
                "`ctinv sample` command that made the study."
            )
        method = provenance.versions.get("method")
        if method != METHOD_VERSION:
            raise StoreError(
                f"{name} was drawn by method {method} and this ctinv draws by {METHOD_VERSION}; repair it with a fitting "
                "version."
            )
        corrector, covariance = reopen(store, find(provenance.weights_sha256), progress=progress)
        generator = GENERATORS[provenance.generator](scene_of(store, corrector.region, corrector.noise))
        domain: Domain = "target" if provenance.domain == "target" else "input"
        prepared = Prepared(store.setting, corrector, covariance, generator, provenance.noise, domain, {})
        return cls(store, prepared, progress)

    def batches(self, rows: Sequence[int], known: Mapping[int, Hashes | None]) -> Iterator[Batch]:
        """The rows, block by block, each computed with as many others as at first where its hash is known."""
        for number in sorted({row // BLOCK for row in rows}):
            if self.progress is not None:
                self.progress("sampling", sum(row // BLOCK < number for row in rows) / len(rows))
            yield self._block(number, [row for row in rows if row // BLOCK == number], known)

    def _block(self, number: int, rows: list[int], known: Mapping[int, Hashes | None]) -> Batch:
        provenance = self.store.provenance
        seeds = RowSeeds(provenance.seed, provenance.series, provenance.box)
        tries: list[Batch] = []
        parts: list[Batch] = []
        for together in sorted(
            {BLOCK, *(run.get("together", BLOCK) for run in self.store.runs)}, reverse=True
        ):
            whole = Drawer(self.prepared, seeds, together).block(number, rows)
            fits = [
                k for k, hashes in zip(rows, self.store.hashes(whole), strict=True) if hashes == known.get(k)
            ]
            tries.append(
                select(whole, [k for k in rows if k not in fits]) if len(fits) < len(rows) else whole
            )
            parts += [select(whole, fits)] if fits else []
            rows = [k for k in rows if k not in fits]
            if not any(known.get(k) for k in rows):
                break
        if rows:
            parts.append(select(tries[0], rows))
        return ordered(join(parts))
