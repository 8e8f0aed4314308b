"""What the study itself tells: figures, certificates and images; no model is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ctinv.jsonable import plain
from ctinv.report.arrays import pack
from ctinv.report.overview import Study, choose_window, error_scale

_SHOWN = 6


def facts(study: Study) -> dict[str, Any]:
    """Summary, provenance, scalars, geometry and certificates, as JSON values."""
    setting, volume = study.setting, study.setting.volume
    name, low, high = choose_window(setting.fx, modality=volume.modality)
    content: dict[str, Any] = plain(
        {
            "summary": study.summary(),
            "provenance": study.provenance.to_json(),
            "scalars": setting.scalars,
            "modality": volume.modality,
            "unit": volume.unit,
            "spacing_mm": list(volume.spacing),
            "acquisition": asdict(volume.acquisition),
            "quantum": setting.quantum,
            "window": {"name": name, "low": low, "high": high},
            "error_scale": error_scale(study),
            "boxes": {
                "region": str(study.provenance.box),
                "output": str(setting.output_box),
                "context": str(setting.context_box),
            },
            "certificates": [asdict(one) for one in study.certificates],
        }
    )
    return content


def images(study: Study) -> dict[str, Any]:
    """The pictures' images: x, f(x), mean and spread, η, the worst error, and the scan around the region."""
    setting = study.setting
    middle = setting.context[len(setting.context) // 2]
    found = {
        "scan": setting.volume.hu[0],
        "denoised": setting.fx,
        "mean": study.mean(),
        "spread": study.spread(),
        "theory_spread": setting.theory_spread,
        "worst": study.worst(),
        "context": middle,
    }
    return {name: pack(values) for name, values in found.items()}


def shown_samples(study: Study, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Samples to show: those that stand for all, else the first that hold; of the target domain the first."""
    chosen = found.get("representatives", {}).get("figures", {}).get("shown")
    if chosen is not None:
        rows = [int(one["row"]) for one in chosen]
    elif study.provenance.domain == "target":
        rows = [one.k for one in study.certificates]
    else:
        rows = [one.k for one in study.certificates if one.passed and one.in_band is not False]
    return [{"row": row, "image": pack(study.read(row))} for row in rows[:_SHOWN]]
