"""Layout of a study on disk: a zarr 3 group, its arrays and the metadata in its attributes.

==================  =======================  ========================================================
array               shape                    content
==================  =======================  ========================================================
x_tilde             (n, 1, h, w) int16       samples, unit `scale` HU; or float32 with scale 1
feedback_error      (n, 1, H', W') float16   f(x̃) − f(x) over the output box, HU
x                   (1, h, w) float32        the scan, HU
context             (S, H'', W'') float32    the scan around the region, as far as f sees, HU
fx                  (h, w) float32           f(x), HU
fx_output           (H', W') float32         f(x) over the output box, HU
theory_spread, eta  (h, w) float32           see `Setting`
noise_sigma         (H, W) float64           see `NoiseModel`, likewise the two that follow; not in older studies
noise_residual      (H, W) float64
noise_spectrum      (T, T) float64
mean, spread        (h, w) float32           over the samples, HU; written when a run ends
worst               (H', W') float32         largest absolute feed-back error, HU; likewise
==================  =======================  ========================================================

Beside them stand the journal (`journal.py`) and in ``zarr.json`` the metadata with the manifest (`manifest.py`).

Chunks of 25 samples x 128 x 128 voxels serve scrolling through planes and probing a pixel alike. Bit
shuffling before zstd saves a sixth of the room at the same speed (25 planes of 512 x 512 of coloured noise);
the checksum makes a flipped bit an error instead of another image.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from ctinv.sampler.batch import BLOCK, Setting
from ctinv.sampler.manifest import FORMAT, JOURNAL, ROOT, hash_all, write_root
from ctinv.sampler.planes import chunk_of
from ctinv.sampler.provenance import Provenance
from ctinv.sampler.stored_setting import NOISE, fixed_planes, setting_json
from ctinv.volume import Box

CHUNK_ROWS = BLOCK
CHUNK_SIDE = 128
IMAGES = ("x_tilde", "feedback_error")
MAPS = ("mean", "spread", "worst")

INT16_LIMIT = 32760  # codes; leaves -32768 free to mean "nothing here"
_MISSING = -32768
# Scans within the 12-bit range leave room for noise in int16 at 1/8 HU; others are kept as float32.
_INT16_SCAN = 3100.0 / 0.125  # quanta
_JOURNAL_LINE = 700
_TILE_IN_LINE = 12


def layout(setting: Setting) -> tuple[np.dtype[Any], float]:
    """Type of the stored samples and HU per unit: int16 quanta where the scan leaves room, else float32."""
    scan = setting.volume.hu
    if setting.quantum and float(np.abs(scan).max()) <= _INT16_SCAN * setting.quantum:
        return np.dtype("<i2"), setting.quantum
    return np.dtype("<f4"), 1.0


def estimate_bytes(setting: Setting, rows: int) -> int:
    """Upper bound of the room that this many samples and the maps take, before compression."""
    region, output = math.prod(setting.region), math.prod(setting.output_box.shape)
    fixed = 6 * region + 2 * output + setting.context.size
    if setting.noise is not None:
        fixed += 4 * setting.noise.sigma.size + 2 * setting.noise.spectrum.size
    itemsize = layout(setting)[0].itemsize
    tiles = sum(
        math.prod(-(-side // CHUNK_SIDE) for side in shape)
        for shape in (setting.region, setting.output_box.shape)
    )
    line = _JOURNAL_LINE + _TILE_IN_LINE * tiles
    return rows * (region * itemsize + output * 2 + line) + 4 * fixed + 65536


@dataclass(frozen=True)
class ArrayPlan:
    """How one array of a study is laid out: the arguments of zarr's ``create_array`` that differ between them."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    fill: float
    attributes: Mapping[str, Any]
    axes: tuple[str, ...] | None = None


