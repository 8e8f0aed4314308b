"""``ctinv report``: the page about a study that one can sign, and the same page drawn again from its record."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import AsJson, CardFile, Device, NetworkClass, StudyDenoiser, Trust
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting
from ctinv.errors import InputError
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.report.build import Report

_NONE = "none"


@command("report")
def report(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY", help="Study folder that `ctinv sample` wrote, for example study.zarr."
        ),
    ] = None,
    denoiser: StudyDenoiser = None,
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="HTML file; its record takes the same name with .json; report.html by default."
        ),
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print it as PDF, where there is a browser.")
    ] = False,
    analyses: Annotated[
        str | None, typer.Option("--analyses", help="Analyses, separated by commas, or none; all by default.")
    ] = None,
    layers: Annotated[
        Path | None,
        typer.Option("--layers", help="JSON of ctinv layers on the same scan, region and network."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the null distributions.")] = 0,
    device: Device = "auto",
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay", help="A report.json: draw all of it again and compare every byte; no study is needed."
        ),
    ] = None,
    as_json: AsJson = False,
) -> Outcome:
    """Write a report on a study: what was asked, what holds, eight figures, limits and provenance, in one HTML file."""
    from ctinv.report.study import report_on, write_report

    if (study is None) == (replay is None):
        raise InputError(
            "expected a study, or a record with --replay, one of the two; write for example study.zarr."
        )
    target = _target(out)
    if replay is not None:
        return _replay(replay, target, pdf=pdf)
    assert study is not None
    page = target or Path("report.html")
    names = _names(analyses)
    printer = _printer() if pdf else None
    with reporting() as progress:
        options = {"network": network, "card": card, "trust": trust}
        made = report_on(
            study, denoiser=denoiser, options=options, device=device, progress=progress,
            analyses=names, layers=layers, seed=seed,
        )  # fmt: skip
        files = write_report(made, page, printer=printer, progress=progress)
    return _outcome(made, files)


def _target(out: Path | None) -> Path | None:
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"expected a name that ends in .html, got {out.name}; choose another name.")
    return out


def _names(analyses: str | None) -> tuple[str, ...] | None:
    """The analyses that are asked, checked before any work is done; None for all."""
    if analyses is None:
        return None
    from ctinv.report.collect.findings import check_names

    named = [name.strip() for name in analyses.split(",") if name.strip()]
    return check_names([] if named == [_NONE] else named)


def _printer() -> str:
    from ctinv.report.pdf import find_browser

    return find_browser()


def _outcome(made: Report, files: dict[str, str]) -> Outcome:
    from ctinv.report import words

    content = made.record.content
    stamp, sentence = words.stamp(content)
    answer = words.answer(content)
    data = {
        "stamp": stamp,
        "verdict": [sentence, *answer],
        "findings": {
            name: {key: one[key] for key in ("sentence", "interesting", "absent") if key in one}
            for name, one in content["findings"].items()
        },
        "pictures": len(made.pictures),
        "seal": made.record.seal,
        "files": files,
        "key": content["summary"]["key"],
        "use": content["use"],
    }

    def show(console: Any) -> None:
        console.print(f"{stamp}: {sentence}", markup=False)
        for line in answer:
            console.print(line, markup=False)
        console.print(f"written: {', '.join(files.values())}", markup=False)
        console.print(content["use"], markup=False)

    return Outcome(data, show)


def _replay(record: Path, page: Path | None, *, pdf: bool) -> Outcome:
    """Draw a record again; the page is written where one is asked for and the record is what was sealed."""
    from ctinv.report.replay import replay

    printer = _printer() if pdf and page is not None else None
    with reporting() as progress:
        progress("drawing every picture again", math.nan)
        found = replay(record)
        files: dict[str, str] = {}
        if page is not None and found.report is not None:
            files = _write_again(found.report, page, printer, progress)
    data = {
        "intact": found.intact,
        "pictures": 0 if found.report is None else len(found.report.pictures),
        "different": list(found.different),
        "same_page": found.same_page,
        "drawn_with": found.drawn_with,
        "drawn_now": found.drawn_now,
        "files": files,
    }

    def show(console: Any) -> None:
        console.print(f"{data['pictures']} pictures drawn again, {len(found.different)} differ", markup=False)
        if found.problem is None:
            console.print("pictures and page are the same, byte for byte", markup=False)

    return Outcome(data, show, problem=found.problem)


def _write_again(made: Report, page: Path, printer: str | None, progress: Progress) -> dict[str, str]:
    from ctinv.atomic import write_atomic

    write_atomic(page, made.html, parents=True)
    files = {"html": page.name}
    if printer is not None:
        from ctinv.report.pdf import write_pdf

        progress("printing the PDF", math.nan)
        write_pdf(page, page.with_suffix(".pdf"), browser=printer)
        files["pdf"] = page.with_suffix(".pdf").name
    return files
