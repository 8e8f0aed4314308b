"""All parts of the validation, one by one: the laws that are known, and what is only approximate.

A problem passes when every rule of `ctinv.validation.checks.RULES` is kept for every seed, its calibration keeps its own,
and each of its wrong samplers breaks at least one rule: checks that wrong samplers pass prove nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import chi2

from ctinv.errors import InputError
from ctinv.progress import Progress
from ctinv.statistics.two_sample import mahalanobis, sliced_wasserstein, sliced_wasserstein_floor
from ctinv.validation.calibration import Calibration, simulate
from ctinv.validation.checks import SAMPLES, Check, Rule, Sets, is_gaussian, judged, rules_of
from ctinv.validation.problems.contract import Problem
from ctinv.validation.problems.find import PROBLEMS, make_problem
from ctinv.validation.results import Results, fingerprint

Record = dict[str, Any]

_QUANTILES = np.arange(1, 100) / 100.0


@dataclass(frozen=True)
class Effort:
    """How much is drawn.

    Attributes:
        seeds: Seeds of the laws; wrong samplers take the first.
        simulations: Simulated scans of a calibration.
        draws: Samples of each.
        rescans: Re-scans without a planted lesion.
        thorough: Whether everything is measured everywhere. Else MMD is left to the energy test, rules that draw
            more samples to the first seed, and a wrong sampler is left as soon as it breaks a rule.
    """

    seeds: tuple[int, ...]
    simulations: int
    draws: int
    rescans: int
    thorough: bool


QUICK = Effort(seeds=(0, 1, 2), simulations=200, draws=50, rescans=3, thorough=False)
FULL = Effort(seeds=(0, 1, 2), simulations=1000, draws=100, rescans=20, thorough=True)


def run(
    results: Results, *, full: bool, names: Sequence[str] = (), progress: Progress | None = None
) -> Results:
    """Run the parts that are not in the results yet.

    Args:
        results: Where finished parts are and go.
        full: At least 1000 simulations, and all rules everywhere.
        names: Parts to run; by default all, without the slow ones where not `full`.
        progress: Told what is done.

    Raises:
        InputError: There is no such part.
    """
    effort = FULL if full else QUICK
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise InputError(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}.")
    chosen = names or tuple(name for name in PARTS if full or name not in SLOW)
    versions = fingerprint()
    for index, name in enumerate(chosen):
        decided_by = {**asdict(effort), "versions": versions}
        if not results.holds(name, decided_by):
            since = time.perf_counter()
            record = PARTS[name](effort, partial(_tell, progress, index, len(chosen)))
            seconds = round(time.perf_counter() - since, 1)
            results.add(name, {"decided_by": decided_by, "seconds": seconds, **record})
    return results


def _tell(progress: Progress | None, index: int, count: int, text: str, share: float) -> None:
    if progress is not None:
        progress(text, (index + share) / count)


def problem_part(name: str, effort: Effort, progress: Progress) -> Record:
    """Everything of one problem."""
    progress(f"{name}: setting up", 0.0)
    problem = make_problem(name)
    drawn, checks, failures = laws(problem, effort, progress)
    wrong, caught, missed = controls(problem, effort, progress)
    calibration, off = calibrated(problem, effort, progress) if problem.quantities else (None, [])
    return {
        "dimension": problem.dimension,
        "gaussian": is_gaussian(problem),
        "samples": SAMPLES,
        "effective_share": drawn[0].effective_share,
        "laws": {str(seed): _plain(one) for seed, one in zip(effort.seeds, checks, strict=True)},
        "sliced": _sliced(drawn[0]),
        "controls": caught,
        "quantiles": _quantiles(problem, drawn, wrong),
        "calibration": calibration,
        "failures": [*failures, *missed, *off],
    }


def laws(
    problem: Problem, effort: Effort, progress: Progress
) -> tuple[list[Sets], list[dict[str, Check]], list[str]]:
    """The sampler against the exact law: its samples and checks, seed by seed, and a line for each rule that is broken."""
    rules = rules_of(problem.name)
    drawn, measures = [], []
    for index, seed in enumerate(effort.seeds):
        progress(f"{problem.name}: the law, seed {seed}", 0.3 * index / len(effort.seeds))
        drawn.append(Sets.draw(problem, SAMPLES, seed=seed))
        measures.append(
            measure(drawn[-1], rules if effort.thorough else quick_rules(rules, first=index == 0))
        )
    checks = judged(measures, rules)
    failures = [
        f"seed {seed}: {check}"
        for seed, one in zip(effort.seeds, checks, strict=True)
        for check in _broken(one)
    ]
    return drawn, checks, failures


def measure(sets: Sets, rules: Mapping[str, Rule]) -> dict[str, float]:
    """The value of each rule."""
    return {name: rule.measure(sets) for name, rule in rules.items()}


def quick_rules(rules: Mapping[str, Rule], *, first: bool) -> dict[str, Rule]:
    """The rules of a quick run, of its first seed or of another."""
    kept = {name: rule for name, rule in rules.items() if not rule.is_second}
    return {name: rule for name, rule in kept.items() if first or not rule.draws_more}


def controls(
    problem: Problem, effort: Effort, progress: Progress
) -> tuple[dict[str, Sets], dict[str, Any], list[str]]:
    """Each wrong sampler: its samples, the checks it was held against, and a line for each that was not caught."""
    drawn: dict[str, Sets] = {}
    checks: dict[str, Any] = {}
    missed = []
    for index, name in enumerate(problem.controls):
        progress(f"{problem.name}: the wrong sampler {name}", 0.3 + 0.3 * index / len(problem.controls))
        drawn[name] = Sets.draw(problem, SAMPLES, seed=effort.seeds[0], control=name)
        found = broken_by(drawn[name], thorough=effort.thorough)
        checks[name] = _plain(found)
        if not _broken(found):
            missed.append(f"the wrong sampler {name!r} breaks no rule")
    return drawn, checks, missed


def broken_by(sets: Sets, *, thorough: bool) -> dict[str, Check]:
    """Checks of a wrong sampler, up to the first rule that it breaks where not `thorough`.

    Rules that draw more samples are left out: what is caught, is caught with the samples that the law was tested with.
    """
    rules = {name: rule for name, rule in rules_of(sets.problem.name).items() if not rule.draws_more}
    found: dict[str, float] = {}
    checks: dict[str, Check] = {}
    for name, rule in rules.items():
        found[name] = rule.measure(sets)
        checks = judged([found], rules)[0]
        if not thorough and _broken(checks):
            break
    return checks


def calibrated(problem: Problem, effort: Effort, progress: Progress) -> tuple[Record, list[str]]:
    """Calibration of the sampler, and of the same samples pulled in by a fifth, which must be caught."""

    def tell(text: str, share: float) -> None:
        progress(text, 0.6 + 0.4 * share)

    simulated = simulate(problem, effort.simulations, effort.draws, progress=tell)
    found, narrowed = Calibration.of(simulated), Calibration.of(simulated.narrowed())
    failures = [f"calibration: {check}" for check in _broken(found.checks)]
    if not _broken(narrowed.checks):
        failures.append("calibration: samples pulled in by a fifth break no rule")
    return {
        "simulations": effort.simulations,
        "draws": effort.draws,
        "checks": _plain(found.checks),
        **found.curves(),
        "narrowed": {"checks": _plain(narrowed.checks), **narrowed.curves()},
    }, failures


def _broken(checks: Mapping[str, Check]) -> list[Check]:
    return [check for check in checks.values() if not check.passed]


def _plain(checks: Mapping[str, Check]) -> dict[str, Any]:
    return {name: asdict(check) for name, check in checks.items()}


def _sliced(sets: Sets) -> dict[str, float]:
    """How far the samples are from exact ones in HU, and how far two sets of one law are by chance."""
    return {
        "hu": sliced_wasserstein(sets.samples, sets.exact),
        "chance_hu": sliced_wasserstein_floor(sets.samples, sets.exact),
    }


def _quantiles(problem: Problem, drawn: Sequence[Sets], wrong: Mapping[str, Sets]) -> dict[str, Any]:
    """Quantiles of the squared Mahalanobis distance: of the law, and of each set of samples."""
    law = chi2(problem.dimension).ppf(_QUANTILES)
    if not is_gaussian(problem):
        exact = np.concatenate([sets.exact for sets in drawn])
        law = np.quantile(mahalanobis(exact, *problem.moments), _QUANTILES)
    found = {
        name: np.quantile(mahalanobis(sets.samples, *problem.moments), _QUANTILES).round(4)
        for name, sets in {**{str(sets.seed): sets for sets in drawn}, **wrong}.items()
    }
    return {"levels": _QUANTILES, "law": law.round(4), "samples": found}


def planted_part(effort: Effort, progress: Progress) -> Record:
    """The planted lesion is found, and no false alarm is raised on re-scans of the bare network."""
    from ctinv.validation.planted import check

    progress("G5: the planted lesion, and re-scans without one", 0.0)
    found = check(seeds=range(effort.rescans), planted=3 if effort.thorough else 1)
    return {
        "planted": [asdict(one) for one in found],
        "failures": [str(one) for one in found if not one.passed],
    }


def nonlinear_part(effort: Effort, progress: Progress) -> Record:
    """How far the sampler is from the law on a real network; no rule, as nothing is claimed there."""
    from ctinv.validation.nonlinear import deviation

    return {"deviation": deviation(seed=effort.seeds[0], progress=progress), "failures": []}


PARTS: dict[str, Callable[[Effort, Progress], Record]] = {
    **{name: partial(problem_part, name) for name in PROBLEMS},
    "G5": planted_part,
    "nonlinear": nonlinear_part,
}
"""Name of a part to the function that runs it."""
SLOW = ("G5", "nonlinear")
"""Parts that a quick run leaves out unless they are named."""
