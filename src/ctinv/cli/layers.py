"""``ctinv layers``: what each layer of a denoiser leaves free, and what a generator shows there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import (
    AsJson,
    CardFile,
    DenoiserName,
    Device,
    Modality,
    NetworkClass,
    NoiseSigma,
    Photons,
    Region,
    Scan,
    Trust,
    Uid,
    Unit,
    Window,
)
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting
from ctinv.errors import InputError


@command("layers")
def layers(
    scan: Scan,
    box: Region,
    out: Annotated[Path, typer.Option("--out", help="JSON file of all figures.")],
    figure: Annotated[Path | None, typer.Option("--figure", help="Also draw them here (PNG).")] = None,
    denoiser: DenoiserName = "cnn10",
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    generator: Annotated[
        str | None,
        typer.Option("--generator", help="Generator to compare with the fibre; only the fibre without it."),
    ] = None,
    taps: Annotated[
        str | None, typer.Option("--taps", help="Layers, separated by commas; all by default.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Samples of each generator at each layer.")] = 250,
    tier: Annotated[str, typer.Option("--tier", help="Exactness at each layer, T0 to T3.")] = "T2",
    eps: Annotated[
        list[float] | None,
        typer.Option(
            "--eps",
            help="Tolerance of d_eff as share of the layer's response to noise; may be repeated; 0.01, 0.05, 0.1.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the samples.")] = 0,
    device: Device = "auto",
    photons: Photons = None,
    noise_sigma: NoiseSigma = None,
    window: Window = None,
    modality: Modality = None,
    unit: Unit = None,
    uid: Uid = None,
    as_json: AsJson = False,
) -> Outcome:
    """Measure, layer by layer, what a denoiser leaves free, what a generator shows there, and whether layers nest."""
    from ctinv.cli.network import load
    from ctinv.io import read
    from ctinv.layer_study import study_layers
    from ctinv.report import layer_page
    from ctinv.volume import Box

    region = Box.parse(box)
    _check_files(out, figure)
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid, modality=modality, unit=unit)
        study = study_layers(
            load(denoiser, network=network, card=card, trust=trust),
            volume,
            region,
            generator=generator,
            taps=[name.strip() for name in taps.split(",")] if taps else None,
            n=n,
            seed=seed,
            tier=tier,
            shares=tuple(eps) if eps else None,
            window_hu=window,
            device=device,
            photons=photons,
            noise_sigma=noise_sigma,
            progress=progress,
        )
        page = study.to_json()
        progress("writing", math.nan)
        layer_page(page, out, picture=figure)
    return Outcome(page, lambda console: _show(console, page))


def _check_files(out: Path, figure: Path | None) -> None:
    """Raise InputError before any work where a name would not say what is in the file."""
    for path, ending in ((out, ".json"), (figure, ".png")):
        if path is not None and path.suffix.lower() != ending:
            raise InputError(f"expected a name that ends in {ending}, got {path.name}; choose another name.")


def _show(console: Any, page: Mapping[str, Any]) -> None:
    """One row per layer, then the verdicts on the generator and the notes of the check between layers."""
    from rich.table import Table

    from ctinv.cli.tables import number

    unit = page["unit"]
    title = f"{page['denoiser']}, box {page['box']}: {page['n']} samples at each layer, tier {page['tier']}"
    table = Table(title=title, title_justify="left", box=None)
    headings = ["layer", "ε\n%", f"fibre\n{unit}", f"allowed\n{unit}", "free\n%", "NFE"]
    headings += [f"raw\n{unit}", f"certified\n{unit}", "passed\n%"] if page["generator"] else []
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    tiers = [next(row for row in tap["tiers"] if row["name"] == page["tier"]) for tap in page["taps"]]
    for tap, at_tier in zip(page["taps"], tiers, strict=True):
        fibre = tap["fibre"]
        figures = [
            100 * tap["share"],
            fibre["certified"]["hu"],
            tap["allowed"]["hu"],
            100 * at_tier["free_share"],
        ]
        figures += [fibre["nfe"], *_of_generator(tap["generator"])]
        table.add_row(tap["tap"], *(number(figure) for figure in figures))
    console.print(table)
    for tap in page["taps"]:
        if tap["generator"]:
            console.print(f"{tap['tap']}: {tap['generator']['verdict']}: {tap['generator']['why']}")
    for note in page["nested"]["notes"]:
        console.print(note)


def _of_generator(shown: Mapping[str, Any] | None) -> list[float | None]:
    """Spread of its candidates, spread of what was certified of them, and the share that was; nothing if none was named."""
    if shown is None:
        return []
    series = shown["series"]
    if series is None:
        return [None, None, None]
    passed = series["share_certified"]
    return [series["raw"]["hu"], series["certified"]["hu"], None if passed is None else 100 * passed]
