"""``ctinv sample | certify | dimension``: draw invariances, check stored ones, measure the fibre."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command, exit_code_of
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
    Study,
    StudyDenoiser,
    Tap,
    Tier,
    Trust,
    Uid,
    Unit,
    Window,
)
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.cli.progress import reporting
from ctinv.errors import InputError, StoreError
from ctinv.names import bare
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.sampler import InvarianceSampler, Store
    from ctinv.volume import Box, Volume


@command("sample")
def sample(
    scan: Scan,
    box: Region,
    out: Annotated[Path, typer.Option("--out", help="Study folder to write or to continue.")],
    denoiser: DenoiserName = "cnn10",
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    tap: Tap = "output",
    generator: Annotated[str, typer.Option("--generator", help="Generator of the candidates.")] = "renoise",
    n: Annotated[int, typer.Option("--n", help="Number of samples.")] = 250,
    tier: Tier = "T2",
    seed: Annotated[int, typer.Option("--seed", help="Sample k depends on the seed and k, not on n.")] = 0,
    device: Device = "auto",
    photons: Photons = None,
    noise_sigma: NoiseSigma = None,
    window: Window = None,
    modality: Modality = None,
    unit: Unit = None,
    uid: Uid = None,
    overview: Annotated[
        Path | None, typer.Option("--overview", help="Also draw the overview picture here (PNG).")
    ] = None,
    as_json: AsJson = False,
) -> Outcome:
    """Sample certified invariances of one region into a study; continues where an earlier run stopped."""
    from ctinv.cli.network import load
    from ctinv.io import read
    from ctinv.volume import Box

    region = Box.parse(box)
    check_n(n)
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid, modality=modality, unit=unit)
        region.check_inside(volume.shape)
        sampler = _sampler(
            load(denoiser, network=network, card=card, trust=trust),
            tap=tap,
            generator=generator,
            tier=tier,
            window_hu=window,
            device=device,
            photons=photons,
            noise_sigma=noise_sigma,
        )
        store = fill(out, sampler, volume, region, n=n, seed=seed, progress=progress)
        if overview is not None:
            from ctinv.report import overview as draw

            progress("drawing the overview", math.nan)
            draw(store, overview, scan_slice=volume.hu[region.z])
    data = {**store.summary(), "study": out.name, "notes": volume.notes}
    from ctinv.cli.tables import show_study

    return Outcome(data, lambda console: show_study(console, data, store.certificates))


def check_n(n: int) -> None:
    """Raise InputError unless at least one sample is asked for."""
    if n < 1:
        raise InputError(f"at least one sample is needed, got n = {n}; write for example --n 250.")


def _sampler(denoiser: Denoiser, **settings: Any) -> InvarianceSampler:
    from ctinv.sampler import InvarianceSampler

    return InvarianceSampler(denoiser, **settings)


def fill(
    out: Path, sampler: InvarianceSampler, volume: Volume, box: Box, *, n: int, seed: int, progress: Progress
) -> Store:
    """Sample into a study and open it; an interruption says how many samples are kept.

    Raises:
        Stopped: Ctrl-C or SIGTERM came.
    """
    from ctinv.sampler import Store
    from ctinv.sampler.run import sample_into

    try:
        for _batch in sample_into(out, sampler, volume, box, n=n, seed=seed, progress=progress):
            pass
    except KeyboardInterrupt as stop:
        kept = _kept(out)
        text = (
            f"stopped; {kept} of {n} samples are kept in {out.name}, the same command goes on from there."
            if kept
            else f"stopped before the first of {n} samples was finished; the same command begins again."
        )
        raise Stopped(
            text, exit_code=exit_code_of(stop), data={"kept": kept, "n": n, "study": out.name}
        ) from None
    return Store.open(out)


def _kept(out: Path) -> int:
    from ctinv.errors import StoreError
    from ctinv.sampler import Store

    try:
        return len(Store.open(out).certificates)
    except StoreError:
        return 0


@command("certify")
def certify(
    study: Study,
    denoiser: StudyDenoiser = None,
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    scan: Annotated[
        Path | None, typer.Option("--scan", help="Also compare the stored surroundings with this scan.")
    ] = None,
    uid: Uid = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> Outcome:
    """Check a study, trusting only its images: feed every sample back through the denoiser again."""
    from ctinv.sampler import Store
    from ctinv.sampler.certify import recertify
    from ctinv.sampler.maps import rms
    from ctinv.sampler.network import find_denoiser
    from ctinv.sampler.samples import summarise

    store = Store.open(study)
    if not store.rows:
        raise StoreError(f"{study.name} holds no finished sample yet, so there is nothing to certify.")
    hashes = store.provenance.weights_sha256
    chosen = find_denoiser(hashes, denoiser, network=network, card=card, trust=trust, device=device)
    with reporting() as progress:
        progress(f"feeding {len(store.rows)} samples back", math.nan)
        certificates, agree = recertify(store, chosen)
        place = _same_place(store, scan, uid) if scan is not None else None
    spread = rms(store.spread())
    scalars = store.setting.scalars
    summary = summarise(certificates, scalars, provenance=store.provenance, spread_hu=spread, seconds={})
    data = {**summary, "agree": agree, "study": study.name}
    if place is not None:
        data["same_scan"] = place
    problem = None
    if not agree:
        problem = f"the certificates stored in {study.name} are not those of its images; do not trust it."
    elif place is False:
        problem = (
            f"the surroundings stored in {study.name} are not those of {bare(scan) if scan else 'the scan'}."
        )

    def show(console: Any) -> None:
        from ctinv.cli.tables import show_study

        show_study(console, data, certificates)
        console.print("stored and recomputed certificates " + ("agree" if agree else "DO NOT agree"))

    return Outcome(data, show, problem=problem)


def _same_place(store: Store, scan: Path, uid: str | None) -> bool:
    """Whether the stored surroundings are exactly the scan's voxels."""
    from ctinv.denoiser import slice_stack
    from ctinv.io import read

    setting = store.setting
    volume = read(scan, uid=uid, modality=setting.volume.modality)
    if volume.shape != store.provenance.volume_shape:
        return False
    stored, box = setting.context, setting.context_box
    seen = slice_stack(volume.hu, box.z, len(stored))
    return bool((seen[:, box.slices[0], box.slices[1]] == stored).all())


