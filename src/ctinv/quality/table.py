"""Figures as a Markdown table and as sentences, the same in the docs and on model cards."""

from __future__ import annotations

from collections.abc import Mapping

Figures = Mapping[str, float | None]

_COLUMNS: dict[str, tuple[str, str]] = {
    "rmse_hu": ("RMSE, HU", ".2f"),
    "psnr_db": ("PSNR, dB", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "noise_std_hu": ("noise, HU", ".1f"),
    "nps_mean_ratio": ("NPS mean", ".2f"),
    "nps_peak_ratio": ("NPS peak", ".2f"),
    "nps_distance": ("NPS distance", ".2f"),
    "edge_ratio": ("edge", ".2f"),
    "low_edge_ratio": ("low-contrast edge", ".2f"),
}

LEGEND = """Against the full-dose scan, at places chosen in it. RMSE over the pixels above −950 HU at full dose; PSNR and
SSIM (Gaussian window, σ 1.5) over whole slices clipped to −1000…1000 HU, data range 2000 HU; means over slices. Noise:
standard deviation in the flattest soft-tissue squares of 32 x 32 pixels, without their quadratic trend. NPS mean and
peak: frequency of the noise power spectrum in these squares over that of the full dose (below 1: blotchier). NPS
distance: mean |log10| of the ratio of both spectra (0: the same noise). Edge: 10-90 % rise over that of the full dose
(above 1: blurred) for skin, lung and gas (at least 400 HU), and for fat beside soft tissue (80 to 250 HU). Vessels
too small to be left out count as noise of low frequency."""


def row(label: str, figures: Figures) -> str:
    """One line of the table; a dash where a figure does not exist."""
    cells = (_cell(figures.get(key), form) for key, (_, form) in _COLUMNS.items())
    return f"| {label} | " + " | ".join(cells) + " |"


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def table(rows: Mapping[str, Figures]) -> str:
    """Markdown table of label to figures; the full dose is recognised by having no error."""
    head = "| image | " + " | ".join(title for title, _ in _COLUMNS.values()) + " |"
    return "\n".join(
        [head, "|---" * (len(_COLUMNS) + 1) + "|", *(row(label, of) for label, of in rows.items())]
    )


def full_row(figures: Figures) -> dict[str, float | None]:
    """The full dose beside itself: its noise, and ratios of 1 to itself where they exist."""
    ratios = {"nps_mean_ratio": "nps_mean_per_mm", "nps_peak_ratio": "nps_peak_per_mm"}
    ratios |= {"edge_ratio": "edge_mm", "low_edge_ratio": "low_edge_mm"}
    ones = {key: None if figures.get(of) is None else 1.0 for key, of in ratios.items()}
    distance = None if figures.get("noise_std_hu") is None else 0.0
    return {"noise_std_hu": figures.get("noise_std_hu"), "nps_distance": distance, **ones}


def absolute(full: Figures) -> str:
    """What the ratios of a patient are relative to, in words; empty if nothing was measured."""
    parts = {
        "nps_mean_per_mm": "NPS mean {:.3f} and",
        "nps_peak_per_mm": "peak {:.3f} cycles/mm,",
        "edge_mm": "edge {:.2f} mm,",
        "low_edge_mm": "low-contrast edge {:.2f} mm,",
    }
    said = [text.format(full[key]) for key, text in parts.items() if full.get(key) is not None]
    return f"Full dose: {' '.join(said)[:-1]}." if said else ""


def verdict(denoised: Figures, low: Figures, classical: Mapping[str, Figures]) -> list[str]:
    """Sentences: whether the RMSE is below those of the low dose and of the filters, and how the noise compares."""
    return [
        *_on_rmse(denoised.get("rmse_hu"), low.get("rmse_hu"), _known(classical, "rmse_hu")),
        *_on_noise(denoised.get("noise_std_hu"), denoised.get("nps_mean_ratio")),
        *_on_distance(denoised.get("nps_distance"), _known(classical, "nps_distance")),
    ]


def _known(classical: Mapping[str, Figures], key: str) -> dict[str, float]:
    values = ((label, figures.get(key)) for label, figures in classical.items())
    return {label: value for label, value in values if value is not None}


def _on_rmse(rmse: float | None, low: float | None, classical: Mapping[str, float]) -> list[str]:
    said = []
    if rmse is not None and low:
        said.append(f"RMSE {rmse / low - 1:+.0%} against the low dose.")
    if rmse is not None and classical:
        best = min(classical, key=lambda label: classical[label])
        word = "below" if rmse < classical[best] else "**not below**"
        said.append(f"RMSE {word} the best classical filter ({best}, {classical[best]:.2f} HU).")
    return said


def _on_noise(std: float | None, mean: float | None) -> list[str]:
    if std is None or mean is None:
        return []
    texture = "as fine as" if 0.95 <= mean <= 1.05 else ("blotchier than" if mean < 1 else "finer than")
    return [f"Noise of {std:.1f} HU, {texture} at full dose (NPS mean frequency {mean - 1:+.0%})."]


def _on_distance(own: float | None, classical: Mapping[str, float]) -> list[str]:
    if own is None or not classical:
        return []
    nearer = [label for label, other in classical.items() if own < other]
    farther = [label for label in classical if label not in nearer]
    words = [f"{word} than {_and(of)}" for word, of in (("nearer", nearer), ("farther", farther)) if of]
    return [f"NPS {' and '.join(words)} to that of the full dose."]


def _and(labels: list[str]) -> str:
    return " and ".join([", ".join(labels[:-1]), labels[-1]]) if len(labels) > 1 else labels[0]
