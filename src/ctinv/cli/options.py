"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on standard output.")]
Scan = Annotated[
    Path,
    typer.Argument(
        metavar="CT", help="DICOM folder, NIfTI file, NRRD or MetaImage file, or .npy in HU (Z, Y, X)."
    ),
]
Study = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="Study folder that `ctinv sample` wrote, for example study.zarr."),
]
Uid = Annotated[
    str | None, typer.Option("--uid", help="SeriesInstanceUID to read, where a folder holds several.")
]
DenoiserName = Annotated[
    str,
    typer.Option("--denoiser", help="Shipped denoiser, cnn10 or wganvgg, or the folder of a MONAI bundle."),
]
Tap = Annotated[
    str,
    typer.Option("--tap", help="Layer whose representation must stay; output is the denoised image itself."),
]
Region = Annotated[
    str, typer.Option("--box", metavar="Z,Y0:Y1,X0:X1", help="Region inside one slice, in voxels, half open.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:0.")]
Photons = Annotated[
    float | None,
    typer.Option(
        "--photons",
        help="Photons per detector element and view without object, where the scan does not tell its dose.",
    ),
]
