"""``ctinv trust``: the list of models that may run code, each by its sha256, and what one of them would run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import AsJson
from ctinv.cli.outcome import Outcome
from ctinv.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from ctinv.models.would_run import WouldRun


@command("trust")
def trust(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|BUNDLE|SHA256]", help="What to trust; without it, everything trusted is listed."
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Trust it no longer.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; with --json this has to be said.")] = False,
    as_json: AsJson = False,
) -> Outcome:
    """Trust a model that runs code, by the sha256 of its content: shows what it would run, asks, and remembers it.

    It will run in a child process without files and network, and only as long as its content is the same.
    """
    from ctinv.models.trust import forget, is_sha256, read_trust

    if source is None:
        if remove:
            raise InputError("name the file, bundle or sha256 that is not to be trusted any longer.")
        return _listed(read_trust())
    found = None
    if Path(source).exists():
        from ctinv.models.would_run import what_would_run

        found = what_would_run(Path(source))
    elif not is_sha256(source):
        raise InputError(
            f"there is no file or bundle {Path(source).name[:60]!r}, and it is no sha256 of 64 digits."
        )
    sha256 = source.lower() if found is None else found.sha256
    if remove:
        forget(sha256)
        return _said("is no longer trusted", sha256, {})
    return _asked(found, sha256, yes=yes, as_json=as_json)


def untrusted(source: Path, problem: str) -> Outcome:
    """What ``ctinv info`` says of a model that would run code: all that it would run, and the refusal."""
    from ctinv.models.would_run import what_would_run

    found = what_would_run(source)

    def show(console: Console) -> None:
        _show(console, found)
        console.print(f"if you trust its author: ctinv trust {source.name}", markup=False, soft_wrap=True)

    return Outcome({**_facts(found), "kind": "untrusted"}, show, problem)


def _asked(found: WouldRun | None, sha256: str, *, yes: bool, as_json: bool) -> Outcome:
    from ctinv.models.trust import remember

    if as_json and not yes:
        raise InputError("with --json nobody is asked; look at `ctinv info --json`, then add --yes.")
    if not yes:
        from rich.console import Console

        if found is not None:
            _show(Console(), found)
        if not typer.confirm(f"Trust {sha256[:12]}…, so that it may run in a child process?"):
            raise InputError("nothing was trusted.")
    kind, name = ("by its sha256 alone", "") if found is None else (found.kind, found.name)
    remember(sha256, kind=kind, name=name)
    return _said("is trusted", sha256, {} if found is None else _facts(found))


def _facts(found: WouldRun) -> dict[str, Any]:
    return {**asdict(found), "what": found.kind}


def _show(console: Console, found: WouldRun) -> None:
    from ctinv.models.would_run import lines_of

    for line in lines_of(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _said(what: str, sha256: str, facts: dict[str, Any]) -> Outcome:
    def show(console: Console) -> None:
        console.print(f"{sha256} {what}", soft_wrap=True)

    return Outcome({**facts, "sha256": sha256, "trusted": what == "is trusted"}, show)


def _listed(known: dict[str, dict[str, str]]) -> Outcome:
    from ctinv.models.would_run import printable

    def show(console: Console) -> None:
        for sha256, about in sorted(known.items(), key=lambda item: item[1]["date"]):
            words = printable("  ".join((about["date"], about["kind"], about["name"])))
            console.print(f"{sha256}  {words}", markup=False, highlight=False, soft_wrap=True)
        if not known:
            console.print("nothing is trusted")

    return Outcome({"trusted": known}, show)
