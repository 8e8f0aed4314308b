"""A source to a pair of memory-mapped arrays: read, put upright, simulated if need be, and proven to be a pair.

All denoisers know axial slices with rows towards posterior and columns towards the left of the patient, slices towards
the head. DICOM and NIfTI store them in other orders as well; the affine says which, and axes are turned round to fit, which
moves values and changes none.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ctinv.errors import InputError, SeriesError
from ctinv.io import read
from ctinv.progress import Progress
from ctinv.simulate import photons_from_tags, simulate_low_dose
from ctinv.training.data import Pair, open_pair
from ctinv.training.sources.cache import TAGS, Stored, pairs_folder, stored, volume_key
from ctinv.training.sources.check import refuse_other_image, refuse_other_place
from ctinv.training.sources.find import PairSource
from ctinv.volume import Volume

Side = Literal["low", "full"]


def open_pair_source(
    source: PairSource,
    cache: Path | None = None,
    *,
    dose: float,
    seed: int,
    photons: float | str | None = None,
    progress: Progress | None = None,
) -> Pair:
    """Read a source once, map it afterwards.

    Args:
        source: From `find_pairs`.
        cache: Folder for arrays; ``$CTINV_CACHE/pairs`` or the user's cache by default. Pairs of .npy files are mapped
            where they lie.
        dose: Dose fraction to simulate; of no effect on a source that has its low dose.
        seed: Seed of the simulation. Every scan has noise of its own, made from the seed and the source's key.
        photons: As in `simulate_low_dose`, but a scan without dose tags needs a number or ``"fit"``.
        progress: Called as ``progress(text, fraction)``.

    Raises:
        InputError: A scan cannot be read, the doses are no pair, or the dose is not known; the message names the source.
        ResourceError: The cache has no room.
    """
    folder = cache if cache is not None else pairs_folder()
    if source.low is not None and _is_array(source.low) and _is_array(source.full):
        spacing = source.facts.spacing_mm
        pair = open_pair(source.name, source.low, source.full)
        pair = replace(pair, patient=source.patient, spacing_mm=spacing[-1] if spacing else float("nan"))
    else:
        full = _read_dose(source, "full", folder)
        if source.low is None:
            low = _simulated(source, full, folder, dose=dose, seed=seed, photons=photons, progress=progress)
        else:
            low = _read_dose(source, "low", folder)
        refuse_other_place(source.name, low.affine, full.affine, (low.hu.shape, full.hu.shape))
        spacing_mm = float(np.linalg.norm(full.affine[:3, 2]))
        pair = Pair(source.name, low.hu, full.hu, source.patient, spacing_mm)
    refuse_other_image(pair)
    return pair


def _read_dose(source: PairSource, side: Side, folder: Path) -> Stored:
    """One dose of a source from the cache, or from its files."""
    path = source.low if side == "low" and source.low is not None else source.full
    known, spacing = source.facts.acquisition, source.facts.spacing_mm
    tags = {name: getattr(known, name) for name in TAGS}
    key = volume_key(path, spacing=list(spacing) if spacing else None, **tags)
    return stored(key, lambda: _read(source, path, side), folder)


def _read(source: PairSource, path: Path, side: Side) -> Volume:
    """Upright volume of one dose; dose tags that the files lack come from the facts beside them."""
    try:
        volume = upright(_scaled(read(path), source) if _is_array(path) else read(path))
    except SeriesError as error:
        raise InputError(f"{source.name}, {side} dose: {error}") from None
    own = volume.acquisition
    missing = {name: getattr(source.facts.acquisition, name) for name in TAGS if getattr(own, name) is None}
    return replace(volume, acquisition=replace(own, **missing))


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _scaled(volume: Volume, source: PairSource) -> Volume:
    """An array with the spacing of the facts; the noise could not be simulated to scale without."""
    if source.low is not None:
        raise SeriesError("an array needs an array as its partner; give both doses in one format.")
    if source.facts.spacing_mm is None:
        raise SeriesError(
            "an array has no spacing; put spacing_mm, its mm along z, y, x, into a file NAME.json beside it."
        )
    return replace(volume, affine=volume.affine @ np.diag([*source.facts.spacing_mm, 1.0]))


def _simulated(
    source: PairSource,
    full: Stored,
    folder: Path,
    *,
    dose: float,
    seed: int,
    photons: float | str | None,
    progress: Progress | None,
) -> Stored:
    """The low dose of a source, simulated on its full dose."""
    volume = full.volume()
    if photons is None and photons_from_tags(volume.acquisition, volume.spacing[-1]) is None:
        raise InputError(
            f"{source.name} has no dose tags to simulate from; set photons to 'fit', for its own noise, or to a number."
        )
    own_seed = source_seed(seed, source.key)

    def told(text: str, fraction: float) -> None:
        if progress is not None:
            progress(f"{source.name}: {text}", fraction)

    def make() -> Volume:
        workers = os.cpu_count() or 1
        return simulate_low_dose(
            volume, dose=dose, seed=own_seed, photons=photons, workers=workers, progress=told
        )

    return stored(volume_key(full.path, dose=dose, seed=own_seed, photons=photons), make, folder)


def source_seed(seed: int, key: str) -> int:
    """Seed of one scan's noise, so that no two scans of a training share theirs."""
    return int.from_bytes(hashlib.sha256(f"ctinv low dose {seed} {key}".encode()).digest()[:4], "little")


def upright(volume: Volume) -> Volume:
    """The volume with slices towards superior, rows towards posterior, columns towards left; axes are only reversed.

    Raises:
        SeriesError: The slices are not axial, or rows and columns are exchanged.
    """
    directions = volume.affine[:3, :3]
    if np.abs(directions).argmax(axis=0).tolist() != [2, 1, 0]:
        raise SeriesError("its slices are not axial with rows from front to back; reorient it first.")
    hu, affine = volume.hu, volume.affine.copy()
    for axis, patient in enumerate((2, 1, 0)):
        if directions[patient, axis] < 0:
            hu = np.flip(hu, axis)
            affine[:, 3] += affine[:, axis] * (hu.shape[axis] - 1)
            affine[:, axis] *= -1
    return replace(volume, hu=np.ascontiguousarray(hu), affine=affine)
