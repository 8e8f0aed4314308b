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

Chunks of 25 samples x 128 x 128 voxels serve scrolling through planes and probing a pixel alike. Bit
shuffling before zstd saves a sixth of the room at the same speed (25 planes of 512 x 512 of coloured noise);
the checksum makes a flipped bit an error instead of another image.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from ctinv.errors import InputError, StoreError
from ctinv.sampler.batch import NoiseModel, Setting
from ctinv.sampler.provenance import Provenance
from ctinv.statement import USE, statement
from ctinv.volume import Acquisition, Box, Volume

FORMAT = 1
CHUNK_ROWS = 25
CHUNK_SIDE = 128
ATTRIBUTE = "ctinv"
JOURNAL = "journal.jsonl"
MAPS = ("mean", "spread", "worst")
_NOISE = ("noise_sigma", "noise_residual", "noise_spectrum")  # float64: they name the factor in the cache

INT16_LIMIT = 32760  # codes; leaves -32768 free to mean "nothing here"
_MISSING = -32768
# Scans within the 12-bit range leave room for noise in int16 at 1/8 HU; others are kept as float32.
_INT16_SCAN = 3100.0 / 0.125  # quanta
_JOURNAL_LINE = 700


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
    return rows * (region * itemsize + output * 2 + _JOURNAL_LINE) + 4 * fixed + 65536


def write_new(folder: Path, provenance: Provenance, setting: Setting, *, n: int) -> None:
    """Lay out an empty study in an existing, empty folder."""
    region, output = setting.region, setting.output_box.shape
    meta = {
        "format": FORMAT,
        "use": f"{statement()}. {USE}",
        "key": provenance.key(),
        "n": n,
        "provenance": provenance.with_n(n).to_json(),
        "runs": [_run(provenance, n)],
        "setting": _setting_json(setting),
        "seconds": {},
        "maps": None,
    }
    group = zarr.create_group(str(folder), zarr_format=3, attributes={ATTRIBUTE: meta})
    dtype, scale = layout(setting)
    missing = _MISSING if dtype.kind == "i" else math.nan
    _images(
        group,
        "x_tilde",
        (n, 1, *region),
        dtype,
        missing,
        {"scale": scale, "quantum": setting.quantum, "unit": setting.volume.unit},
    )
    errors = {"scale": 1.0, "unit": setting.volume.unit}
    _images(group, "feedback_error", (n, 1, *output), np.dtype("<f2"), math.nan, errors)
    fixed = {
        "x": setting.volume.hu,
        "context": setting.context,
        "fx": setting.fx,
        "fx_output": setting.fx_output,
    }
    for name, values in {**fixed, "theory_spread": setting.theory_spread, "eta": setting.eta}.items():
        if values is not None:
            _plane(group, name, values.shape, unit="1" if name == "eta" else setting.volume.unit)[...] = (
                values
            )
    if setting.noise is not None:
        for name in _NOISE:
            values = getattr(setting.noise, name.removeprefix("noise_"))
            unit = "1" if name == "noise_spectrum" else setting.volume.unit
            _plane(group, name, values.shape, unit=unit, dtype="<f8")[...] = values
    for name, shape in zip(MAPS, (region, region, output), strict=True):
        _plane(group, name, shape, unit=setting.volume.unit)
    (folder / JOURNAL).touch()


def _images(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    fill: float,
    attributes: dict[str, Any],
) -> None:
    group.create_array(
        name,
        shape=shape,
        chunks=(CHUNK_ROWS, 1, min(CHUNK_SIDE, shape[2]), min(CHUNK_SIDE, shape[3])),
        dtype=dtype,
        fill_value=fill,
        compressors=_codecs(),
        attributes=attributes,
        dimension_names=("sample", "z", "y", "x"),
    )


def _plane(
    group: zarr.Group, name: str, shape: tuple[int, ...], *, unit: str, dtype: str = "<f4"
) -> zarr.Array[Any]:
    return group.create_array(
        name,
        shape=shape,
        chunks=shape,
        dtype=dtype,
        fill_value=math.nan,
        compressors=_codecs(),
        attributes={"unit": unit},
    )


def _codecs() -> tuple[BloscCodec, Crc32cCodec]:
    return BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"), Crc32cCodec()


def _run(provenance: Provenance, n: int) -> dict[str, Any]:
    return {"n": n, "device": provenance.device, "versions": provenance.versions}


def extended(meta: dict[str, Any], provenance: Provenance, n: int) -> dict[str, Any]:
    """The metadata after asking for n samples; the device and versions of every run are kept."""
    n = max(n, int(meta["n"]))
    run = _run(provenance, n)
    runs = meta["runs"] if meta["runs"][-1] == run else [*meta["runs"], run]
    return {**meta, "n": n, "provenance": {**meta["provenance"], "n": n}, "runs": runs}


