"""Tables for people: the certificate table of a study, a scan's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ctinv.fibre.tiers import Certificate
    from ctinv.sampler.verify import Fault

_FIRST = 5


def number(value: Any, digits: int = 3) -> str:
    """A figure with this many significant digits, whole from there on (−1024, not −1.02e+03), a dash where there is none."""
    if value is None or value != value:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"


def show_facts(console: Console, title: str, facts: Mapping[str, Any]) -> None:
    """Two columns: what, and its value."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, value if isinstance(value, str) else number(value))
    console.print(table)


def show_study(console: Console, summary: Mapping[str, Any], certificates: Sequence[Certificate]) -> None:
    """The summary of a study and the certificates of its first samples; the target domain has none."""
    from rich.table import Table

    show_facts(console, "", study_facts(summary))
    if summary["domain"] == "target":
        return
    table = Table(
        title=f"certificates of the first {min(_FIRST, len(certificates))} samples, errors in {summary['unit']}",
        title_justify="left",
        box=None,
    )
    for heading in (
        "k",
        "RMSE raw",
        "RMSE",
        "p99",
        "NFE raw",
        "NFE",
        "χ²/n",
        "by",
        "passes",
        "tier",
        "passed",
    ):
        table.add_column(heading, justify="right")
    for one in certificates[:_FIRST]:
        table.add_row(*_certificate_row(one))
    console.print(table)


def _certificate_row(one: Certificate) -> list[str]:
    figures = [number(value) for value in (one.rmse_hu_raw, one.rmse_hu, one.p99_hu)]
    figures += [number(value, 2) for value in (one.nfe_raw, one.nfe)]
    chi2 = number(one.chi2_per_n) + (" implausible" if one.in_band is False else "")
    passes = str(one.passes) if one.passes else "-"
    passed = "yes" if one.passed else "NO"
    return [str(one.k), *figures, chi2, one.reached, passes, one.tier, passed]


def study_facts(summary: Mapping[str, Any]) -> dict[str, str]:
    """The figures of a study as label and text, in the order people ask for them."""
    from ctinv.sampler.words import verdict, ways

    rmse, unit = summary["rmse_hu"], summary["unit"]
    spread, theory = number(summary["spread_hu"]), number(summary["spread_theory_hu"])
    if summary["domain"] == "target":
        facts = {"samples": verdict(summary), "spread": f"{spread} {unit}"}
    else:
        expected = number(summary["chi2_per_n_expected"])
        facts = {
            "invariances": verdict(summary),
            "RMSE of f(x̃) − f(x)": f"mean {number(rmse['mean'])} {unit}, worst {number(rmse['max'])} {unit}",
            "NFE": f"{number(summary['nfe_raw'])} raw → {number(summary['nfe'], 2)} corrected",
            "reached by": ways(summary),
            "χ²/n": f"{number(summary['chi2_per_n'])} (the scan itself {number(summary['chi2_per_n_scan'])}, "
            f"the law {expected})",
            "spread": f"{spread} {unit} (linear theory {theory} {unit})",
        }
        if summary.get("free_share") is not None:
            facts["free share at ε"] = f"{100 * summary['free_share']:.3g} %"
    if summary.get("seconds"):
        facts["seconds"] = ", ".join(f"{name} {number(value)}" for name, value in summary["seconds"].items())
    return facts


def show_faults(console: Console, faults: Sequence[Fault]) -> None:
    """What is wrong with a study, one row for each file."""
    from rich.table import Table

    from ctinv.sampler.verify import listed

    table = Table(title="", title_justify="left", box=None)
    for heading in ("what", "file", "lines", "is wrong", "samples"):
        table.add_column(heading)
    for fault in faults:
        table.add_row(fault.kind, fault.file, listed(fault.lines), fault.problem, listed(fault.rows))
    console.print(table)


def show_dimension(console: Console, data: Mapping[str, Any]) -> None:
    """d_eff and free share for each tolerance."""
    from rich.table import Table

    title = f"{data['denoiser']} at {data['tap']}, box {data['box']}: {data['voxels']} voxels"
    table = Table(title=title, title_justify="left", box=None)
    bands = list(data["dimension"][0]["bands"])
    for heading in ("", f"ε {data['unit']}", "d_eff", "free share", *(f"free, {band}" for band in bands)):
        table.add_column(heading, justify="right")
    for row in data["dimension"]:
        shares = (row["free_share"], *(row["bands"][band] for band in bands))
        cells = (number(row["eps"]), number(row["d_eff"], 4), *(f"{100 * share:.3g} %" for share in shares))
        table.add_row(row["name"], *cells)
    console.print(table)


def show_findings(console: Console, sentences: Mapping[str, str], left_out: Mapping[str, str]) -> None:
    """One paragraph for each analysis, and why one was left out."""
    from rich.table import Table

    from ctinv.analysis.registry import ANALYSES

    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, sentence in sentences.items():
        table.add_row(ANALYSES[name].title, sentence)
    for name, reason in left_out.items():
        table.add_row(ANALYSES[name].title, f"left out: {reason}")
    console.print(table)


def flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested facts as one level of labelled values, for people."""
    rows: dict[str, Any] = {}
    for name, value in facts.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows.update(flat(value, f"{label}: "))
        elif hasattr(value, "tolist"):
            rows[label] = str(value.tolist())
        elif isinstance(value, (list, tuple)):
            rows[label] = ", ".join(
                number(item) if not isinstance(item, (list, tuple)) else str(item) for item in value
            )
        elif value is not None:
            rows[label] = value
    return rows
