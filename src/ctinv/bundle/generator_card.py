"""The model card of a generator: what it is made of, trained on what, and the figures that were measured."""

# ruff: noqa: E501  # the Markdown in here is filled with values of unknown length

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ctinv.generators.kinds import KINDS

if TYPE_CHECKING:
    from ctinv.bundle.generator import TapPart

_COLUMNS = {
    "reconstruction_hu": "D(E(x)) − x, HU",
    "kl_bits": "KL, bits/px",
    "bits": "bits/dim",
    "bits_diagonal": "bits/dim, diagonal Gaussian",
    "spread_hu": "spread raw, HU",
    "nfe_raw": "NFE raw",
}


def generator_card(about: Mapping[str, Any], parts: Sequence[TapPart], data_source: str) -> str:
    """docs/README.md of a generator's bundle, in Markdown."""
    kind, first = KINDS[about["kind"]], parts[0]
    sizes = {part.tap: sum(value.numel() for value in part.model.parameters()) for part in parts}
    target = about["domain"] == "target"
    warning = (
        "It makes images **of the target domain**, as the denoiser should make them. They are no scans, and are never fed back."
        if target
        else "What it proposes is **not** an invariance: NFE raw says how far. The engine corrects each candidate, feeds it back, and certifies or refuses it."
    )
    config = first.report["config"]
    plain = f"ctinv train generator --kind {about['kind']} --denoiser {about['denoiser']} --data PAIRS --out RUN --tap"
    commands = "\n".join(part.command or f"{plain} {part.tap}" for part in parts)
    halves = ", ".join(f"`{part.tap}`" for part in parts if part.half)
    parts_text = [
        f"# {about['name']}: candidates for invariances of {about['denoiser']}",
        f"{kind.title}, at {', '.join(f'`{part.tap}` ({sizes[part.tap]:,} parameters)' for part in parts)}. {warning}",
        f"## Use\n\n```\nctinv sample CT --denoiser {about['denoiser']} --generator {about['kind']} --tap {first.tap} --box Z,Y0:Y1,X0:X1 --out study.zarr\n```\n\n`--generator` also takes the path of this folder.",
        f"## Training\n\nTrained on {', '.join(config['train'])}, chosen on {', '.join(config['validate'])}; {config['dose']:.0%} dose, patches of {config['patch']} pixels, {config['batch']} per step, seed {config['seed']}. "
        f"All settings stand under `training` in configs/metadata.json. Made by\n\n```\n{commands}\n```",
        *([f"The flows at {halves} are stored in half precision."] if halves else []),
        f"## Cost\n\n{_stages(parts)}",
        f"## Measured on patches of {', '.join(config['validate'])}\n\n{_table(parts)}",
        *([f"## Data\n\n{data_source}"] if data_source else []),
        f"## Limits\n\nFew patients, simulated low dose, a small network. FrEIA {about['freia']} only: another version computes something else from these weights. Not for diagnosis.",
    ]
    return "\n\n".join(parts_text) + "\n"


def _stages(parts: Sequence[TapPart]) -> str:
    """Steps and minutes of each tap."""
    lines = []
    for part in parts:
        done = part.report["stages"].items()
        steps = ", ".join(f"{stage['steps']} steps of the {name} stage" for name, stage in done)
        lines.append(
            f"- `{part.tap}`: {steps}; {part.report['seconds'] / 60:.0f} minutes on one core of a busy machine"
        )
    return "\n".join(lines)


def _table(parts: Sequence[TapPart]) -> str:
    """One row per tap and stage."""
    keys = [
        key
        for key in _COLUMNS
        if any(key in done["figures"] for part in parts for done in part.report["stages"].values())
    ]
    lines = [
        f"| tap | after stage | {' | '.join(_COLUMNS[key] for key in keys)} |",
        "|" + "---|" * (len(keys) + 2),
    ]
    for part in parts:
        for stage, done in part.report["stages"].items():
            cells = (f"{done['figures'][key]:.3g}" if key in done["figures"] else "–" for key in keys)
            lines.append(f"| {part.tap} | {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)
