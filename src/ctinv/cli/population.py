"""``ctinv population``: denoisers over many patients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ctinv.atomic import write_png
from ctinv.cli.app import command, exit_code_of
from ctinv.cli.files import check_endings
from ctinv.cli.network import load_all
from ctinv.cli.options import AsJson, Device, Photons, Tier, Window
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.cli.progress import reporting


@command("population")
def population(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="One sub-folder or file per patient, in any format of a scan."),
    ],
    denoisers: Annotated[
        list[str],
        typer.Option("--denoiser", metavar="NETWORK", help="Name, bundle folder or file; may be repeated."),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="JSON file of all regions; those in it are not measured again.")
    ],
    table: Annotated[
        Path | None,
        typer.Option("--table", help="Also write the tables between the marks `population` of this page."),
    ] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Also draw them here (PNG).")] = None,
    regions: Annotated[
        str,
        typer.Option("--regions", metavar="A,B", help="Of soft tissue, lung edge and bone; by default all."),
    ] = "",
    slices: Annotated[
        int,
        typer.Option(
            "--slices", help="Parts along z of each scan; each gives a region of every kind in one slice."
        ),
    ] = 1,
    size: Annotated[int, typer.Option("--size", help="Height and width of a region in pixels.")] = 48,
    tier: Tier = "T2",
    n: Annotated[int, typer.Option("--n", help="Samples of each region.")] = 25,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the samples.")] = 0,
    uid: Annotated[
        list[str] | None,
        typer.Option(
            "--uid",
            help="SeriesInstanceUID or number (#2) to read in sub-folders of several series; may be repeated.",
        ),
    ] = None,
    device: Device = "auto",
    photons: Photons = None,
    window: Window = None,
    as_json: AsJson = False,
) -> Outcome:
    """Measure denoisers on the same kinds of region in every patient; continues where it stopped."""
    from ctinv.population.request import Request
    from ctinv.population.results import Results
    from ctinv.population.run import run
    from ctinv.population.table import write_page
    from ctinv.report import STAMP
    from ctinv.scoreboard.places import KINDS

    check_endings({".json": out, ".md": table, ".png": figure})
    request = Request(
        kinds=tuple(word.strip() for word in regions.split(",") if word.strip()) or tuple(KINDS),
        slices=slices,
        size=size,
        tier=tier,
        n=n,
        seed=seed,
        window_hu=window,
        photons=photons,
        device=device,
    )
    results = Results(out, use=STAMP)
    with reporting() as progress:
        progress("loading the denoisers", math.nan)
        try:
            page = run(load_all(denoisers), folder, request, results, uids=uid or (), progress=progress)
        except KeyboardInterrupt as stop:
            kept = len(results.cases)
            text = f"stopped; {kept} regions are kept in {out.name}, the same command goes on from there."
            raise Stopped(text, exit_code=exit_code_of(stop), data={"regions": kept}) from None
        progress("writing", math.nan)
        if table is not None:
            write_page(table, page)
        if figure is not None:
            from ctinv.population_picture import draw

            write_png(figure, draw(page, stamp=STAMP))
    return Outcome({"out": out.name, **page}, lambda console: _show(console, page))


def _show(console: Any, page: Mapping[str, Any]) -> None:
    """Means over patients, then what was left out."""
    from rich.table import Table

    from ctinv.cli.tables import number
    from ctinv.population.table import headline, interval, left_out, sentences, unit_of

    unit = unit_of(page)
    console.print(headline(page), markup=False, soft_wrap=True)
    for network, kinds in page["summary"].items():
        table = Table(title=network, title_justify="left", box=None)
        for heading in ("regions", "free\n%", f"spread\n{unit}", "certified\n%", "η of the\nworst disc"):
            table.add_column(heading, justify="left" if heading == "regions" else "right")
        for kind, one in kinds.items():
            free, spread = interval(one["free_share"], scale=100.0), interval(one["spread_hu"])
            certified = number(100.0 * one["certified_share"]["mean"])
            table.add_row(kind, free, spread, certified, interval(one["eta_min"], digits=2))
        console.print(table)
    for sentence in sentences(page):
        console.print(sentence, markup=False, soft_wrap=True)
    for title, items in left_out(page).items():
        for item in items:
            console.print(f"{title.lower()}: {item}", markup=False, soft_wrap=True)
