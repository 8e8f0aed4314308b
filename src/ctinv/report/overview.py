"""Pages for people, each with the same figures as JSON: one about one study, and one about the layers of a network.

The overview takes `Samples` in memory or a stored study alike; needs neither a model nor torch. Figures are in the unit of
the scan, HU for a CT, also where a name of the JSON says ``hu``; the JSON names the unit.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ctinv.atomic import write_atomic, write_png
from ctinv.errors import InputError
from ctinv.jsonable import dumps, plain
from ctinv.sampler.words import TARGET_DOMAIN, arrivals, number
from ctinv.statement import USE

if TYPE_CHECKING:
    from ctinv.fibre.tiers import Certificate
    from ctinv.sampler.batch import Batch, Setting
    from ctinv.sampler.provenance import Provenance

STAMP = USE
WINDOWS = {
    "soft tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 2000.0),
    "wide": (500.0, 3000.0),
}
SHOWN = 5


class Study(Protocol):
    """What the page needs; `ctinv.sampler.Samples` and `ctinv.sampler.Store` both have it."""

    @property
    def setting(self) -> Setting:
        """What all samples share."""

    @property
    def provenance(self) -> Provenance:
        """Where the samples come from."""

    @property
    def certificates(self) -> Sequence[Certificate]:
        """One per finished sample."""

    def summary(self) -> dict[str, Any]:
        """The figures of the command line."""

    def batches(self) -> Iterator[Batch]:
        """The samples with their certificates, in the order of their rows."""

    def mean(self) -> NDArray[np.float32]:
        """(h, w) HU, mean over the samples."""

    def spread(self) -> NDArray[np.float32]:
        """(h, w) HU, standard deviation over the samples."""

    def worst(self) -> NDArray[np.float32]:
        """(H', W') HU, largest absolute feed-back error over the samples."""

    def read(self, k: int) -> NDArray[np.float32]:
        """(h, w) HU, sample k."""

    def read_error(self, k: int) -> NDArray[np.float32]:
        """(H', W') HU, f(x̃) − f(x) of sample k over the output box."""


def overview(
    study: Study, path_png: str | Path, *, scan_slice: NDArray[np.float32] | None = None
) -> dict[str, Any]:
    """Draw the overview of a study as PNG and write the same figures beside it as JSON.

    It shows the slice with the region, x, f(x) and five x̃ in one HU window; below each of the five its x̃ − x
    and its f(x̃) − f(x) on ±2ε; the maps of spread, η and worst error; and the certificate table. The five are
    the first ones, not selected.

    Args:
        study: Samples or an opened store with at least one finished sample.
        path_png: Where the picture goes; the JSON takes the same name with ``.json``.
        scan_slice: (Y, X) HU, the whole slice of the scan; its panel is left out without it.

    Returns:
        The content of the JSON file.

    Raises:
        InputError: The study has no finished sample, or the slice does not fit its scan.
    """
    path_png = Path(path_png)
    if not study.certificates:
        raise InputError("the study has no finished sample yet, so there is nothing to draw; sample first.")
    _check_slice(study, scan_slice)
    from ctinv.picture import draw  # matplotlib takes half a second to load

    page = describe(study)
    figure = draw(study, page, scan_slice=scan_slice)
    write_png(path_png, figure)
    write_atomic(path_png.with_suffix(".json"), (dumps(page, indent=1) + "\n").encode(), parents=True)
    return page


def layer_page(page: dict[str, Any], path_json: str | Path, *, picture: str | Path | None = None) -> None:
    """Write a layer study as JSON and, where a path is given, its picture as PNG.

    Args:
        page: What `ctinv.layer_study.LayerStudy.to_json` gives.
        path_json: Where the figures go.
        picture: Where the picture goes.
    """
    content = dumps({"use": STAMP, **page}, indent=1) + "\n"
    write_atomic(Path(path_json), content.encode(), parents=True)
    if picture is not None:
        from ctinv.layer_picture import draw as draw_layers

        write_png(Path(picture), draw_layers(page, stamp=STAMP))


def choose_window(hu: NDArray[np.float32], *, modality: str = "CT") -> tuple[str, float, float]:
    """Name, lower and upper end in HU of the narrowest usual CT window that clips at most 2 % of the voxels.

    Where all of them clip more, the widest is taken. Another modality has no usual windows: percentile 1 to 99.
    """
    if modality != "CT":
        low, high = (float(value) for value in np.percentile(hu, [1.0, 99.0]))
        return "1 to 99 %", low, max(high, low + 1e-6 * max(1.0, abs(low)))
    ends = [(name, centre - width / 2, centre + width / 2) for name, (centre, width) in WINDOWS.items()]
    fitting = (one for one in ends if np.mean((hu < one[1]) | (hu > one[2])) <= 0.02)
    return next(fitting, ends[-1])


def table_rows(study: Study) -> list[tuple[str, str]]:
    """The certificate table: label and text, as drawn in the picture."""
    summary, provenance, scalars = study.summary(), study.provenance, study.setting.scalars
    rmse = summary["rmse_hu"]
    unit = provenance.unit
    tolerance_unit = "of the noise" if provenance.tolerance_unit == "relative" else unit
    total = sum(value for value in summary["seconds"].values() if value is not None)
    asked = f"tier {provenance.tier}, ε = {provenance.tolerance:.3g} {tolerance_unit}"
    implausible = f"{summary['implausible']} of {summary['n']}"
    fed_back = [
        ("asked", asked),
        ("passed", f"{summary['passed']} of {summary['n']}"),
        ("reached by", arrivals(summary)),
        ("passes each", number(summary["passes"])),
        ("RMSE, mean / worst", f"{number(rmse['mean'])} / {number(rmse['max'])} {unit}"),
        ("NFE, raw → corrected", f"{number(summary['nfe_raw'])} → {number(summary['nfe'], 2)}"),
        ("χ²/n (the scan's own)", f"{number(summary['chi2_per_n'])} ({number(summary['chi2_per_n_scan'])})"),
        *([("implausible by χ²/n", implausible)] if summary["implausible"] else []),
        (
            "spread (linear theory)",
            f"{number(summary['spread_hu'])} ({number(summary['spread_theory_hu'])}) {unit}",
        ),
        ("free share at ε", f"{100 * scalars.get('free_share', float('nan')):.3g} %"),
    ]
    shown = [("samples", TARGET_DOMAIN), ("spread", f"{number(summary['spread_hu'])} {unit}")]
    return [
        ("network, tap", f"{provenance.denoiser}, {provenance.tap}"),
        ("candidates, seed", f"{provenance.generator}, {provenance.seed}"),
        *(shown if provenance.domain == "target" else fed_back),
        ("noise of f(x)", f"{number(summary['sigma_out_hu'])} {unit}"),
        ("C", textwrap.shorten(str(provenance.noise.get("source", "not stated")), 40, placeholder=" …")),
        ("time", f"{total:.0f} s on {provenance.device}" if total else "-"),
    ]


def _check_slice(study: Study, scan_slice: NDArray[np.float32] | None) -> None:
    expected = study.provenance.volume_shape[1:]
    if scan_slice is not None and scan_slice.shape != expected:
        raise InputError(
            f"the slice has {scan_slice.shape} voxels, this study's scan {expected}; give that scan."
        )


def describe(study: Study) -> dict[str, Any]:
    """Everything the picture says, as JSON values."""
    setting, certificates = study.setting, list(study.certificates)
    name, low, high = choose_window(setting.fx, modality=setting.volume.modality)
    page = {
        "use": STAMP,
        "summary": study.summary(),
        "table": dict(table_rows(study)),
        "shown_samples": [one.k for one in certificates[:SHOWN]],
        "window_hu": {"name": name, "low": low, "high": high},
        "error_scale_hu": error_scale(study),
        "provenance": study.provenance.to_json(),
        "scalars": setting.scalars,
        "certificates": [asdict(one) for one in certificates],
    }
    content: dict[str, Any] = plain(page)
    return content


def error_scale(study: Study) -> float:
    """2ε in HU; at an inner tap, where ε has no unit, twice the mean RMSE at the output."""
    if study.provenance.tolerance_unit != "relative":
        return 2.0 * study.provenance.tolerance
    mean = float(np.mean([one.rmse_hu for one in study.certificates]))
    return 2.0 * mean if mean > 0 else 1.0
