"""``ctinv bench generators``: the scoreboard."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import app, command, exit_code_of
from ctinv.cli.options import AsJson, DenoiserName, Device, Tap
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.cli.progress import reporting
from ctinv.errors import InputError
from ctinv.names import bare, is_neutral

if TYPE_CHECKING:
    from ctinv.scoreboard.patients import Patient

group = typer.Typer(help="Measure generators of candidates against each other.", no_args_is_help=True)
app.add_typer(group, name="bench")

SHIPPED = "shipped CT"


@command("generators", group=group)
def generators(
    out: Annotated[
        Path, typer.Option("--out", help="JSON file of all cases; those in it are not run again.")
    ],
    denoiser: DenoiserName = "cnn10",
    tap: Tap = "output",
    names: Annotated[
        str,
        typer.Option(
            "--generators", metavar="A,B", help="Names or bundle folders; by default all there are."
        ),
    ] = "",
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs", help="Folder of NAME_low.npy, NAME_full.npy and NAME.json; else the shipped CT."
        ),
    ] = None,
    patients: Annotated[
        str, typer.Option("--patients", metavar="A,B", help="Pairs to use; by default those not trained on.")
    ] = "",
    regions: Annotated[
        str,
        typer.Option("--regions", metavar="A,B", help="Of soft tissue, lung edge and bone; by default all."),
    ] = "",
    tiers: Annotated[
        str, typer.Option("--tiers", metavar="A,B", help="Tiers to correct to; by default T2, T1 and T3.")
    ] = "",
    n: Annotated[int, typer.Option("--n", help="Samples per region.")] = 250,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the samples.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Height and width of a region in pixels.")] = 64,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", help="Also write the tables between the scoreboard marks of this Markdown file."
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> Outcome:
    """Score every generator on the same regions: exactness, likeness to re-scans, cost; continues where it stopped."""
    from ctinv.denoiser import load_denoiser
    from ctinv.scoreboard.board import TIERS, Request, run
    from ctinv.scoreboard.places import KINDS
    from ctinv.scoreboard.results import Results
    from ctinv.scoreboard.table import page, write_page

    kinds = _words(regions) or tuple(KINDS)
    request = Request(
        tap=tap,
        generators=_words(names),
        kinds=kinds,
        tiers=_words(tiers) or TIERS,
        n=n,
        seed=seed,
        size=size,
        device=device,
    )
    results = Results(out)
    opened = _pairs(pairs, _words(patients)) if pairs is not None else _shipped(_words(patients))
    with reporting() as progress:
        progress("loading the denoiser", math.nan)
        try:
            found = run(load_denoiser(denoiser), opened, request, results, progress=progress)
        except KeyboardInterrupt as stop:
            text = f"stopped; {len(results.cases)} cases are kept in {out.name}, the same command goes on from there."
            raise Stopped(text, exit_code=exit_code_of(stop), data={"cases": len(results.cases)}) from None
    if table is not None:
        write_page(table, results.newest())
    data = {
        "out": out.name,
        "absent": found["absent"],
        "cases": [results.cases[key] for key in found["asked"]],
    }

    def show(console: Any) -> None:
        console.print(page(results.newest()), markup=False, soft_wrap=True)
        for one in found["absent"]:
            console.print(f"no such region: {one}")

    return Outcome(data, show)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _shipped(names: tuple[str, ...]) -> Mapping[str, Callable[[], Patient]]:
    if names:
        raise InputError("patients are chosen from a folder of pairs; name it with --pairs.")
    return {SHIPPED: _open_shipped}


def _open_shipped() -> Patient:
    """The CT that travels with the package; a patient of the training, as the page says by its name."""
    from ctinv.io import read
    from ctinv.resources import ct_folder
    from ctinv.scoreboard.patients import Patient

    return Patient(SHIPPED, read(ct_folder() / "quarter_dose"), read(ct_folder() / "full_dose"), dose=0.25)


def _pairs(folder: Path, names: tuple[str, ...]) -> Mapping[str, Callable[[], Patient]]:
    """The chosen pairs of a folder, or all CT that no training has seen."""
    if not folder.is_dir():
        raise InputError(
            f"there is no folder of pairs {bare(folder)}; make one with scripts/prepare_training_data.py."
        )
    files = dict(_called(path, number) for number, path in enumerate(sorted(folder.glob("*.json")), start=1))
    facts = {name: _facts(path) for name, path in files.items()}
    unseen = [name for name, about in facts.items() if about.get("split") != "train" and _is_ct(about)]
    chosen = names or tuple(unseen)
    missing = [name for name in chosen if name not in facts]
    if missing or not chosen:
        which = f"no pair {missing[0]}" if missing else "no CT beyond the training's"
        raise InputError(f"{bare(folder)} has {which}; choose from {', '.join(facts) or 'another folder'}.")
    return {name: partial(_open_pair, files[name], name, facts[name]) for name in chosen}


def _called(path: Path, number: int) -> tuple[str, Path]:
    """A pair by its name, or by its number where the name could be that of a person."""
    return (path.stem if is_neutral(path.stem) else f"pair{number}"), path


def _facts(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{bare(path)} beside the pairs is no JSON; write the pairs again.") from error
    return about if isinstance(about, dict) else {}


def _is_ct(about: Mapping[str, Any]) -> bool:
    return about.get("unit", "HU") == "HU" and {"dose", "photons_low", "spacing_mm"} <= about.keys()


def _open_pair(facts: Path, name: str, about: Mapping[str, Any]) -> Patient:
    """A pair in memory; its doses are those that made it."""
    import numpy as np

    from ctinv.scoreboard.patients import Patient
    from ctinv.training.data import open_pair
    from ctinv.volume import Acquisition, Volume

    if not _is_ct(about):
        raise InputError(
            f"{name} is no CT pair with dose, photons_low and spacing_mm in {bare(facts)}; leave it out."
        )
    pair = open_pair(name, *(facts.with_name(f"{facts.stem}_{side}.npy") for side in ("low", "full")))
    affine = np.eye(4)[[2, 1, 0, 3]] * np.array([*about["spacing_mm"], 1.0])
    photons, dose = float(about["photons_low"]), float(about["dose"])
    low, full = (
        Volume(
            np.array(hu, dtype=np.float32),
            affine,
            f"pair:{name}",
            acquisition=Acquisition(photons=photons / share),
        )
        for hu, share in ((pair.low, 1.0), (pair.full, dose))
    )
    return Patient(name, low, full, dose=dose)
