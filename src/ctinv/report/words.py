"""What the report says in sentences: what was asked, what a tier means, what came out, and what failed.

Every sentence is made of the record's content alone and carries its numbers and units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ctinv.fibre.tiers import MAX_T0_HU, NFE_T3, NONE, RELATIVE, RMSE_T1_HU, TIERS, WAYS
from ctinv.sampler.words import TARGET_DOMAIN

Content = Mapping[str, Any]

OK, FAILED, INCOMPLETE, TARGET = "certified", "failed", "incomplete", "target"
_THIN = "\u2009"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure(value: Any, digits: int = 3) -> str:
    """A number for print: so many significant digits, whole from a thousand on, powers of ten written out."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else ("yes" if value is True else "no" if value is False else str(value))
    if not math.isfinite(value):
        return "–"
    if isinstance(value, int) or (abs(value) >= 10**digits and abs(value) < 1e7):
        return f"{value:,.0f}".replace(",", _THIN).replace("-", "−")
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}{_THIN}×{_THIN}10{str(int(exponent)).translate(_RAISED)}"
    return text.replace("-", "−")


def percent(share: Any, digits: int = 3) -> str:
    """A share in percent."""
    return "–" if share is None else f"{figure(100.0 * share, digits)}{_THIN}%"


def unit_of_tolerance(content: Content) -> str:
    """The unit of ε in words."""
    provenance = content["provenance"]
    relative = provenance["tolerance_unit"] == "relative"
    return "of the tap's response to noise" if relative else str(provenance["unit"])


def tolerance(content: Content) -> str:
    """ε with its unit."""
    provenance = content["provenance"]
    if provenance["tolerance_unit"] == "relative":
        return f"{percent(provenance['tolerance'])} {unit_of_tolerance(content)}"
    return f"{figure(provenance['tolerance'])} {provenance['unit']}"


def tier_rule(content: Content) -> str:
    """What the asked tier demands, with its numbers."""
    provenance = content["provenance"]
    tier, unit, step, width = (provenance[name] for name in ("tier", "unit", "step", "window_hu"))
    if provenance["tolerance_unit"] == "relative":
        return (
            f"tier {tier}: the error at {provenance['tap']} is at most {percent(RELATIVE[tier])} of the RMS with "
            "which this tap answers to the noise of the scan"
        )
    noise = content["scalars"].get("sigma_out_hu")
    limit = NFE_T3 * math.sqrt(2.0) * noise if noise is not None else None
    rules = {
        "T0": f"the same numbers: the largest error is at most {figure(MAX_T0_HU * step)} {unit}",
        "T1": f"below the rounding of stored numbers: the RMSE is at most {figure(RMSE_T1_HU * step)} {unit}",
        "T2": f"the same 8-bit picture in a window of {figure(width)} {unit}: the RMSE is at most "
        f"{figure(width / (256.0 * math.sqrt(12.0)))} {unit} and the 99th percentile of the error at most "
        f"{figure(width / 256.0)} {unit}",
        "T3": f"ten times below the noise of f(x): the RMSE is at most {figure(limit)} {unit} (NFE {NFE_T3})",
    }
    return f"tier {tier}, {rules[tier]}"


def state(content: Content) -> str:
    """One of `OK`, `FAILED`, `INCOMPLETE`, `TARGET`: decides the looks of the page."""
    summary = content["summary"]
    if summary["domain"] == "target":
        return TARGET
    if failing(content) or content["recheck"].get("agree") is False:
        return FAILED
    return INCOMPLETE if summary["n"] < summary["n_asked"] else OK


def failing(content: Content) -> list[Mapping[str, Any]]:
    """Certificates of samples that did not reach the tier or look like no scan, the worst first."""
    if content["summary"]["domain"] == "target":
        return []
    return [one for one in by_badness(content) if not one["passed"] or one["in_band"] is False]


def by_badness(content: Content) -> list[Mapping[str, Any]]:
    """All certificates: those that missed the tier, then those that are implausible, each with the larger RMSE first."""
    return sorted(
        content["certificates"],
        key=lambda one: (
            bool(one["passed"]),
            one["in_band"] is not False,
            -(one["rmse_hu"] or math.inf),
            one["k"],
        ),
    )


