"""``ctinv find-blind``: search the lesion that a denoiser hides best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.atomic import write_png
from ctinv.cli.app import command, exit_code_of
from ctinv.cli.files import check_endings, write_json
from ctinv.cli.options import (
    AsJson,
    CardFile,
    DenoiserName,
    Device,
    Modality,
    NetworkClass,
    NoiseSigma,
    Photons,
    Scan,
    Tap,
    Tier,
    Trust,
    Uid,
    Unit,
    Window,
)
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.cli.progress import reporting
from ctinv.errors import InputError
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding
    from ctinv.sampler import InvarianceSampler
    from ctinv.volume import Box, Volume

_GIVEN = "region"


@command("find-blind")
def find_blind(
    scan: Scan,
    out: Annotated[Path, typer.Option("--out", help="JSON file of what was found in each region.")],
    boxes: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            metavar="Z,Y0:Y1,X0:X1",
            help="Region inside one slice; may be repeated. By default soft tissue, lung edge and bone are found by HU.",
        ),
    ] = None,
    denoiser: DenoiserName = "cnn10",
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    tap: Tap = "output",
    tier: Tier = "T2",
    diameters: Annotated[
        str, typer.Option("--diameters", metavar="A,B", help="Diameters in mm; searched between the ends.")
    ] = "3,5,7,9",
    size: Annotated[
        int, typer.Option("--size", help="Height and width in pixels of regions found by HU.")
    ] = 48,
    rescans: Annotated[
        int, typer.Option("--rescans", help="Re-scans at which the search is repeated, against false alarms.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the re-scans.")] = 0,
    figure: Annotated[Path | None, typer.Option("--figure", help="Also draw it here (PNG).")] = None,
    device: Device = "auto",
    photons: Photons = None,
    noise_sigma: NoiseSigma = None,
    window: Window = None,
    modality: Modality = None,
    unit: Unit = None,
    uid: Uid = None,
    as_json: AsJson = False,
) -> Outcome:
    """Search, over place and size, the lesion that a denoiser hides best, insert it, and certify the image by feed-back."""
    from ctinv.cli.network import load
    from ctinv.io import read
    from ctinv.sampler import InvarianceSampler
    from ctinv.volume import Box

    check_endings({".json": out, ".png": figure})
    given = [Box.parse(text) for text in boxes or ()]
    sizes = _sizes(diameters)
    if rescans < 0:
        raise InputError(f"expected no negative number of re-scans, got {rescans}.")
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid, modality=modality, unit=unit)
        places = _places(volume, given, size)
        sampler = InvarianceSampler(
            load(denoiser, network=network, card=card, trust=trust),
            tap=tap,
            tier=tier,
            window_hu=window,
            device=device,
            photons=photons,
            noise_sigma=noise_sigma,
        )
        options = {"diameters_mm": sizes, "rescans": rescans, "seed": seed}
        found, sources, stop = _search(sampler, volume, places, options, progress)
        page = _page(sampler, volume, found, sources)
        if found:
            progress("writing", math.nan)
            _write(page, found, volume, out, figure)
    if stop is not None:
        kept = f"{len(found)} of {len(places)} regions are in {out.name}" if found else "nothing was written"
        raise Stopped(
            f"stopped; {kept}; the same command searches all again.",
            exit_code=exit_code_of(stop),
            data={"regions_done": len(found), "regions": len(places)},
        ) from None
    return Outcome(page, lambda console: _show(console, page))


def _sizes(text: str) -> tuple[float, ...]:
    """Diameters in mm."""
    try:
        sizes = tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError:
        sizes = ()
    if not sizes or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise InputError(f"expected diameters in mm above 0, got {text!r}; write for example 3,5,7,9.")
    return sizes


def _places(volume: Volume, given: list[Box], size: int) -> dict[str, Box]:
    """The regions that were named, or those found by HU."""
    for box in given:
        box.check_inside(volume.shape)
    if given:
        single = len(given) == 1
        return {(_GIVEN if single else f"{_GIVEN} {index}"): box for index, box in enumerate(given, start=1)}
    if volume.modality != "CT":
        raise InputError(
            f"regions are found by HU, and this scan is {volume.modality}; name them with --box Z,Y0:Y1,X0:X1."
        )
    from ctinv.scoreboard.places import KINDS, find_places

    found = find_places(volume.hu, list(KINDS), size=size)
    if not found:
        raise InputError(
            f"no region of {size} x {size} voxels in soft tissue, at the lung or in bone was found; name one with --box."
        )
    return found


def _search(
    sampler: InvarianceSampler,
    volume: Volume,
    places: Mapping[str, Box],
    options: Mapping[str, Any],
    progress: Progress,
) -> tuple[dict[str, Finding], dict[str, Any], KeyboardInterrupt | None]:
    """What is found in each region and where its C comes from, up to an interruption."""
    from ctinv.analysis import search
    from ctinv.analysis.subject import Subject
    from ctinv.progress import named

    found: dict[str, Finding] = {}
    sources: dict[str, Any] = {}
    try:
        for name, box in places.items():
            told = named(progress, name)
            prepared = sampler.prepare(volume, box, progress=told)
            finding = search.find_blind(Subject.of(prepared, volume), progress=told, **options)
            found[name], sources[name] = finding, prepared.noise_source
    except KeyboardInterrupt as stop:
        return found, sources, stop
    return found, sources, None


def _page(
    sampler: InvarianceSampler, volume: Volume, found: Mapping[str, Finding], sources: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON: no path and no identity of the patient, only the hash of the series."""
    import ctinv
    from ctinv.sampler.provenance import hash_series

    return {
        "denoiser": sampler.denoiser.name,
        "weights_sha256": sampler.denoiser.weights_sha256,
        "tap": sampler.wish.tap,
        "tier": sampler.wish.tier,
        "unit": volume.unit,
        "series": hash_series(volume.uid),
        "spacing_mm": list(volume.spacing),
        "ctinv": ctinv.__version__,
        "regions": {
            name: {
                "sentence": finding.sentence,
                **finding.figures,
                "curves": dict(finding.curves),
                "noise": sources[name],
            }
            for name, finding in found.items()
        },
        "notes": list(volume.notes),
    }


