"""``ctinv info | simulate | denoise``: look at a scan, lower its dose, denoise it."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import (
    AsJson,
    CardFile,
    DenoiserName,
    Device,
    Modality,
    NetworkClass,
    Photons,
    Scan,
    Trust,
    Uid,
    Unit,
)
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting
from ctinv.names import bare
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.volume import Volume

Out = Annotated[
    Path,
    typer.Option("--out", help="File .nii, .nii.gz or .npy, or a new folder for a derived DICOM series."),
]


@command("info")
def info(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CT|STUDY|NETWORK",
            help="Scan, study, any network --denoiser takes, or bundle of a generator.",
        ),
    ],
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    uid: Uid = None,
    modality: Modality = None,
    unit: Unit = None,
    as_json: AsJson = False,
) -> Outcome:
    """Say what a scan, a study, a network or a generator is, or which series a folder holds; no patient is shown."""
    from ctinv.cli.files import is_study
    from ctinv.cli.network import facts_for_people, is_network, load
    from ctinv.cli.trust import untrusted
    from ctinv.errors import TrustError
    from ctinv.generators.library import generator_facts, is_generator, read_entry

    if is_generator(source):
        facts: dict[str, Any] = {"kind": "generator", **generator_facts(read_entry(source))}
    elif not is_study(source) and is_network(source):
        try:
            with reporting() as progress:
                progress("loading the network", math.nan)
                from ctinv.network_facts import network_facts

                found = network_facts(load(source, network=network, card=card, trust=trust), progress)
        except TrustError as error:
            return untrusted(source, str(error))
        facts = {"kind": "denoiser", **found}
    else:
        facts = _facts(source, uid, modality, unit)
    title = f"{facts['kind']} {bare(source) if facts['kind'] == 'scan' else source.name}"

    def show(console: Any) -> None:
        from ctinv.cli.folder import show_series
        from ctinv.cli.tables import flat, show_facts

        if facts["kind"] == "folder":
            show_series(console, f"{len(facts['series'])} series in {bare(source)}", facts["series"])
            return
        plain = {name: value for name, value in facts.items() if name != "kind"}
        show_facts(console, title, facts_for_people(facts) if facts["kind"] == "denoiser" else flat(plain))

    return Outcome(facts, show)


def _facts(source: Path, uid: str | None, modality: str | None, unit: str | None) -> dict[str, Any]:
    from ctinv.cli.files import is_study

    if is_study(source):
        return {"kind": "study", **study_facts(source)}
    from ctinv.cli.folder import several_series
    from ctinv.io import read

    if uid is None and (series := several_series(source, modality)):
        return {"kind": "folder", "series": series}

    return {"kind": "scan", **scan_facts(read(source, uid=uid, modality=modality, unit=unit))}


def scan_facts(volume: Volume) -> dict[str, Any]:
    """Shape, place, range and technique of a scan; the series appears as a hash only."""
    from ctinv.sampler.provenance import hash_series

    low, high = float(volume.hu.min()), float(volume.hu.max())
    return {
        "shape": volume.shape,
        "spacing_mm": volume.spacing,
        "modality": volume.modality,
        "unit": volume.unit,
        "hu": {"min": low, "max": high},
        "affine": volume.affine,
        "series_sha256": hash_series(volume.uid),
        "acquisition": asdict(volume.acquisition),
        "notes": volume.notes,
    }


def study_facts(source: Path) -> dict[str, Any]:
    """Figures and provenance of a stored study; needs no model."""
    from ctinv.sampler import Store

    store = Store.open(source)
    runs = {str(number): run for number, run in enumerate(store.runs, start=1)}
    return {
        **store.summary(),
        "together": store.together,
        "run": runs,
        "provenance": store.provenance.to_json(),
    }


Template = Annotated[
    Path | None,
    typer.Option(
        "--template",
        help="One DICOM file of the source: the written series joins its patient and study. "
        "Without it the series carries no identity.",
    ),
]


@command("simulate")
def simulate(
    scan: Scan,
    out: Out,
    dose: Annotated[
        float, typer.Option("--dose", help="Fraction of the scan's own dose, above 0 and up to 1.")
    ] = 0.25,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the inserted noise.")] = 0,
    photons: Photons = None,
    template: Template = None,
    uid: Uid = None,
    as_json: AsJson = False,
) -> Outcome:
    """Insert noise in the projections so that the scan looks as if taken at a lower dose."""
    from ctinv.cli.files import check_target, write_volume
    from ctinv.io import read
    from ctinv.simulate import simulate_low_dose

    check_target(out)
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid)
        low = simulate_low_dose(
            volume, dose=dose, seed=seed, photons=photons, workers=os.cpu_count() or 1, progress=progress
        )
        progress(f"writing {out.name}", math.nan)
        derived: dict[str, object] = {"dose_fraction": dose, "seed": seed, "photons": low.acquisition.photons}
        description = f"simulated at {dose:.4g} of the dose"
        write_volume(low, out, description=description, template=template, derived=derived)
    data = {
        "out": out.name,
        "dose": dose,
        "seed": seed,
        "photons": low.acquisition.photons,
        **scan_facts(low),
    }
    return Outcome(data, lambda console: console.print(f"{out.name}: {low.notes[-1]}"))


@command("denoise")
def denoise(
    scan: Scan,
    out: Out,
    denoiser: DenoiserName = "cnn10",
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    device: Device = "auto",
    template: Template = None,
    uid: Uid = None,
    modality: Modality = None,
    unit: Unit = None,
    as_json: AsJson = False,
) -> Outcome:
    """Denoise a scan slice by slice."""
    from ctinv.cli.files import check_kind, check_target, write_volume
    from ctinv.cli.network import load
    from ctinv.io import read

    check_target(out)
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid, modality=modality, unit=unit)
        check_kind(out, volume)
        chosen = load(denoiser, network=network, card=card, trust=trust, device=device)
        chosen.check_unit(volume.unit)
        started = time.monotonic()
        denoised = denoise_volume(chosen, volume, progress=progress)
        seconds = time.monotonic() - started
        progress(f"writing {out.name}", math.nan)
        derived: dict[str, object] = {"denoiser": chosen.name, "weights_sha256": chosen.weights_sha256}
        description = f"denoised by {chosen.name}"
        write_volume(denoised, out, description=description, template=template, derived=derived)
    data = {"out": out.name, **derived, "seconds": seconds, **scan_facts(denoised)}
    return Outcome(data, lambda console: console.print(f"{out.name}: {volume.shape[0]} slices {description}"))


def denoise_volume(network: Denoiser, volume: Volume, *, progress: Progress | None = None) -> Volume:
    """f of every slice; the result is at the volume's place and counts as another image."""
    import numpy as np

    from ctinv.denoiser import denoise_slices

    slices = []
    for z, plane in enumerate(denoise_slices(network, volume.hu), start=1):
        slices.append(plane)
        if progress is not None:
            progress(f"denoising slice {z} of {volume.shape[0]}", z / volume.shape[0])
    notes = (*volume.notes, f"denoised by {network.name}")
    return replace(volume.with_hu(np.stack(slices)), notes=notes)
