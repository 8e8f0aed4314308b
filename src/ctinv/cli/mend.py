"""``ctinv verify | repair``: find what is damaged in a study, and draw exactly that again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctinv.cli.app import command
from ctinv.cli.options import AsJson, CardFile, Device, NetworkClass, Study, StudyDenoiser, Trust
from ctinv.cli.outcome import Outcome
from ctinv.cli.progress import reporting

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.sampler.verify import Fault


@command("verify")
def verify(study: Study, as_json: AsJson = False) -> Outcome:
    """Compare every file of a study with what was written; names all that is damaged, missing or foreign."""
    from ctinv.sampler import Store
    from ctinv.sampler.manifest import UNPROVEN
    from ctinv.sampler.verify import find_faults

    with reporting() as progress:
        progress("reading every file of the study", math.nan)
        faults = find_faults(study)
    opens = not any(fault.kind in ("metadata", "journal") for fault in faults)
    store = Store.open(study) if opens else None
    data: dict[str, Any] = {"study": study.name, "sound": not faults, "faults": _rows(faults)}
    if store is not None:
        data |= {"n": len(store.rows), "n_asked": store.n, "not_drawn": len(store.missing())}
        data["unproven"] = UNPROVEN if store.is_older else None
    problem = (
        f"{_sentence(faults)}; `ctinv repair {study.name}` mends what can be mended." if faults else None
    )
    return Outcome(data, lambda console: _show(console, data, faults), problem=problem)


@command("repair")
def repair(
    study: Study,
    denoiser: StudyDenoiser = None,
    network: NetworkClass = None,
    card: CardFile = None,
    trust: Trust = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also draw samples that were asked for and never drawn.")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> Outcome:
    """Draw exactly the damaged samples of a study again, from the study and its denoiser; no scan is needed."""
    from ctinv.sampler.network import find_denoiser
    from ctinv.sampler.repair import repair as mend

    def find(hashes: Mapping[str, str]) -> Denoiser:
        return find_denoiser(hashes, denoiser, network=network, card=card, trust=trust, device=device)

    with reporting() as progress:
        progress("reading every file of the study", math.nan)
        done = mend(study, find, missing=missing, progress=progress)
    data = {
        "study": study.name,
        "redrawn": list(done.rows),
        "same": done.same,
        "drawn": list(done.drawn),
        "files": list(done.files),
        "not_drawn": done.missing,
        "sound": not done.left,
        "faults": _rows(done.left),
    }
    problem = f"{_sentence(done.left)} and was left as it is." if done.left else None

    def show(console: Any) -> None:
        console.print(f"{len(done.rows)} samples were drawn again, {done.same} of them the same to the bit")
        for what, count in (
            ("never drawn before", len(done.drawn)),
            ("files were made again", len(done.files)),
        ):
            if count:
                console.print(f"{count} {what}")
        _show(console, data, done.left)

    return Outcome(data, show, problem=problem)


def _rows(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    return [asdict(fault) for fault in faults]


def _sentence(faults: Sequence[Fault]) -> str:
    more = f" and {len(faults) - 1} more faults" if len(faults) > 1 else ""
    return f"{faults[0].sentence[:110]}{more}"


def _show(console: Any, data: Mapping[str, Any], faults: Sequence[Fault]) -> None:
    from ctinv.cli.tables import show_faults

    if faults:
        show_faults(console, faults)
    else:
        console.print("every file is what was written")
    if data.get("unproven"):
        console.print(f"note: {data['unproven']}")
    if data.get("not_drawn"):
        console.print(
            f"{data['not_drawn']} samples that were asked for are not drawn yet; repeat the `ctinv sample` command, or "
            "`ctinv repair --missing`"
        )