def open_group(folder: Path, *, write: bool) -> tuple[zarr.Group, dict[str, Any]]:
    """The study's group and metadata.

    Raises:
        StoreError: There is no study, or one that this version cannot read.
    """
    if not folder.exists():
        raise StoreError(f"there is no study {folder.name}; expected a folder written by ctinv sample.")
    try:
        attributes = json.loads((folder / "zarr.json").read_bytes())["attributes"]
        meta = attributes[ATTRIBUTE]
        found = int(meta["format"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            f"{folder.name} exists but is not a study; choose another name for the study."
        ) from None
    if found != FORMAT:
        raise StoreError(
            f"{folder.name} has study format {found}, this ctinv reads {FORMAT}; use a fitting version."
        )
    try:
        intact = (
            Provenance.from_json(meta["provenance"]).key() == meta["key"] and (folder / JOURNAL).is_file()
        )
    except (InputError, KeyError, TypeError):
        intact = False
    if not intact:
        raise StoreError(
            f"the metadata of {folder.name} were changed or lost: its key no longer fits; draw it anew."
        )
    return zarr.open_group(str(folder), mode="r+" if write else "r"), dict(meta)


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """One array of the study.

    Raises:
        StoreError: It is not there, or its metadata are damaged.
    """
    try:
        return cast("zarr.Array[Any]", group[name])
    except (KeyError, ValueError, TypeError, OSError, zarr.errors.BaseZarrError) as error:
        raise StoreError(f"{name} of this study is damaged or lost; sample into another folder.") from error


def read_plane(group: zarr.Group, name: str) -> NDArray[np.float32]:
    """A small array in full, float32.

    Raises:
        StoreError: Its bytes are damaged.
    """
    return _read(group, name).astype(np.float32, copy=False)


def _read(group: zarr.Group, name: str) -> NDArray[Any]:
    try:
        return np.asarray(array(group, name)[...])
    except (RuntimeError, ValueError, OSError) as error:
        raise StoreError(f"{name} of this study is damaged; sample into another folder.") from error


def _setting_json(setting: Setting) -> dict[str, Any]:
    volume = setting.volume
    return {
        "quantum": setting.quantum,
        "scalars": {name: _number(value) for name, value in setting.scalars.items()},
        "output_box": str(setting.output_box),
        "context_box": str(setting.context_box),
        "offset": list(volume.offset),
        "affine": volume.affine.tolist(),
        "acquisition": asdict(volume.acquisition),
        "modality": volume.modality,
        "unit": volume.unit,
        "eta": setting.eta is not None,
        "noise": None
        if setting.noise is None
        else {"area": str(setting.noise.area), "white": setting.noise.white},
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None  # JSON has no NaN


def read_setting(group: zarr.Group, meta: dict[str, Any]) -> Setting:
    """The setting as it was stored, with three differences.

    The volume's uid is the hash of the series; its notes are not kept, as they may name files; the quantum is
    0 if the samples had to be stored as float32.
    """
    data = meta["setting"]
    window = tuple((float(c), float(w)) for c, w in data["acquisition"]["window"])
    volume = Volume(
        hu=read_plane(group, "x"),
        affine=np.array(data["affine"], dtype=np.float64),
        uid=f"sha256:{meta['provenance']['series']}",
        offset=cast("tuple[int, int, int]", tuple(data["offset"])),
        acquisition=Acquisition(**{**data["acquisition"], "window": window}),
        modality=data.get("modality", "CT"),  # studies from before other modalities say neither
        unit=data.get("unit", "HU"),
    )
    return Setting(
        volume=volume,
        fx=read_plane(group, "fx"),
        fx_output=read_plane(group, "fx_output"),
        output_box=Box.parse(data["output_box"]),
        theory_spread=read_plane(group, "theory_spread"),
        eta=read_plane(group, "eta") if data["eta"] else None,
        scalars={
            name: math.nan if value is None else float(value) for name, value in data["scalars"].items()
        },
        quantum=float(data["quantum"]) if array(group, "x_tilde").dtype.kind == "i" else 0.0,
        context=_with_slices(read_plane(group, "context")),
        context_box=Box.parse(data["context_box"]),
        noise=_read_noise(group, data.get("noise")),
    )


def _read_noise(group: zarr.Group, data: dict[str, Any] | None) -> NoiseModel | None:
    if data is None:
        return None
    sigma, residual, spectrum = (_read(group, name) for name in _NOISE)
    return NoiseModel(Box.parse(data["area"]), sigma, spectrum, float(data["white"]), residual)


def _with_slices(context: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, H'', W''); studies from before 2.5-D networks hold a plane."""
    return context if context.ndim == 3 else context[None]


def same_scan(setting: Setting, meta: dict[str, Any]) -> bool:
    """Whether a setting has the geometry of the stored one, as equal keys should imply."""
    stored = meta["setting"]
    boxes = (stored["output_box"], stored["context_box"]) == (
        str(setting.output_box),
        str(setting.context_box),
    )
    return boxes and float(stored["quantum"]) == setting.quantum
