"""``ctinv validate``: the sampler held against known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctinv.cli.app import command, exit_code_of
from ctinv.cli.options import AsJson
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.cli.progress import reporting


@command("validate")
def validate(
    out: Annotated[
        Path, typer.Option("--out", help="JSON file of the result; parts that are in it are not run again.")
    ],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="What every test run does, in about two minutes; else everything."),
    ] = False,
    problems: Annotated[
        str,
        typer.Option("--problems", metavar="A,B", help="Parts to run, such as G1,G3-sphere; by default all."),
    ] = "",
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder for the pictures of the result.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", help="Also write the tables between the validation marks of this Markdown file."
        ),
    ] = None,
    as_json: AsJson = False,
) -> Outcome:
    """Test the sampler on laws that are known exactly, and the tests on samplers that are wrong."""
    from ctinv.validation.page import page, verdict, write_page
    from ctinv.validation.results import Results
    from ctinv.validation.suite import run

    names = tuple(name.strip() for name in problems.split(",") if name.strip())
    results = Results(out)
    with reporting() as progress:
        try:
            run(results, full=not quick, names=names, progress=progress)
        except KeyboardInterrupt as stop:
            text = f"stopped; {len(results.parts)} parts are kept in {out.name}, the same command goes on from there."
            raise Stopped(text, exit_code=exit_code_of(stop), data={"parts": list(results.parts)}) from None
    if table is not None:
        write_page(table, results.parts)
    drawn = _draw(figures, results.parts) if figures is not None else []

    def show(console: Any) -> None:
        console.print(page(results.parts), markup=False, soft_wrap=True)

    data = {"out": out.name, "figures": drawn, "failures": results.failures, "parts": results.parts}
    return Outcome(data, show, problem=verdict(results.parts) if results.failures else None)


def _draw(folder: Path, parts: dict[str, Any]) -> list[str]:
    """The pictures that there is something to show in; their names."""
    import io

    from ctinv.atomic import write_atomic
    from ctinv.statement import png_text
    from ctinv.validation.figures import sheets

    names = []
    for name, figure in sheets(parts).items():
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata=png_text())
        write_atomic(folder / f"{name}.png", content.getvalue(), parents=True)
        names.append(f"{name}.png")
    return names
