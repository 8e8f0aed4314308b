"""The search for the worst lesion: which disc does the network hide best, and how strong may it be? (method §7)

Over place and size, first on a grid and then continuously, the disc of smallest η is found: the one of largest d'_in at
d'_ε = 1. It is then put into the scan at the largest contrast that fits into the fibre at the tier, and certified by feeding
the image back (`ctinv.analysis.insertion`). If an ideal observer would see that lesion in the scan and not after f, for all
of C ± 20 % per band, then the network is blind to it: searched for, not met by luck. Else the sentence says what was looked
for, and how far from blind the network is.

What is random: nothing, once scan and C are given. η depends on noise in the scan through J alone; `rescans` takes J again
at re-scans f(x) + noise of C and repeats the search there, which is the null of a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ctinv.analysis.blindness import STRIDE, Examined, examine, worst_disc
from ctinv.analysis.disc import DIAMETERS_MM, disc_signals
from ctinv.analysis.finding import Finding, Map
from ctinv.analysis.ideal_observer import observer_of
from ctinv.analysis.insertion import Inserted, largest_that_fits
from ctinv.analysis.lesion_study import D_HIDDEN, D_SEEN, at_rescans, signal_of
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.progress import Progress, part, tell

BLIND, NOT_CERTIFIED, WITHHELD = "blind", "blind by linear theory only", "withheld"
WITHIN_THE_TIER, NOT_BLIND = "seen, yet within the tier", "not blind"
VERDICTS = (BLIND, NOT_CERTIFIED, WITHHELD, WITHIN_THE_TIER, NOT_BLIND)
MOST_D_IN = 10.0
"""d'_in up to which contrasts are tried; a lesion of that d' is missed by nobody."""


def find_blind(
    subject: Subject,
    *,
    seed: int = 0,
    diameters_mm: Sequence[float] = DIAMETERS_MM,
    stride: int = STRIDE,
    exact: bool | None = None,
    rescans: int = 0,
    progress: Progress | None = None,
) -> Finding:
    """Search the lesion that the network hides best.

    Args:
        subject: The region; samples are not needed.
        seed: Seed of the re-scans; all else is not random.
        diameters_mm: Diameters of the coarse maps; the search runs between the smallest and the largest.
        stride: Pixels between the places of the coarse maps.
        exact: Whether η's range over C is computed band by band; see `ctinv.analysis.blindness.lesion_blindness`.
        rescans: Re-scans at which the search is repeated.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: No disc fits, or an option is out of range.
    """
    if rescans < 0:
        raise InputError(f"expected no negative number of re-scans, got {rescans}.")
    once = part(progress, 0.0, 1.0 / (1 + rescans))
    tell(once, "searching the least visible lesion", 0.0)
    found = examine(
        subject,
        seed=seed,
        diameters_mm=diameters_mm,
        stride=stride,
        exact=exact,
        progress=part(once, 0.0, 0.7),
    )
    pattern = found.worst.image(subject.shape, subject.spacing_mm)
    tell(once, "inserting it at the largest contrast that fits", 0.7)
    most = MOST_D_IN / float(found.judged.seen.d_in[0])
    inserted, bounded = largest_that_fits(subject, pattern, most_hu=most, progress=part(once, 0.7, 1.0))
    seen = _visible(found, inserted)
    region, rule = subject.corrector.region, subject.corrector.rule
    figures: dict[str, Any] = {
        "denoiser": region.representation.denoiser.name,
        "tap": region.representation.tap,
        "tier": rule.asked,
        "tolerance": subject.corrector.factor.tolerance,
        "unit": subject.unit,
        "box": str(subject.box),
        "verdict": _verdict(found, inserted, seen),
        "lesion": found.finding.figures["worst"],
        "inserted": None if inserted is None else inserted.to_json() | {"bounded": bounded} | seen,
        "tried_up_to_hu": most,
        "searched": {
            "diameters_mm": [row["diameter_mm"] for row in found.finding.figures["by_diameter"]],
            "discs": found.finding.figures["discs"],
            "refined": "place and diameter, by the simplex method",
        },
        "by_diameter": found.finding.figures["by_diameter"],
        "eta_half": found.finding.figures["eta_half"],
        "hole": found.finding.figures["hole"],
        "null": found.finding.figures["null"],
    }
    if rescans:
        figures["rescans"] = _repeat(
            subject, diameters_mm, stride, rescans, seed, part(progress, 1.0 / (1 + rescans), 1.0)
        )
    return Finding(
        "find-blind",
        _sentence(figures, found),
        figures["verdict"] == BLIND,
        figures,
        _maps(subject, found, pattern, inserted),
        dict(found.finding.curves),
    )


def _visible(found: Examined, inserted: Inserted | None) -> dict[str, float]:
    """d' of the inserted disc at its contrast, and of what x̃ really differs in from x."""
    if inserted is None:
        return {}
    seen, contrast = found.judged.seen, abs(inserted.contrast_hu)
    facts = {"d_in": contrast * float(seen.d_in[0]), "d_eps": contrast * float(seen.d_eps[0])}
    facts["d_in_lowest"] = contrast * float(found.judged.range.d_in[0][0])
    facts["d_eps_highest"] = contrast * float(found.judged.range.d_eps[1][0])
    return facts


