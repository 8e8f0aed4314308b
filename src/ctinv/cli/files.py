"""Where a command writes: a volume in the format of its name, which overwrites nothing, and pages of figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.errors import InputError

if TYPE_CHECKING:
    from ctinv.volume import Volume

_FINE_STEP_HU = 0.125
_FINE_RANGE_HU = 4095.0


def is_study(path: Path) -> bool:
    """Whether a path is a study, whose name the user chose, rather than a scan."""
    return (path / "zarr.json").is_file()


def check_target(out: Path) -> None:
    """Raise InputError where writing would overwrite something or has no folder; asked before any work."""
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out.name} exists already; choose another name or delete it first.")
    if not out.absolute().parent.is_dir():
        raise InputError(
            f"there is no folder {out.absolute().parent.name} to write {out.name} into; make it first."
        )
    if out.suffix and not _is_nifti(out) and out.suffix != ".npy":
        raise InputError(
            f"cannot write {out.name}: use .nii, .nii.gz, .npy, or a name without ending for DICOM."
        )


def check_kind(out: Path, volume: Volume) -> None:
    """Raise InputError where the format cannot hold the volume's modality; asked before the long work."""
    if volume.modality != "CT" and not (_is_nifti(out) or out.suffix == ".npy"):
        raise InputError(
            f"a derived DICOM series is written for CT only, this scan is {volume.modality}; end the name in .nii.gz."
        )


def write_volume(
    volume: Volume, out: Path, *, description: str, template: Path | None, derived: dict[str, Any]
) -> None:
    """Write NIfTI, .npy, or a derived DICOM series, by the name of `out`."""
    if _is_nifti(out):
        from ctinv.io.nifti import write_nifti

        write_nifti(volume, out)
    elif out.suffix == ".npy":
        _write_npy(volume, out)
    else:
        from ctinv.io.dicom_write import write_series

        fits = float(abs(volume.hu).max()) <= _FINE_RANGE_HU
        slope = _FINE_STEP_HU if fits else 1.0
        write_series(volume, out, description=description, template=template, derived=derived, slope=slope)


def _is_nifti(path: Path) -> bool:
    return path.name.endswith((".nii", ".nii.gz"))


def _write_npy(volume: Volume, out: Path) -> None:
    import numpy as np

    from ctinv.atomic import replacing

    with replacing(out, size=volume.hu.nbytes) as part, part.open("wb") as file:
        np.save(file, volume.hu, allow_pickle=False)


def check_endings(paths: Mapping[str, Path | None]) -> None:
    """Raise InputError before any work where a name would not say what is in the file."""
    for ending, path in paths.items():
        if path is not None and path.suffix.lower() != ending:
            raise InputError(f"expected a name that ends in {ending}, got {path.name}; choose another name.")


def write_json(path: Path, page: Mapping[str, Any]) -> None:
    """A page for people and programs, with what it may be used for."""
    from ctinv.atomic import write_atomic
    from ctinv.jsonable import dumps
    from ctinv.report import STAMP

    write_atomic(path, (dumps({"use": STAMP, **page}, indent=1) + "\n").encode(), parents=True)
