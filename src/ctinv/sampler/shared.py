"""Shared images and metadata of a study made again from what determines them, or refused.

The metadata of arrays follow from the study's own; x is the middle of the context; f(x) comes from the context and the
denoiser, the maps of linear theory from the factor. Each must come out with the hash that the manifest holds. The context
and the noise model determine everything and follow from nothing: for them the scan is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from ctinv.atomic import replace_file
from ctinv.denoiser import Denoiser
from ctinv.errors import StoreError
from ctinv.fibre.lesions import lesion_map
from ctinv.sampler import layout, manifest
from ctinv.sampler.disk import disk_errors
from ctinv.sampler.lock import WriterLock
from ctinv.sampler.planes import Planes, chunk_of
from ctinv.sampler.provenance import Provenance
from ctinv.sampler.reopen import region_of, reopen
from ctinv.sampler.samples import Samples
from ctinv.sampler.stored_setting import read_setting
from ctinv.sampler.verify import Fault

Find = Callable[[Mapping[str, str]], Denoiser]
"""Gives the denoiser whose weights have these hashes, on the device to compute on."""

_DETERMINED = ("x", "fx_output", "fx", "theory_spread", "eta")  # each from those before it


def make_shared_again(folder: Path, faults: Iterable[Fault], find: Find) -> None:
    """Put right what the samples of a study share.

    Args:
        folder: The study.
        faults: What `find_faults` found.
        find: Asked only where f is needed.

    Raises:
        StoreError: Something is damaged that nothing else determines, or comes out different; it is left as it is.
    """
    faults = list(faults)
    metadata = [fault.file for fault in faults if fault.kind == "metadata"]
    planes = [fault.file for fault in faults if fault.kind == "plane"]
    no_journal = any(
        fault.file == manifest.JOURNAL and not (folder / fault.file).exists() for fault in faults
    )
    for file in (*metadata, *planes):
        if file == manifest.ROOT or (file in planes and file.split("/")[0] not in _DETERMINED):
            raise StoreError(
                f"{file} of {folder.name} is damaged and follows from nothing else in the study; sample the scan again into "
                "another folder."
            )
    if not (metadata or planes or no_journal):
        return
    with disk_errors(folder):
        lock = WriterLock(folder)
        try:
            if no_journal:
                (folder / manifest.JOURNAL).touch()
            for file in metadata:
                _put(folder, file, _array_metadata(folder, file))
            _make_planes_again(folder, planes, find)
        finally:
            lock.release()


def _put(folder: Path, file: str, content: bytes) -> None:
    """Replace a file by what its recorded hash fits; anything else is refused."""
    if hashlib.sha256(content).hexdigest() != manifest.read_root(folder)["files"].get(file):
        raise StoreError(
            f"{file} of {folder.name} is damaged, and computed again it comes out different; sample the scan again into "
            "another folder."
        )
    replace_file(folder / file, content)


def _array_metadata(folder: Path, file: str) -> bytes:
    meta = manifest.read_root(folder)
    name = file.split("/")[0]
    return _written(name, layout.plan(meta["setting"], int(meta["n"]))[name], None)[file]


def _written(name: str, plan: layout.ArrayPlan, values: NDArray[Any] | None) -> dict[str, bytes]:
    """The files of one array as they would be written: name to content."""
    store = MemoryStore()
    array = layout.create_array(zarr.create_group(store, zarr_format=3), name, plan)
    if values is not None:
        array[...] = values
    files = (f"{name}/{manifest.ROOT}", f"{name}/{chunk_of(len(plan.shape))}")
    found = {file: sync(store.get(file, default_buffer_prototype())) for file in files}
    return {file: content.to_bytes() for file, content in found.items() if content is not None}


def _make_planes_again(folder: Path, files: Iterable[str], find: Find) -> None:
    """Compute damaged planes again, each from those that are whole by then."""
    damaged = {file.split("/")[0]: file for file in files}
    for name in _DETERMINED:
        if name in damaged:
            planes = Planes.open(folder, write=False)
            plan = layout.plan(planes.meta["setting"], int(planes.meta["n"]))
            left = {other: plan[other].shape for other in damaged}
            _put(
                folder,
                damaged[name],
                _written(name, plan[name], _computed(name, planes, left, find))[damaged[name]],
            )
            del damaged[name]


def _computed(name: str, planes: Planes, damaged: Mapping[str, tuple[int, ...]], find: Find) -> NDArray[Any]:
    """A plane anew; those that are still damaged are not looked at."""
    study = _without(planes, damaged)
    setting, box = study.setting, study.setting.context_box
    if name == "x":
        (_, y, x), (height, width) = setting.volume.offset, setting.region
        middle = setting.context[len(setting.context) // 2]
        return middle[None, y - box.y0 : y - box.y0 + height, x - box.x0 : x - box.x0 + width]
    denoiser = find(study.provenance.weights_sha256)
    if name in ("fx", "fx_output"):
        region = region_of(study, denoiser)
        output = region.reference_output[0, 0]
        return np.asarray((output if name == "fx_output" else output[region.halo]).cpu().numpy())
    corrector, _ = reopen(study, denoiser)
    if name == "theory_spread":
        return np.asarray(corrector.factor.spread.reshape(corrector.region.shape).cpu().numpy())
    eta, _ = lesion_map(corrector, spacing_mm=setting.volume.spacing[1:])
    return np.asarray(eta)


def _without(planes: Planes, damaged: Mapping[str, tuple[int, ...]]) -> Samples:
    """The study without samples, and with zeros for its damaged planes."""
    blank = {name: np.zeros(shape, np.float32) for name, shape in damaged.items()}
    setting = read_setting(replace(planes, blank=blank))
    return Samples.collect([], setting, Provenance.from_json(planes.meta["provenance"]))
