"""``ctinv analyse``: what a stored study shows, with a null distribution for each finding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import AsJson, CardFile, Device, NetworkClass, Study, StudyDenoiser, Trust
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting
from ctinv.errors import CtinvError

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding


@command("analyse")
def analyse(
    study: Study,
    analyses: Annotated[
        str, typer.Option("--analyses", metavar="A,B", help="Which ones; all that fit by default.")
    ] = "",
    denoiser: StudyDenoiser = None,
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for figures (JSON), curves (CSV) and maps (NIfTI)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the null distributions.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> Outcome:
    """Look for what matters in a study: structure beyond noise, hidden lesions, the worst plausible change."""
    from ctinv.analysis.folder import to_json, write_findings
    from ctinv.analysis.registry import ANALYSES, analyse_each
    from ctinv.analysis.subject import Subject
    from ctinv.sampler import Store
    from ctinv.sampler.network import find_denoiser

    wanted = _wanted(analyses)
    store = Store.open(study)
    hashes = store.provenance.weights_sha256
    chosen = find_denoiser(hashes, denoiser, network=network, card=card, trust=trust, device=device)
    findings: dict[str, Finding] = {}
    left_out: dict[str, str] = {}
    with reporting() as progress:
        subject = Subject.of_study(store, chosen, progress=progress)
        for name, result in analyse_each(wanted or tuple(ANALYSES), subject, seed=seed, progress=progress):
            if not isinstance(result, CtinvError):
                findings[name] = result
            elif wanted:
                raise result
            else:
                left_out[name] = str(result)
    facts = {
        "study": study.name,
        "key": store.provenance.key(),
        "seed": seed,
        "samples": len(subject.rows),
        "samples_left_out": subject.left_out,
        "unit": subject.unit,
        "left_out": left_out,
    }
    data = {**facts, "findings": {name: to_json(finding) for name, finding in findings.items()}}
    if out is not None:
        data["files"] = write_findings(out, findings, store.setting.volume, facts=facts)

    def show(console: Any) -> None:
        from ctinv.cli.tables import show_findings

        show_findings(console, {name: finding.sentence for name, finding in findings.items()}, left_out)
        if subject.left_out:
            console.print(
                f"{subject.left_out} samples do not hold (not reached or implausible) and are not analysed"
            )

    return Outcome(data, show)


def _wanted(names: str) -> tuple[str, ...]:
    from ctinv.analysis.registry import row_of

    wanted = tuple(word.strip() for word in names.split(",") if word.strip())
    for name in wanted:
        row_of(name)
    return wanted
