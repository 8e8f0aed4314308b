"""The setting of a study as JSON and arrays, and back."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import StoreError
from ctinv.sampler.batch import NoiseModel, Setting
from ctinv.sampler.guard import SCAN
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
        "acquisition": _facts(volume.acquisition),
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
    z, y, x = (int(index) for index in data["offset"])
    volume = Volume(
        hu=_read(planes, "x"),
        affine=np.array(data["affine"], dtype=np.float64),
        uid=f"sha256:{planes.meta['provenance']['series']}",
        offset=(z, y, x),
        acquisition=_acquisition(data["acquisition"]),
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
    """A plane, float32; one that is missing altogether would read as NaN."""
    values = planes.read(name).astype(np.float32, copy=False)
    if name in SCAN and name not in planes.blank and not np.isfinite(values).all():
        raise StoreError(
            f"{name} of {planes.folder.name} is lost or NaN; `ctinv repair {planes.folder.name}` says what can be done."
        )
    return values


def _facts(acquisition: Acquisition) -> dict[str, Any]:
    """All but the names of windows, which are for the screen only."""
    return {name: value for name, value in asdict(acquisition).items() if name != "window_names"}


def _acquisition(data: dict[str, Any]) -> Acquisition:
    """Raises TypeError or ValueError where a value is of another kind."""
    window = tuple((float(c), float(w)) for c, w in data["window"])
    others = {name: value for name, value in data.items() if name != "window" and value is not None}
    if not all(
        isinstance(value, str if name == "kernel" else (int, float)) for name, value in others.items()
    ):
        raise TypeError("an acquisition of another kind")
    return Acquisition(**others, window=window)


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
