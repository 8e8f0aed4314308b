"""``ctinv compare``: several denoisers on one region of one scan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ctinv.atomic import write_png
from ctinv.cli.app import command
from ctinv.cli.files import check_endings, write_json
from ctinv.cli.network import load_all
from ctinv.cli.options import (
    AsJson,
    Device,
    Modality,
    NoiseSigma,
    Photons,
    Region,
    Scan,
    Tier,
    Uid,
    Unit,
    Window,
)
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting


@command("compare")
def compare(
    scan: Scan,
    box: Region,
    denoisers: Annotated[
        list[str],
        typer.Option(
            "--denoiser",
            metavar="NETWORK",
            help="Name, bundle folder or file, as elsewhere; repeated, at least two. A card lies beside its file.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="JSON file of all figures.")],
    figure: Annotated[Path | None, typer.Option("--figure", help="Also draw them here (PNG).")] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", help="Also write the tables between the marks `comparison BOX` of this page."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Samples of each network.")] = 100,
    tier: Tier = "T2",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the samples, the same for all.")] = 0,
    device: Device = "auto",
    photons: Photons = None,
    noise_sigma: NoiseSigma = None,
    window: Window = None,
    modality: Modality = None,
    unit: Unit = None,
    uid: Uid = None,
    as_json: AsJson = False,
) -> Outcome:
    """Compare what denoisers ignore on one region, and feed the samples of each through all others."""
    from ctinv.comparison.compare import compare as compare_networks
    from ctinv.comparison.table import write_page
    from ctinv.io import read
    from ctinv.volume import Box

    region = Box.parse(box)
    check_endings({".json": out, ".png": figure, ".md": table})
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid, modality=modality, unit=unit)
        found = compare_networks(
            load_all(denoisers),
            volume,
            region,
            tier=tier,
            n=n,
            seed=seed,
            window_hu=window,
            device=device,
            photons=photons,
            noise_sigma=noise_sigma,
            progress=progress,
        )
        progress("writing", math.nan)
        page = found.to_json()
        write_json(out, page)
        if figure is not None:
            from ctinv.comparison_picture import draw
            from ctinv.report import STAMP

            write_png(figure, draw(found, stamp=STAMP))
        if table is not None:
            write_page(table, page)
    return Outcome(page, lambda console: _show(console, page))


def _show(console: Any, page: Mapping[str, Any]) -> None:
    """One row per network, then the matrix in sentences."""
    from rich.table import Table

    from ctinv.cli.tables import number

    unit, tier = page["unit"], page["tier"]
    title = f"box {page['box']}: {page['n']} samples of each network, tier {tier}"
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("network", f"σ_out\n{unit}", "d_eff", "free\n%", f"spread\n{unit}", "passed", "η\nworst"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name, one in page["networks"].items():
        worst = one["lesions"]["worst"]["eta"] if one["lesions"] else None
        figures = [one["sigma_out_hu"], one["d_eff"], 100 * one["free_share"], one["spread_hu"]]
        cells = [number(figure) for figure in figures]
        table.add_row(name, *cells, f"{one['passed']} of {page['n']}", number(worst))
    console.print(table)
    for sentence in page["sentences"]:
        console.print(sentence, markup=False, soft_wrap=True)
