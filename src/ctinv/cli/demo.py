"""``ctinv demo``: the whole way on the shipped CT."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import AsJson
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting

# Liver with vessels, 64 x 64 voxels of 0.7 mm.
BOX = "8,160:224,136:200"
SAMPLES = 250


@command("demo")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the study and the overview.")] = Path(
        "out/demo"
    ),
    n: Annotated[int, typer.Option("--n", help="Number of samples.")] = SAMPLES,
    view: Annotated[
        bool, typer.Option("--view/--no-view", help="Open napari where there is a screen.")
    ] = True,
    as_json: AsJson = False,
) -> Outcome:
    """Sample 250 certified invariances of CNN-10 on the shipped low-dose CT, and draw them."""
    from ctinv.cli.study import check_n, fill
    from ctinv.cli.view import can_view, open_napari
    from ctinv.denoiser import load_denoiser
    from ctinv.io import read
    from ctinv.report import STAMP, overview
    from ctinv.resources import ct_folder
    from ctinv.sampler import InvarianceSampler
    from ctinv.volume import Box

    check_n(n)
    started = time.monotonic()
    box = Box.parse(BOX)
    out.mkdir(parents=True, exist_ok=True)
    with reporting() as progress:
        progress("reading the shipped low-dose CT", math.nan)
        volume = read(ct_folder() / "quarter_dose")
        sampler = InvarianceSampler(load_denoiser("cnn10"), tier="T2")
        store = fill(out / "study.zarr", sampler, volume, box, n=n, seed=0, progress=progress)
        progress("drawing the overview", math.nan)
        overview(store, out / "overview.png", scan_slice=volume.hu[box.z])
    seconds = time.monotonic() - started
    files = {"study": "study.zarr", "overview": "overview.png", "overview_json": "overview.json"}
    data = {**store.summary(), "folder": str(out), "files": files, "wall_seconds": seconds}

    def show(console: Any) -> None:
        from ctinv.cli.tables import show_study

        show_study(console, data, store.certificates)
        console.print(f"picture: {out / 'overview.png'}; all took {seconds:.0f} s")
        console.print(f"check them again: ctinv certify {out / 'study.zarr'}")
        console.print(STAMP)

    layers = [ct_folder() / "quarter_dose", out / "study.zarr"]
    return Outcome(data, show, afterwards=(lambda: open_napari(layers)) if view and can_view() else None)
