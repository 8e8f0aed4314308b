"""NRRD and MetaImage through ITK, other orders of the axes, and orthogonal grids for tilted or oblique scans.

ITK takes some seconds to load; it is loaded on first use only. It is never used for DICOM.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError, SeriesError
from ctinv.io import check_budget, check_hu, voxel_uid
from ctinv.io._files import bare
from ctinv.io._quiet import quiet
from ctinv.volume import Volume

MAX_RATIO = 1100
AIR = -1024.0


def _itk(*parts: str) -> Any:
    """ITK with these parts loaded; its wrappers warn while they load, which must not become "
    "errors."""
    with quiet():
        import itk

        for part in parts:
            getattr(itk, part)
    return itk


def read_itk(
    path: str | Path, *, memory_budget: int | None = None, modality: str = "CT", unit: str = ""
) -> Volume:
    """Read a 3-D ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file in HU, or in the unit of another modality.

    Args:
        path: The file; one with detached data must have them beside it.
        memory_budget: Bytes the volume may take, with its working copy; 60 % of the free memory by default.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; the file itself does not say.
        unit: Unit of the values, that of the modality by default.

    Returns:
        hu (Z, Y, X) float32 and the affine in LPS, both in the file's own order of voxels.

    Raises:
        SeriesError: The file is damaged, not one 3-D scalar image, without spacing, or holds no finite HU.
    """
    path = Path(path)
    size = _check_header(path)
    itk = _itk("ImageFileReader", "NrrdImageIO", "MetaImageIO")
    with quiet():
        try:
            io = (itk.NrrdImageIO if path.suffix.lower() in (".nrrd", ".nhdr") else itk.MetaImageIO).New()
            io.SetFileName(str(path))
            io.ReadImageInformation()
            shape = [int(io.GetDimensions(axis)) for axis in range(io.GetNumberOfDimensions())]
            components, bytes_each = int(io.GetNumberOfComponents()), int(io.GetComponentSize())
        except Exception:
            raise SeriesError(
                f"the header of {bare(path)} cannot be read; it is damaged or of another format."
            ) from None
        if len(shape) != 3 or components != 1:
            raise SeriesError(
                f"{bare(path)} has the shape {tuple(shape)} with {components} values per voxel; one 3-D "
                "image of one value is needed."
            )
        need = int(np.prod(shape, dtype=object)) * bytes_each
        if need > size * MAX_RATIO:
            raise SeriesError(
                f"{bare(path)} claims {need / 2**20:.0f} MB of voxels in {size / 2**20:.2f} MB; it is "
                "damaged."
            )
        check_budget(need // bytes_each, memory_budget)
        try:
            reader = itk.ImageFileReader[itk.Image[itk.F, 3]].New(FileName=str(path), ImageIO=io)
            reader.Update()
            image = reader.GetOutput()
            hu = np.array(itk.array_view_from_image(image), dtype=np.float32, order="C")
            affine = _affine_of(itk, image)
        except Exception:
            raise SeriesError(
                f"the voxels of {bare(path)} are truncated or damaged; copy the file again."
            ) from None
    check_hu(hu, bare(path), modality)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-12:
        raise SeriesError(
            f"the spacing or orientation of {bare(path)} is zero or not finite; correct its header."
        )
    return Volume(hu=hu, affine=affine, uid=voxel_uid(hu, affine), modality=modality, unit=unit)


def _check_header(path: Path) -> int:
    """Look at the text header: spacing must be stated, detached data must lie beside it; returns the "
    "bytes on disk."""
    try:
        with path.open("rb") as stream:
            text = stream.read(65536).decode("latin-1")
    except OSError as error:
        raise SeriesError(
            f"{bare(path)} cannot be read ({error.strerror or 'input/output error'})."
        ) from None
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    if nrrd:
        text = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
        spacing, data = r"^(spacings|space directions)\s*:", r"^data ?file\s*:\s*(.+?)\s*$"
    else:
        text = re.split(r"(?m)^ElementDataFile\s*=\s*LOCAL", text, maxsplit=1)[0]
        spacing, data = r"^(ElementSpacing|ElementSize)\s*=", r"^ElementDataFile\s*=\s*(.+?)\s*$"
    flags = re.MULTILINE | re.IGNORECASE
    if not re.search(spacing, text, flags):
        raise SeriesError(
            f"{bare(path)} states no spacing, so its size in mm is unknown; it is damaged or of another "
            "format."
        )
    size = path.stat().st_size
    if found := re.search(data, text, flags):
        name = found.group(1)
        beside = path.parent / name
        if Path(name).name != name or not beside.is_file():
            raise SeriesError(
                f"the voxels of {bare(path)} must lie in one file beside it; that file is missing or "
                "elsewhere."
            )
        size += beside.stat().st_size
    return size


def _affine_of(itk: Any, image: Any) -> NDArray[np.float64]:
    direction = np.asarray(itk.array_from_matrix(image.GetDirection()), dtype=np.float64)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = np.array(image.GetOrigin())
    return affine


def reorient(volume: Volume) -> Volume:
    """Permute and flip the axes so that z, y, x run as near as possible to superior, posterior, left.

    No voxel value changes and every voxel stays at its place; nothing is interpolated.
    """
    unit = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    wanted = (2, 1, 0)  # rows of the affine: z to S, y to P, x to L
    order = max(
        permutations(range(3)), key=lambda p: sum(abs(unit[w, a]) for w, a in zip(wanted, p, strict=True))
    )
    flips = [bool(unit[w, a] < 0) for w, a in zip(wanted, order, strict=True)]
    if order == (0, 1, 2) and not any(flips):
        return volume
    hu = volume.hu.transpose(order)
    affine = volume.affine.copy()
    affine[:, :3] = volume.affine[:, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1
            hu = np.flip(hu, axis)
    return replace(
        volume,
        hu=np.ascontiguousarray(hu),
        affine=affine,
        offset=(0, 0, 0),
        notes=(*volume.notes, "axes were reordered towards superior, posterior, left"),
    )


def resample(
    volume: Volume,
    *,
    spacing: tuple[float, float, float] | None = None,
    aligned: bool = False,
    fill: float | None = None,
) -> Volume:
    """Interpolate a tilted or oblique volume onto an orthogonal grid that holds all of it.

    Linear interpolation smooths noise, so what is measured on the result is not what the scanner measured;
    the notes of the result say so.

    Args:
        volume: Any volume.
        spacing: New distances along z, y, x in mm; those of the volume (z along the slice normal) by default.
        aligned: Align the grid with the patient's axes; by default rows and columns keep their directions and
            only the shear of a tilted gantry goes, which interpolates within slices alone.
        fill: Value where the old grid has nothing, by default air (-1024 HU) for a CT and 0 for others.

    Returns:
        The volume on the new grid.

    Raises:
        SeriesError: The new grid does not fit into memory.
    """
    if fill is None:
        fill = AIR if volume.modality == "CT" else 0.0
    axes = _new_axes(volume.affine, aligned)
    if spacing is None:
        spacing = volume.spacing if aligned else _projected(volume.affine, axes)
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"the spacing needs three positive numbers in mm along z, y, x, got {spacing}.")
    corners = np.array([[z, y, x, 1] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.float64)
    corners[:, :3] *= np.array(volume.shape) - 1
    along = (corners @ volume.affine.T)[:, :3] @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    counts = np.ceil((high - low) / np.array(spacing) - 1e-6).astype(int) + 1
    check_budget(int(np.prod(counts, dtype=object)), None)
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = axes @ low
    hu = _interpolate(volume, affine, (int(counts[0]), int(counts[1]), int(counts[2])), fill)
    note = f"resampled to an orthogonal grid by linear interpolation, which smooths noise; {fill:g} {volume.unit} outside"
    return replace(volume, hu=hu, affine=affine, offset=(0, 0, 0), notes=(*volume.notes, note))


def _new_axes(affine: NDArray[np.float64], aligned: bool) -> NDArray[np.float64]:
    """Orthonormal directions of the new z, y, x as columns."""
    if aligned:
        return np.eye(3)[:, ::-1].copy()
    row = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    column = affine[:3, 1] - (affine[:3, 1] @ row) * row
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    if normal @ affine[:3, 0] < 0:
        normal = -normal
    return np.stack([normal, column, row], axis=1)


def _projected(affine: NDArray[np.float64], axes: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = np.abs(np.einsum("ij,ij->j", affine[:3, :3], axes))
    return float(z), float(y), float(x)


def _interpolate(
    volume: Volume, affine: NDArray[np.float64], shape: tuple[int, int, int], fill: float
) -> NDArray[np.float32]:
    itk = _itk("ResampleImageFilter")
    with quiet():
        image = itk.image_from_array(np.ascontiguousarray(volume.hu))
        _place(itk, image, volume.affine)
        kind = type(image)
        resampler = itk.ResampleImageFilter[kind, kind].New(image)
        size, step, origin, direction = _frame(itk, affine, shape)
        resampler.SetSize(size)
        resampler.SetOutputSpacing(step)
        resampler.SetOutputOrigin(origin)
        resampler.SetOutputDirection(direction)
        resampler.SetDefaultPixelValue(fill)
        resampler.Update()
        return np.array(itk.array_view_from_image(resampler.GetOutput()), dtype=np.float32, order="C")


def _frame(
    itk: Any, affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> tuple[Any, list[float], list[float], Any]:
    """Size, spacing, origin and direction in ITK's order (x, y, z); a sheared direction is allowed there."""
    step = np.linalg.norm(affine[:3, :3], axis=0)
    matrix = itk.matrix_from_array(np.ascontiguousarray((affine[:3, :3] / step)[:, ::-1]))
    return (
        [shape[2], shape[1], shape[0]],
        [float(s) for s in step[::-1]],
        [float(v) for v in affine[:3, 3]],
        matrix,
    )


def _place(itk: Any, image: Any, affine: NDArray[np.float64]) -> None:
    _, step, origin, direction = _frame(itk, affine, (1, 1, 1))
    image.SetSpacing(step)
    image.SetOrigin(origin)
    image.SetDirection(direction)
