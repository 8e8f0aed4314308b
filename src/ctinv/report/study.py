"""The report of a study folder, from finding its denoiser to the files: what the shell and the viewer do alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.errors import CtinvError
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.report.build import Report


def report_on(
    study: Path,
    *,
    denoiser: str | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: Progress,
    **wishes: Any,
) -> Report:
    """Build the report of a study folder.

    Args:
        study: The folder.
        denoiser: Where its denoiser lies, for one that is not shipped.
        options: Network, card and trust, as `ctinv.sampler.network.find_denoiser` takes them.
        device: Where to compute.
        progress: Called with a phrase and a finished share.
        wishes: Analyses, layers and seed of `ctinv.report.build.build`.

    Raises:
        CtinvError: The study is damaged, or the named denoiser is not the one it was made with.
    """
    from ctinv.report.build import build
    from ctinv.sampler import Store

    store = Store.open(study)
    progress("loading the denoiser", math.nan)
    found, absent = _denoiser(
        store.provenance.weights_sha256, denoiser, {"device": device, **(options or {})}
    )
    return build(store, denoiser=found, absent=absent, progress=progress, **wishes)


def _denoiser(
    weights: Mapping[str, str], source: str | None, options: Mapping[str, Any]
) -> tuple[Denoiser | None, str]:
    """The study's denoiser; one that is not a shipped one and was not named is missing, which the report says."""
    from ctinv.denoiser import pick_device
    from ctinv.sampler.network import find_denoiser

    pick_device(
        options["device"]
    )  # a device that does not exist is an error, a denoiser that is not at hand is not
    try:
        return find_denoiser(weights, source, **options), ""
    except CtinvError as error:
        if source is not None:
            raise
        return None, f"the denoiser was not at hand: {error}"


def write_report(
    made: Report, page: Path, *, printer: str | None = None, progress: Progress
) -> dict[str, str]:
    """The page, its record beside it and, with a printer, the PDF; each whole.

    Args:
        made: The report.
        page: The HTML file; its folder is made where it is missing.
        printer: Browser that prints the PDF.
        progress: Called with a phrase and a finished share.

    Returns:
        Kind to the bare name of the file.
    """
    from ctinv.atomic import write_atomic

    files = {"html": page.name, "record": page.with_suffix(".json").name}
    write_atomic(page, made.html, parents=True)
    write_atomic(page.with_suffix(".json"), made.record.write())
    if printer is not None:
        from ctinv.report.pdf import write_pdf

        progress("printing the PDF", math.nan)
        write_pdf(page, page.with_suffix(".pdf"), browser=printer)
        files["pdf"] = page.with_suffix(".pdf").name
    return files
