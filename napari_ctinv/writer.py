"""Writers: an image layer as a derived DICOM series, a map as a Parametric Map, and layers as NIfTI or OME-Zarr.

None of them writes a patient's identity. `napari_ctinv.session.export` exports a whole study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ctinv.errors import InputError
from ctinv.volume import Volume, uid_of
from napari_ctinv.layers import layer_info
from napari_ctinv.placement import affine_of
from napari_ctinv.selection import volume_of

if TYPE_CHECKING:
    from ctinv.io.ome_zarr import Image
    from napari_ctinv.layers import LayerTuple


def write_dicom(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer in HU as a derived CT series with fresh identifiers into a folder.

    Raises:
        InputError: The layer is a map or a stack of samples.
    """
    from ctinv.io.dicom_write import write_series

    info = _info(meta)
    if info.get("unit", "HU") != "HU":
        raise InputError("an image that is in no HU cannot be a CT series; save it as NIfTI.")
    if info.get("kind") == "map":
        raise InputError("a map is no CT series; save it as a Parametric Map, with a name that ends in .dcm.")
    facts = _facts(info)
    folder = write_series(
        _volume(data, meta),
        Path(path),
        description=f"{facts['kind']} by napari-ctinv, research use only",
        derived=facts,
        slope=1 / 8,
    )
    return [str(folder)]


def write_parametric_map(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a map as one DICOM Parametric Map object; its numbers are kept to the last bit.

    Raises:
        InputError: The layer is no map of this package, or its unit has no code.
    """
    from ctinv.io.parametric_map import Grid
    from ctinv.io.parametric_map import write_parametric_map as write
    from ctinv.io.units import quantity_of

    info = _info(meta)
    if info.get("kind") != "map":
        raise InputError(
            "only maps of this plugin are Parametric Maps; save an image as a DICOM series or NIfTI."
        )
    volume, title = _volume(data, meta, finite=False), str(meta.get("name", "map"))
    written = write(
        Grid(volume.hu, volume.affine, str(info.get("unit", "1")), volume.uid),
        Path(path),
        quantity=quantity_of(title),
        description="map by napari-ctinv, research use only",
        derived=_facts(info),
    )
    return [str(written)]


def write_nifti(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer or a map as NIfTI.

    Raises:
        InputError: The layer is a stack of samples.
    """
    from ctinv.io.nifti import write_nifti as write

    write(_volume(data, meta, finite=False), Path(path))
    return [path]


def write_ome_zarr(path: str, layers: list[LayerTuple]) -> list[str]:
    """Write image layers, stacks of samples included, as the images of one OME-Zarr folder.

    Raises:
        InputError: A layer is in colours, or its axes are not those of the patient.
    """
    from ctinv.io.ome_zarr import write_ome_zarr as write

    images = [_image(number, data, meta) for number, (data, meta, *_) in enumerate(layers)]
    return [str(write(Path(path), images))]


def _volume(data: Any, meta: dict[str, Any], *, finite: bool = True) -> Volume:
    if data.ndim == 4:
        raise InputError(
            "a stack of samples is no single image; save it as OME-Zarr, or export its study in the tab Analyse."
        )
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
    volume = volume_of(layer, finite=finite)
    series = _info(meta).get("provenance", {}).get("series")
    # What comes from one scan shares study and frame of reference, which are made from the hash of its series.
    return volume if series is None else replace(volume, uid=uid_of(series))


def _image(number: int, data: Any, meta: dict[str, Any]) -> Image:
    """One layer; parts of a stack are read from disk one after the other."""
    from ctinv.io.ome_zarr import Image

    info, title = _info(meta), str(meta.get("name", "image"))
    name = f"layer{number}_{info.get('kind', 'image')}"
    unit = str(info.get("unit", "HU"))
    if data.ndim != 4:
        volume = _volume(data, meta, finite=False)
        return Image(name, title, volume.shape, volume.hu, volume.affine, unit, _facts(info))
    _volume(data[0], _of_one(meta), finite=False)  # refuses what lies askew
    affine = affine_of(tuple(meta["scale"])[-3:], tuple(meta["translate"])[-3:])
    parts = (np.asarray(part, dtype=np.float32) for part in data)
    return Image(name, title, tuple(data.shape), parts, affine, unit, _facts(info))


def _of_one(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one image of a stack."""
    one = {**meta, **{name: meta[name][-3:] for name in ("scale", "translate") if name in meta}}
    if "rotate" in one:
        one["rotate"] = np.asarray(one["rotate"])[-3:, -3:]
    return one


def _info(meta: Mapping[str, Any]) -> dict[str, Any]:
    return layer_info(meta.get("metadata", {}))


def _facts(info: Mapping[str, Any]) -> dict[str, object]:
    """How the layer was made, as far as it knows."""
    facts: dict[str, object] = {"kind": str(info.get("kind", "ct"))}
    if "denoiser" in info:
        facts["denoiser"] = str(info["denoiser"])
    if "key" in info:
        facts["study"] = str(info["key"])
    return facts
