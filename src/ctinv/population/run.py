"""All regions of all patients, one by one, into a file; what is there already is not measured again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ctinv.analysis.blindness import lesion_blindness
from ctinv.analysis.subject import Subject
from ctinv.denoiser import Denoiser
from ctinv.errors import CtinvError, InputError
from ctinv.population.folder import Scan, Unreadable, scans_of
from ctinv.population.request import Case, Request
from ctinv.population.results import Results
from ctinv.population.summary import summarise
from ctinv.progress import Progress, part, tell
from ctinv.sampler import InvarianceSampler
from ctinv.volume import Box, Volume


@dataclass(frozen=True, eq=False)
class _Told:
    """What was found while running, for the page."""

    patients: dict[str, str] = field(default_factory=dict)  # scan to patient
    unreadable: list[Unreadable] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    regions: list[dict[str, Any]] = field(default_factory=list)


def run(
    denoisers: Mapping[str, Denoiser],
    folder: Path,
    request: Request,
    results: Results,
    *,
    uids: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure what is missing and write the summary.

    Args:
        denoisers: Name to network.
        folder: One sub-folder or file per patient.
        request: What is asked.
        results: Where regions are kept.
        uids: Series to read in sub-folders of several, see `scans_of`.
        progress: Called with a phrase and a finished share.

    Returns:
        The page: request, patients, what is unreadable, absent or failed, every region, and means over patients.

    Raises:
        InputError: The folder holds no scan, or none that could be read.
    """
    samplers = {
        name: InvarianceSampler(
            one,
            tier=request.tier,
            window_hu=request.window_hu,
            photons=request.photons,
            device=request.device,
        )
        for name, one in denoisers.items()
    }
    told = _Told()
    for entry in scans_of(folder, uids=uids):
        if isinstance(entry, Unreadable):
            told.unreadable.append(entry)
            continue
        _patient(entry, samplers, request, results, told, progress)
    if not told.patients:
        reasons = " ".join(f"{one.name}: {one.reason}" for one in told.unreadable[:3])
        raise InputError(f"no patient of the folder could be used. {reasons}")
    page = _page(denoisers, request, told)
    results.finish(page)
    return page


def _patient(
    scan: Scan,
    samplers: Mapping[str, InvarianceSampler],
    request: Request,
    results: Results,
    told: _Told,
    progress: Progress | None,
) -> None:
    try:
        for sampler in samplers.values():
            sampler.denoiser.check_unit(scan.volume.unit)
        places, absent = request.places(scan.volume)
    except InputError as error:
        told.unreadable.append(Unreadable(scan.name, str(error)))
        return
    told.patients[scan.name] = scan.patient
    told.absent.extend(f"{scan.name}: {kind}, part {nth + 1} of {request.slices}" for nth, kind in absent)
    for (nth, kind), box in places.items():
        for name, sampler in samplers.items():
            case = Case.of(scan.volume, kind, box, sampler.denoiser, request)
            where = f"{scan.name}, {kind}, {name}"
            if case not in results:
                tell(progress, f"measuring {where}")
                try:
                    told_of = part(progress, 0.0, 1.0, f"measuring {where}")
                    figures = measure(
                        sampler, scan.volume, box, n=request.n, seed=request.seed, progress=told_of
                    )
                    results.add(case, figures)
                except CtinvError as error:
                    told.failed.append(f"{where}: {error}")
                    continue
            row = {"scan": scan.name, "patient": scan.patient, "network": name, "part": nth + 1}
            told.regions.append({**row, **results.cases[case.key]})


def measure(
    sampler: InvarianceSampler,
    volume: Volume,
    box: Box,
    *,
    n: int,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The figures of one region under one network."""
    samples = sampler.sample(volume, box, n=n, seed=seed, progress=part(progress, 0.0, 0.5))
    prepared = sampler.prepare(volume, box, progress=part(progress, 0.5, 0.7))
    summary, scalars = samples.summary(), prepared.setting.scalars
    figures = {
        "pixels": box.shape[0] * box.shape[1],
        "d_eff": summary["d_eff"],
        "free_share": summary["free_share"],
        "spread_hu": summary["spread_hu"],
        "spread_theory_hu": summary["spread_theory_hu"],
        "certified_share": summary["passed"] / summary["n"],
        "implausible": summary["implausible"],
        "worst_rmse_hu": summary["rmse_hu"]["max"],
        "nfe": summary["nfe"],
        "chi2_per_n": summary["chi2_per_n"],
        "chi2_per_n_scan": summary["chi2_per_n_scan"],
        "sigma_out_hu": summary["sigma_out_hu"],
        "sigma_noise_hu": scalars["sigma_noise_hu"],
    }
    subject = Subject.of(prepared, volume, samples=samples)
    return {
        **figures,
        **_lesions(subject, seed, part(progress, 0.7, 1.0)),
        "unit": volume.unit,
        "spacing_mm": volume.spacing,
        "noise": prepared.noise_source,
    }


def _lesions(subject: Subject, seed: int, progress: Progress | None) -> dict[str, Any]:
    """η at the worst place and size and at the median, and the discs to which f is blind; None where no disc fits."""
    try:
        found = lesion_blindness(subject, seed=seed, progress=progress).figures
    except InputError:
        return {"eta_min": None, "eta_median": None, "blind": None, "withheld": None, "worst_disc_mm": None}
    rows = found["by_diameter"]
    return {
        "eta_min": found["worst"]["eta"],
        "eta_median": sorted(row["eta_median"] for row in rows)[len(rows) // 2],
        "blind": found["blind"],
        "withheld": found["withheld"],
        "worst_disc_mm": found["worst"]["diameter_mm"],
    }


def _page(denoisers: Mapping[str, Denoiser], request: Request, told: _Told) -> dict[str, Any]:
    return {
        "request": {**asdict(request), "networks": list(denoisers)},
        "patients": sorted(set(told.patients.values()), key=lambda name: int(name.removeprefix("patient"))),
        "scans": told.patients,
        "unreadable": [asdict(one) for one in told.unreadable],
        "absent": told.absent,
        "failed": told.failed,
        "summary": summarise(told.regions, seed=request.seed),
        "regions": told.regions,
    }
