"""One export: what is asked is checked before any work, then written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctinv.atomic import creating, refuse_existing, write_png, write_svg
from ctinv.errors import InputError
from ctinv.export.wanted import Choice, Wanted, choose
from ctinv.progress import Progress
from ctinv.volume import Box, Volume, hash_series

if TYPE_CHECKING:
    from ctinv.io.dicom_write import Source
    from ctinv.report import Study


_EVERYTHING = ("samples", "images", "maps")
TAKES: Mapping[str, tuple[str, ...]] = {
    "dicom": ("samples", "images"),
    "parametric-map": ("maps",),
    "nifti": _EVERYTHING,
    "ome-zarr": _EVERYTHING,
    "png": (),
    "svg": (),
}
"""Which of samples, images and maps each format holds; a picture shows its own choice."""
FORMATS = tuple(TAKES)
"""Names of the formats."""


@dataclass(frozen=True)
class Exported:
    """What an export left.

    Attributes:
        files: Names below the target, or that of the one file.
        left_out: What the study could not give, with the reason.
        bytes: Size of all files.
    """

    files: tuple[str, ...]
    left_out: dict[str, str]
    bytes: int


def export_study(
    study: Study,
    target: str | Path,
    *,
    to: str,
    wanted: Wanted | None = None,
    template: str | Path | None = None,
    take_over_identity: bool = False,
    scan: Volume | None = None,
    seed_text: str | None = None,
    progress: Progress = lambda text, fraction: None,
) -> Exported:
    """Write a study, or chosen parts of it, for other programs.

    Args:
        study: Samples or an opened store; neither a network nor torch is needed.
        target: What comes into being: a folder for ``dicom``, ``parametric-map`` and ``nifti``, a folder named
            ``.ome.zarr`` for ``ome-zarr``, a file for ``png`` and ``svg``.
        to: One of `FORMATS`.
        wanted: Which samples, images and maps; all that the study holds and the format takes by default.
        template: A DICOM file of the scan that the study was drawn from.
        take_over_identity: True says in words what giving a template means: patient, study and frame of reference of
            that file are written into every DICOM file, which is then as identifying as its source, and the source
            images are named. Without both, DICOM files carry no identity.
        scan: The whole scan, for the panel of a picture that shows where in its slice the region lies.
        seed_text: Makes all UIDs a function of this text, for files that come out equal each time.
        progress: Told what is being written and the share that is done, NaN where it is not known; may raise to stop.

    Raises:
        InputError: The format is unknown, the target is taken, or the choice does not fit the study.
        SeriesError: The template is no DICOM file, or the scan is no CT and the format is DICOM.
        ResourceError: The disk refuses; nothing is left.
    """
    target = Path(target)
    if to not in TAKES:
        raise InputError(f"there is no format {to!r}; choose one of {', '.join(FORMATS)}.")
    _check_target(target, to)
    wanted = wanted or Wanted()
    if to in ("png", "svg"):
        progress("drawing the figure", float("nan"))
        _picture(study, target, to, wanted, scan)
        return Exported((target.name,), {}, target.stat().st_size)
    source = _identity(study, to, template, take_over_identity)
    choice = choose(study, wanted, TAKES[to])
    if to == "ome-zarr":
        from ctinv.export import arrays

        arrays.write_zarr(study, choice, target, progress=progress)
    else:
        with creating(target) as folder:
            _fill(study, choice, folder, to, source, seed_text, progress)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    names = tuple(path.relative_to(target).as_posix() for path in files)
    return Exported(names, choice.left_out, sum(path.stat().st_size for path in files))


def _fill(
    study: Study,
    choice: Choice,
    folder: Path,
    to: str,
    source: Source | None,
    seed_text: str | None,
    progress: Progress,
) -> None:
    from ctinv.export import (
        arrays,
        dicom,
    )  # they load pydicom and nibabel, and a form that only asks needs neither

    if to == "nifti":
        arrays.write_niftis(study, choice, folder, progress=progress)
        return
    write = dicom.write_images if to == "dicom" else dicom.write_maps
    write(study, choice, folder, template=source, seed_text=seed_text, progress=progress)


def _check_target(target: Path, to: str) -> None:
    endings = {"ome-zarr": ".zarr", "png": ".png", "svg": ".svg"}
    ending = endings.get(to)
    if ending is not None and target.suffix.lower() != ending:
        raise InputError(
            f"expected a name that ends in {ending} for {to}, got {target.name}; choose another."
        )
    if ending is None and target.suffix:
        raise InputError(
            f"{to} is written as a folder, got the file name {target.name}; leave its ending out."
        )
    refuse_existing(target)


def _identity(study: Study, to: str, template: str | Path | None, take_over_identity: bool) -> Source | None:
    """The scan whose identity is taken over, if both the file and the wish are there."""
    if template is None and not take_over_identity:
        return None
    if to not in ("dicom", "parametric-map"):
        raise InputError(f"{to} carries no identity of a patient; leave the template out.")
    if template is None or not take_over_identity:
        raise InputError(
            "a patient's identity is written only if both are given, a DICOM file of the scan to take it from and the wish "
            "in words; give both or neither."
        )
    from ctinv.export import dicom
    from ctinv.io._quiet import quiet

    with quiet():
        return dicom.check_template(study, Path(template))


def _picture(study: Study, target: Path, to: str, wanted: Wanted, scan: Volume | None) -> None:
    if wanted != Wanted():
        raise InputError("the figure shows the first samples and all maps; leave the choice of them out.")
    if not study.certificates:
        raise InputError("the study has no finished sample yet, so there is nothing to draw; sample first.")
    if scan is not None and hash_series(scan.uid) != study.provenance.series:
        raise InputError(
            "the scan for the figure is not the one that this study was drawn from; give that scan."
        )
    from ctinv.picture import draw  # matplotlib takes half a second to load
    from ctinv.report import describe

    plane = None if scan is None else scan.hu[Box.parse(study.provenance.box).z]
    figure = draw(study, describe(study), scan_slice=plane)
    (write_png if to == "png" else write_svg)(target, figure)