def _verdict(found: Examined, inserted: Inserted | None, seen: dict[str, float]) -> str:
    if bool(found.judged.withheld[0]):
        return WITHHELD
    certified = inserted is not None and seen["d_in_lowest"] >= D_SEEN
    if bool(found.judged.blind[0]):
        return BLIND if certified else NOT_CERTIFIED
    return WITHIN_THE_TIER if certified else NOT_BLIND


def _repeat(
    subject: Subject,
    diameters_mm: Sequence[float],
    stride: int,
    count: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """The search at re-scans: smallest η of each."""
    smallest: list[float] = []
    for inner, other in at_rescans(subject, count, seed=seed, progress=progress):
        observer = observer_of(other.corrector, progress=part(inner, 0.0, 0.6))
        grids = disc_signals(other, diameters_mm, stride=stride)
        worst = worst_disc(other, observer, grids, progress=part(inner, 0.6, 1.0))
        smallest.append(float(observer.look(signal_of(other, worst)).eta[0]))
    return {
        "n": count,
        "seed": seed,
        "eta_smallest": smallest,
        "alarms": sum(eta <= (D_HIDDEN / D_SEEN) ** 2 for eta in smallest),
    }


def _maps(
    subject: Subject, found: Examined, pattern: np.ndarray, inserted: Inserted | None
) -> dict[str, Map]:
    region, unit = subject.corrector.region, subject.unit
    denoised = np.ascontiguousarray(region.reference_output[0, 0][region.halo].cpu().numpy())
    maps = {
        "scan": Map(subject.scan, unit, "scan x"),
        "denoised": Map(denoised, unit, "denoised f(x)"),
        "lesion": Map(pattern, "1", "the lesion s"),
        "eta": found.finding.maps["eta"],
        "eta_low": found.finding.maps["eta_low"],
    }
    if inserted is not None:
        maps["inserted"] = Map(inserted.x_tilde, unit, "scan with the lesion x̃")
        maps["change"] = Map(inserted.x_tilde - subject.scan, unit, "x̃ − x")
        maps["denoised_inserted"] = Map(denoised + inserted.feedback_error, unit, "denoised f(x̃)")
        maps["denoised_change"] = Map(inserted.feedback_error, unit, "f(x̃) − f(x)")
    return maps


def _sentence(figures: dict[str, Any], found: Examined) -> str:
    name, tier, unit, lesion = figures["denoiser"], figures["tier"], figures["unit"], figures["lesion"]
    low, high = lesion["eta_range"]
    disc = f"a disc of {lesion['diameter_mm']:.1f} mm at row {lesion['y']:.1f}, column {lesion['x']:.1f}"
    keeps = f"η = {lesion['eta']:.3g} ({low:.3g} to {high:.3g} over C ± 20 % per band)"
    fits, verdict = figures["inserted"], figures["verdict"]
    if verdict == WITHHELD and found.hole is not None:
        return (
            f"No verdict on {name}: {found.hole.sentence}; {disc} keeps {keeps} with it and is not hidden once the hole is "
            "filled; mend C first."
        )
    if fits is None:
        nothing = f"contrasts from {_hundredth(figures)} on do not fit into the fibre at {tier}"
        if verdict == NOT_CERTIFIED:
            return f"{name} is blind to {disc} by linear theory, {keeps}, but not by feed-back: {nothing}."
        return (
            f"At {tier} {name} hides no lesion here: the least visible, {disc}, keeps {keeps}, and {nothing}."
        )
    strength = f"{'at least ' if fits['bounded'] else ''}{abs(fits['contrast_hu']):.3g} {unit}"
    darker = " darker" if fits["contrast_hu"] < 0 else ""
    certified = f"certified with an RMSE of {fits['rmse_hu']:.2g} {unit} at f"
    if verdict == BLIND:
        return (
            f"{name} is blind to {disc} at {tier}: up to {strength}{darker} fit into the fibre, {certified}, where an ideal "
            f"observer has d′ = {fits['d_in']:.3g} in the scan and {fits['d_eps']:.2g} after it; {keeps}."
        )
    if verdict == WITHIN_THE_TIER:
        return (
            f"{name} passes {disc} on ({keeps}), but {tier} averages over the region and lets {strength}{darker} of it "
            f"through, {certified} at d′ = {fits['d_in']:.3g} in the scan; choose a smaller region or a stricter tier."
        )
    upto = f"fits up to {strength}{darker}, d′ = {fits['d_in']:.2g} in the scan"
    if verdict == NOT_CERTIFIED:
        return (
            f"{name} is blind to {disc} by linear theory, {keeps}, but not by feed-back at {tier}: it {upto}."
        )
    return (
        f"At {tier} {name} hides no lesion here: the least visible, {disc}, {upto}, where an ideal observer sees one from "
        f"d′ = {D_SEEN:g} on; it keeps {keeps}."
    )


def _hundredth(figures: dict[str, Any]) -> str:
    return f"{0.01 * figures['tried_up_to_hu']:.2g} {figures['unit']}"


def change_of(finding: Finding) -> torch.Tensor | None:
    """(1, n) x̃ - x of a search's finding, None where nothing fitted."""
    change = finding.maps.get("change")
    return None if change is None else torch.from_numpy(change.values.reshape(1, -1))