def _write(
    page: Mapping[str, Any], found: Mapping[str, Finding], volume: Volume, out: Path, figure: Path | None
) -> None:
    write_json(out, page)
    if figure is not None:
        from ctinv.blind_picture import draw
        from ctinv.report import STAMP

        _, dy, dx = volume.spacing
        write_png(figure, draw(found, (dy, dx), stamp=STAMP))


def _show(console: Any, page: Mapping[str, Any]) -> None:
    """One row per region, then the sentences."""
    from rich.table import Table

    from ctinv.cli.tables import number

    unit = page["unit"]
    table = Table(
        title=f"{page['denoiser']}: the lesion it hides best, at {page['tier']}",
        title_justify="left",
        box=None,
    )
    headings = ("region", "mm", "η", "η over C", f"fits\n{unit}", "d′ scan", "d′ after", "verdict")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("region", "verdict") else "right")
    for name, row in page["regions"].items():
        lesion, fits = row["lesion"], row["inserted"] or {}
        low, high = (number(end) for end in lesion["eta_range"])
        contrast = fits.get("contrast_hu")
        cells = [number(lesion["diameter_mm"], 2), number(lesion["eta"]), f"{low}–{high}"]
        cells += [number(None if contrast is None else abs(contrast))]
        cells += [number(fits.get(key), 2) for key in ("d_in", "d_eps")]
        table.add_row(name, *cells, row["verdict"])
    console.print(table)
    for name, row in page["regions"].items():
        console.print(f"{name}: {row['sentence']}", markup=False)
