"""Writers: an image layer as a derived DICOM series or as NIfTI."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ctinv.errors import InputError
from ctinv.volume import Volume
from napari_ctinv.layers import layer_info
from napari_ctinv.selection import volume_of


def write_dicom(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer in HU as a derived CT series with fresh identifiers into a folder.

    Raises:
        InputError: The layer is a map or a stack of samples.
    """
    from ctinv.io.dicom_write import write_series

    if layer_info(meta.get("metadata", {})).get("unit", "HU") != "HU":
        raise InputError("an image that is in no HU cannot be a CT series; save it as NIfTI.")
    info = layer_info(meta.get("metadata", {}))
    facts: dict[str, object] = {"kind": str(info.get("kind", "ct"))}
    if "denoiser" in info:
        facts["denoiser"] = str(info["denoiser"])
    folder = write_series(
        _volume(data, meta),
        Path(path),
        description=f"{facts['kind']} by napari-ctinv, research use only",
        derived=facts,
        slope=1 / 8,
    )
    return [str(folder)]


def write_nifti(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer or a map as NIfTI.

    Raises:
        InputError: The layer is a stack of samples.
    """
    from ctinv.io.nifti import write_nifti as write

    write(_volume(data, meta, finite=False), Path(path))
    return [path]


def _volume(data: Any, meta: dict[str, Any], *, finite: bool = True) -> Volume:
    if data.ndim == 4:
        raise InputError("a stack of samples is a study already; copy the study's folder instead.")
    ndim = data.ndim
    layer = SimpleNamespace(
        data=np.asarray(data),
        metadata=meta.get("metadata", {}),
        rgb=meta.get("rgb", False),
        scale=meta.get("scale", np.ones(ndim)),
        translate=meta.get("translate", np.zeros(ndim)),
        rotate=meta.get("rotate", np.eye(ndim)),
        shear=meta.get("shear", np.zeros(1)),
    )
    return volume_of(layer, finite=finite)