@command("dimension")
def dimension(
    scan: Scan,
    box: Region,
    denoiser: DenoiserName = "cnn10",
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    tap: Tap = "output",
    eps: Annotated[
        list[float] | None,
        typer.Option(
            "--eps",
            help="Tolerance: HU (or the scan's unit) at the output, share of the noise inside; may be repeated.",
        ),
    ] = None,
    noise_sigma: NoiseSigma = None,
    window: Window = None,
    modality: Modality = None,
    unit: Unit = None,
    device: Device = "auto",
    photons: Photons = None,
    uid: Uid = None,
    as_json: AsJson = False,
) -> Outcome:
    """Measure what a denoiser leaves free at tolerance ε: d_eff and the free share, in all and per band."""
    from ctinv.cli.network import load
    from ctinv.io import read
    from ctinv.volume import Box

    region = Box.parse(box)
    if any(not value > 0 for value in eps or ()):
        raise InputError("a tolerance must be above 0; write for example --eps 0.5.")
    with reporting() as progress:
        progress("reading the scan", math.nan)
        volume = read(scan, uid=uid, modality=modality, unit=unit)
        region.check_inside(volume.shape)
        settings = {
            "generator": "renoise",
            "tier": "T2",
            "window_hu": window,
            "device": device,
            "photons": photons,
            "noise_sigma": noise_sigma,
        }
        sampler = _sampler(load(denoiser, network=network, card=card, trust=trust), tap=tap, **settings)
        prepared = sampler.prepare(volume, region, progress=progress)
        tolerances = [(f"{value:g}", value) for value in eps] if eps else prepared.corrector.rule.tolerances()
        rows = prepared.dimension([value for _, value in tolerances])
    tolerance_unit = "relative" if prepared.corrector.rule.relative else volume.unit
    rows = [{"name": name, **row} for (name, _), row in zip(tolerances, rows, strict=True)]
    data = {
        "denoiser": sampler.denoiser.name,
        "tap": tap,
        "box": str(region),
        "voxels": region.shape[0] * region.shape[1],
        "unit": tolerance_unit,
        "noise": prepared.noise_source,
        "dimension": rows,
        "seconds": prepared.seconds,
    }

    def show(console: Any) -> None:
        from ctinv.cli.tables import show_dimension

        show_dimension(console, data)

    return Outcome(data, show)
