"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on standard output.")]
Scan = Annotated[
    Path,
    typer.Argument(
        metavar="CT",
        help="DICOM folder, NIfTI file, NRRD or MetaImage file, or .npy in HU (Z, Y, X); other units with --modality.",
    ),
]
Study = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="Study folder that `ctinv sample` wrote, for example study.zarr."),
]
Uid = Annotated[
    str | None,
    typer.Option(
        "--uid",
        metavar="#N|UID",
        help="Which series of a folder that holds several: its number in `ctinv info FOLDER`, or its SeriesInstanceUID.",
    ),
]
DenoiserName = Annotated[
    str,
    typer.Option(
        "--denoiser",
        metavar="NETWORK",
        help="Name of a shipped denoiser, bundle folder, file .safetensors, .pt, .pth, .ckpt or .onnx, or module:function.",
    ),
]
StudyDenoiser = Annotated[
    str | None,
    typer.Option("--denoiser", metavar="NETWORK", help="The denoiser, where it is not a shipped one."),
]
NetworkClass = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="CLASS",
        help="Class that a file of weights belongs to, where it is not told by its card.",
    ),
]
CardFile = Annotated[
    Path | None,
    typer.Option(
        "--card", help="TOML or JSON file with the network's convention; by default the one beside it."
    ),
]
Trust = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="SHA256",
        help="sha256 of a file or bundle that runs code, for this once; `ctinv info` shows what it would run.",
    ),
]
Tap = Annotated[
    str,
    typer.Option("--tap", help="Layer whose representation must stay; output is the denoised image itself."),
]
Tier = Annotated[str, typer.Option("--tier", help="T0 numeric, T1 DICOM rounding, T2 display, T3 noise.")]
Region = Annotated[
    str, typer.Option("--box", metavar="Z,Y0:Y1,X0:X1", help="Region inside one slice, in voxels, half open.")
]
Modality = Annotated[
    str | None,
    typer.Option(
        "--modality",
        help="CT, MR or PT. DICOM files state theirs; any other file counts as CT in HU unless this says otherwise.",
    ),
]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit", help="Unit of an MR or PET file other than DICOM; a.u. and Bq/ml where it is left out."
    ),
]
NoiseSigma = Annotated[
    float | None,
    typer.Option(
        "--noise-sigma",
        help="Standard deviation of an MR image's noise in its tissue, where it is known better than by measuring.",
    ),
]
Window = Annotated[
    float | None,
    typer.Option(
        "--window",
        help="Width of the display window that tier T2 is defined by, in the scan's unit; for a CT 400 HU, else that of the "
        "header or percentile 1 to 99.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:0.")]
Photons = Annotated[
    float | None,
    typer.Option(
        "--photons",
        help="Photons per detector element and view without object, where the scan does not tell its dose.",
    ),
]
