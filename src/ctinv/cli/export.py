"""``ctinv export``: a study, or parts of it, as DICOM, parametric maps, NIfTI, OME-Zarr or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import AsJson, Study, Uid
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting

if TYPE_CHECKING:
    from ctinv.sampler import Store
    from ctinv.volume import Volume

_NONE, _ALL = "none", "all"


@command("export")
def export(
    study: Study,
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help="dicom, parametric-map, nifti, ome-zarr, png or svg."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="What comes into being: a folder, one named .ome.zarr, or a .png or .svg file."
        ),
    ],
    samples: Annotated[
        str, typer.Option("--samples", metavar="K,K", help="Rows such as 0,3,5, or all, or none.")
    ] = _ALL,
    images: Annotated[
        str, typer.Option("--images", metavar="A,B", help="scan, denoised, mean; or all, or none.")
    ] = _ALL,
    maps: Annotated[
        str, typer.Option("--maps", metavar="A,B", help="spread, worst, eta; or all, or none.")
    ] = _ALL,
    template: Annotated[
        Path | None,
        typer.Option(
            "--template", help="A DICOM file of the study's scan, only together with --take-over-identity."
        ),
    ] = None,
    take_over_identity: Annotated[
        bool,
        typer.Option(
            "--take-over-identity",
            help="Write the patient, study and frame of reference of the --template into every DICOM file. Without it "
            "nobody's identity is written.",
        ),
    ] = False,
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan", help="The study's scan, to show in a png or svg where in its slice the region lies."
        ),
    ] = None,
    uid: Uid = None,
    as_json: AsJson = False,
) -> Outcome:
    """Export a study for other programs: whole or not at all, over nothing that exists, without identity."""
    from ctinv.export import Wanted, export_study, parse_rows
    from ctinv.sampler import Store

    wanted = Wanted(parse_rows(samples), _names(images), _names(maps))
    store = Store.open(study)
    with reporting() as progress:
        made = export_study(
            store,
            out,
            to=to,
            wanted=wanted,
            template=template,
            take_over_identity=take_over_identity,
            scan=_scan(scan, uid, store),
            progress=progress,
        )
    data = {
        "out": out.name,
        "format": to,
        "files": list(made.files),
        "bytes": made.bytes,
        "left_out": made.left_out,
        "identity": take_over_identity,
        "key": store.provenance.key(),
    }

    def show(console: Any) -> None:
        console.print(
            f"{out.name}: {len(made.files)} files, {made.bytes / 1e6:.3g} MB, "
            f"{'with the identity of the template' if take_over_identity else 'without identity'}",
            markup=False,
        )
        for name, why in made.left_out.items():
            console.print(f"left out: {name}, {why}", markup=False)

    return Outcome(data, show)


def _scan(path: Path | None, uid: str | None, store: Store) -> Volume | None:
    """The scan, in the study's modality and unit."""
    if path is None:
        return None
    from ctinv.io import read

    known = store.setting.volume
    return read(path, uid=uid, modality=known.modality, unit=known.unit)


def _names(text: str) -> tuple[str, ...] | None:
    """Words between commas; None for all."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if words == (_ALL,):
        return None
    return () if words == (_NONE,) else words