def stamp(content: Content) -> tuple[str, str]:
    """The stamp on the certificate: a few capital words, and the sentence below them."""
    summary, unit = content["summary"], content["unit"]
    if summary["domain"] == "target":
        return "NO CERTIFICATES", f"{summary['n']} images of the {TARGET_DOMAIN}."
    late, strange = summary["not_reached"], summary["implausible"] or 0
    parts = []
    if late["n"]:
        low, high = (figure(late["rmse_hu"][end]) for end in ("min", "max"))
        parts.append(
            f"{late['n']} of {summary['n']} samples did not reach tier {summary['tier']}, with an RMSE of "
            f"{low if low == high else f'{low} to {high}'} {unit}"
        )
    if strange:
        parts.append(f"{strange} of {summary['n']} samples are implausible: by χ²/n no scanner makes them")
    if content["recheck"].get("agree") is False:
        parts.append("the stored certificates are not those of the stored images")
    if parts:
        return "FAILED", "; ".join(parts) + ". None of them is analysed, ranked or shown as an invariance."
    if summary["n"] < summary["n_asked"]:
        return (
            "INCOMPLETE",
            f"Only {summary['n']} of {summary['n_asked']} samples have been drawn; all of those hold.",
        )
    return (
        "CERTIFIED",
        f"All {summary['n']} samples reach tier {summary['tier']} and are plausible as scans by χ²/n.",
    )


def asked(content: Content) -> str:
    """The question in plain words."""
    provenance, summary = content["provenance"], content["summary"]
    if summary["domain"] == "target":
        return (
            f"{summary['n']} images were drawn as {provenance['denoiser']} should make them (generator "
            f"{provenance['generator']}). They are images of the {TARGET_DOMAIN}: they are no scans, so there is "
            "nothing to feed back, and no certificate is possible."
        )
    what = (
        "the same output"
        if provenance["tap"] == "output"
        else f"the same representation at {provenance['tap']}"
    )
    return (
        f"Which other images of this region does {provenance['denoiser']} map to {what} as the scan x, within ε = "
        f"{tolerance(content)}? {summary['n_asked']} such images x̃ were asked for; each was proposed by "
        f"{provenance['generator']}, moved onto the fibre and fed back. To hold, an image must meet "
        f"{tier_rule(content)}."
    )


def answer(content: Content) -> list[str]:
    """The verdict in two or three sentences."""
    if content["summary"]["domain"] == "target":
        return [
            f"The images vary by {figure(content['summary']['spread_hu'])} {content['unit']} RMS. "
            + _no_judgement()
        ]
    return [_certified(content), _freedom(content), _found(content)]


def _no_judgement() -> str:
    return "Nothing in this report says whether the network would make them: they were not fed back."


def _certified(content: Content) -> str:
    summary, unit = content["summary"], content["unit"]
    held = summary["n"] - len(failing(content))
    worst, mean = figure(summary["rmse_hu"]["max"]), figure(summary["rmse_hu"]["mean"])
    if content["provenance"]["tolerance_unit"] == "relative":
        tap = content["provenance"]["tap"]
        known = [one["error"] for one in content["certificates"] if one["error"] is not None]
        return (
            f"{held} of {summary['n']} samples hold. Fed back, the representation at {tap} differs by "
            f"{percent(max(known, default=None))} of its response to noise at worst, and f(x̃) from f(x) by {worst} "
            f"{unit} RMS at worst (NFE {figure(summary['nfe'], 2)}, where 1 is the difference between two scans)."
        )
    return (
        f"{held} of {summary['n']} samples hold. Fed back, f(x̃) differs from f(x) by {mean} {unit} RMS on average "
        f"over all {summary['n']} and by {worst} {unit} at worst (NFE {figure(summary['nfe'], 2)}, where 1 is the "
        "difference between two scans)."
    )


def _freedom(content: Content) -> str:
    summary, scalars, unit = content["summary"], content["scalars"], content["unit"]
    noise = scalars.get("sigma_noise_hu")
    compared = f" against {figure(noise)} {unit} of noise in the scan" if noise else ""
    free = summary["free_share"]
    share = f"; at ε {percent(free)} of the dimensions of the region are free" if free is not None else ""
    return f"What the network leaves open amounts to {figure(summary['spread_hu'])} {unit} RMS per pixel{compared}{share}."


def _found(content: Content) -> str:
    made = {name: one for name, one in content["findings"].items() if "sentence" in one}
    if not made:
        return "No analysis was made of what differs, so nothing is said on whether it matters."
    striking = [one["title"].lower() for one in made.values() if one["interesting"]]
    count = f"{len(made)} analys{'is' if len(made) == 1 else 'es'}"
    if striking:
        return f"Of {count} {len(striking)} found something beyond its threshold: {'; '.join(striking)} (see below)."
    return (
        f"None of {count} found anything beyond its threshold: in this region, at this ε, nothing of interest was "
        "found to be hidden."
    )


def counts(content: Content) -> list[tuple[str, list[int]]]:
    """Samples by best tier met (rows) and by the way they arrived (columns of `ways`)."""
    columns = ways(content)
    certificates: Sequence[Mapping[str, Any]] = content["certificates"]
    return [
        (
            tier,
            [sum(one["tier"] == tier and one["reached"] == way for one in certificates) for way in columns],
        )
        for tier in (*TIERS, NONE)
    ]


def ways(content: Content) -> list[str]:
    """The ways of `WAYS`, and any other that older studies name."""
    others = {str(one["reached"]) for one in content["certificates"]} - set(WAYS)
    return [*WAYS, *sorted(others)]
