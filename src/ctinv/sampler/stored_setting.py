"""The setting of a study as JSON and arrays, and back."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ctinv.sampler.batch import NoiseModel, Setting
from ctinv.sampler.planes import Planes
from ctinv.volume import Acquisition, Box, Volume

NOISE = ("noise_sigma", "noise_residual", "noise_spectrum")  # float64: they name the factor in the cache


def setting_json(setting: Setting, dtype: np.dtype[Any]) -> dict[str, Any]:
    """What of a setting is no array; with it and the provenance the arrays could be laid out again."""
    volume = setting.volume
    return {
        "quantum": setting.quantum,
        "dtype": dtype.str,
        "scalars": {name: _number(value) for name, value in setting.scalars.items()},
        "region": list(setting.region),
        "output_box": str(setting.output_box),
        "context_box": str(setting.context_box),
        "slices": len(setting.context),
        "offset": list(volume.offset),
        "affine": volume.affine.tolist(),
        "acquisition": asdict(volume.acquisition),
        "modality": volume.modality,
        "unit": volume.unit,
        "eta": setting.eta is not None,
        "noise": None
        if setting.noise is None
        else {
            "area": str(setting.noise.area),
            "white": setting.noise.white,
            "torus": list(setting.noise.spectrum.shape),
        },
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None  # JSON has no NaN


def fixed_planes(setting: Setting) -> dict[str, NDArray[Any]]:
    """The arrays of a setting, which are written once."""
    planes: dict[str, NDArray[Any] | None] = {
        "x": setting.volume.hu,
        "context": setting.context,
        "fx": setting.fx,
        "fx_output": setting.fx_output,
        "theory_spread": setting.theory_spread,
        "eta": setting.eta,
    }
    if setting.noise is not None:
        planes |= {name: getattr(setting.noise, name.removeprefix("noise_")) for name in NOISE}
    return {name: values for name, values in planes.items() if values is not None}


def read_setting(planes: Planes) -> Setting:
    """The setting as it was stored, with three differences.

    The volume's uid is the hash of the series; its notes are not kept, as they may name files; the quantum is
    0 if the samples had to be stored as float32.

    Raises:
        StoreError: A plane is damaged.
    """
    data = planes.meta["setting"]
    window = tuple((float(c), float(w)) for c, w in data["acquisition"]["window"])
    volume = Volume(
        hu=_read(planes, "x"),
        affine=np.array(data["affine"], dtype=np.float64),
        uid=f"sha256:{planes.meta['provenance']['series']}",
        offset=cast("tuple[int, int, int]", tuple(data["offset"])),
        acquisition=Acquisition(**{**data["acquisition"], "window": window}),
        modality=data.get("modality", "CT"),  # studies from before other modalities say neither
        unit=data.get("unit", "HU"),
    )
    return Setting(
        volume=volume,
        fx=_read(planes, "fx"),
        fx_output=_read(planes, "fx_output"),
        output_box=Box.parse(data["output_box"]),
        theory_spread=_read(planes, "theory_spread"),
        eta=_read(planes, "eta") if data["eta"] else None,
        scalars={
            name: math.nan if value is None else float(value) for name, value in data["scalars"].items()
        },
        quantum=float(data["quantum"]) if planes.array("x_tilde").dtype.kind == "i" else 0.0,
        context=_with_slices(_read(planes, "context")),
        context_box=Box.parse(data["context_box"]),
        noise=_read_noise(planes, data.get("noise")),
    )


def _read(planes: Planes, name: str) -> NDArray[np.float32]:
    return planes.read(name).astype(np.float32, copy=False)


def _read_noise(planes: Planes, data: dict[str, Any] | None) -> NoiseModel | None:
    if data is None:
        return None
    sigma, residual, spectrum = (planes.read(name) for name in NOISE)
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