def plan(stored: Mapping[str, Any], n: int) -> dict[str, ArrayPlan]:
    """The arrays of a study by name.

    Args:
        stored: What `setting_json` wrote.
        n: Rows.
    """
    region, output = tuple(stored["region"]), Box.parse(stored["output_box"]).shape
    unit = stored["unit"]
    integer = stored["dtype"] == "<i2"
    samples = {"scale": stored["quantum"] if integer else 1.0, "quantum": stored["quantum"], "unit": unit}
    fill = _MISSING if integer else math.nan
    arrays = {
        "x_tilde": _images((n, 1, *region), stored["dtype"], fill, samples),
        "feedback_error": _images((n, 1, *output), "<f2", math.nan, {"scale": 1.0, "unit": unit}),
        "x": _plane((1, *region), unit),
        "context": _plane((stored["slices"], *Box.parse(stored["context_box"]).shape), unit),
        "fx": _plane(region, unit),
        "fx_output": _plane(output, unit),
        "theory_spread": _plane(region, unit),
    }
    if stored["eta"]:
        arrays["eta"] = _plane(region, "1")
    if stored["noise"] is not None:
        area = Box.parse(stored["noise"]["area"]).shape
        shapes = (area, area, tuple(stored["noise"]["torus"]))
        for name, shape in zip(NOISE, shapes, strict=True):
            arrays[name] = _plane(shape, "1" if name == "noise_spectrum" else unit, "<f8")
    return arrays | {
        name: _plane(shape, unit) for name, shape in zip(MAPS, (region, region, output), strict=True)
    }


def _images(shape: tuple[int, ...], dtype: str, fill: float, attributes: Mapping[str, Any]) -> ArrayPlan:
    chunks = (CHUNK_ROWS, 1, *(min(CHUNK_SIDE, side) for side in shape[2:]))
    return ArrayPlan(shape, chunks, dtype, fill, attributes, ("sample", "z", "y", "x"))


def _plane(shape: tuple[int, ...], unit: str, dtype: str = "<f4") -> ArrayPlan:
    return ArrayPlan(shape, shape, dtype, math.nan, {"unit": unit})


def create_array(group: zarr.Group, name: str, wanted: ArrayPlan) -> zarr.Array[Any]:
    """Make one array, without data."""
    return group.create_array(
        name,
        shape=wanted.shape,
        chunks=wanted.chunks,
        dtype=np.dtype(wanted.dtype),
        fill_value=wanted.fill,
        compressors=(BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"), Crc32cCodec()),
        attributes=dict(wanted.attributes),
        dimension_names=wanted.axes,
    )


def write_new(folder: Path, provenance: Provenance, setting: Setting, *, n: int) -> None:
    """Lay out an empty study in an existing, empty folder."""
    stored = setting_json(setting, layout(setting)[0])
    group = zarr.create_group(str(folder), zarr_format=3)
    planes = fixed_planes(setting)
    for name, wanted in plan(stored, n).items():
        array = create_array(group, name, wanted)
        if name in planes:
            array[...] = planes[name]
    (folder / JOURNAL).touch()
    files = [str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()]
    meta = {
        "format": FORMAT,
        "key": provenance.key(),
        "n": n,
        "provenance": provenance.with_n(n).to_json(),
        "runs": [run(provenance, n)],
        "setting": stored,
        "seconds": {},
        "maps": None,
        "journal": None,
        "files": hash_all(folder, [name for name in files if name not in (ROOT, JOURNAL)]),
    }
    write_root(folder, meta)


def chunk_files(name: str, wanted: ArrayPlan) -> Iterator[str]:
    """The files that an array of this plan may have."""
    counts = (-(-side // chunk) for side, chunk in zip(wanted.shape, wanted.chunks, strict=True))
    for place in itertools.product(*(range(count) for count in counts)):
        yield "/".join([name, "c", *map(str, place)])


def map_files() -> tuple[str, ...]:
    """The files that hold the maps."""
    return tuple(f"{name}/{chunk_of(2)}" for name in MAPS)


def run(provenance: Provenance, n: int) -> dict[str, Any]:
    """What is kept of each run: what its samples, but for rounding, do not depend on."""
    return {
        "n": n,
        "device": provenance.device,
        "versions": provenance.versions,
        "together": BLOCK,
    }


def extended(meta: dict[str, Any], provenance: Provenance, n: int) -> dict[str, Any]:
    """What asking for n samples changes in the metadata; the device and versions of every run are kept."""
    n = max(n, int(meta["n"]))
    new = run(provenance, n)
    runs = meta["runs"] if meta["runs"][-1] == new else [*meta["runs"], new]
    return {"n": n, "provenance": {**meta["provenance"], "n": n}, "runs": runs}


def with_rows(content: bytes, n: int) -> bytes:
    """The metadata of an array of images, made for n rows."""
    document = json.loads(content)
    document["shape"][0] = n
    return json.dumps(document, indent=2).encode()
