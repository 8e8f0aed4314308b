"""Write finished trainings of generators as the bundles that are shipped, one for each kind and denoiser with all its taps.

    python scripts/export_generators.py RUN [RUN …]

A RUN is the folder that ``ctinv train generator --out`` wrote. Taps that share an autoencoder share its file.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from ctinv.bundle.generator import TapPart, export_generator
from ctinv.denoiser import OUTPUT, load_denoiser
from ctinv.generators.library import INFERENCE, read_entry
from ctinv.generators.trained import Trained

ROOT = Path(__file__).parents[1]
DATA = (
    "chest_lidc1: LIDC-IDRI-0001, The Cancer Imaging Archive, CC BY 3.0 (Armato et al., doi 10.7937/K9/TCIA.2015.LO9QL9SX). "
    "chest_lung1, chest_lung2: example images of pyradiomics 3.0.1, origin undocumented, not redistributed. "
    "`scripts/fetch_public_ct.py` and `scripts/prepare_training_data.py` make the pairs again."
)


def part_of(run: Path) -> tuple[str, str, TapPart]:
    """Kind, denoiser and the one tap of a finished run."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    config = report["config"]
    entry = read_entry(run / config["name"])
    definitions = json.loads((entry.folder / INFERENCE).read_text(encoding="utf-8"))
    named = entry.about["taps"][config["tap"]]

    def definition(role: str) -> dict[str, object] | None:
        if not named[role]:
            return None
        found = dict(definitions[named[role]["definition"]])
        return {**found, "_target_": str(found["_target_"]).rpartition(".")[2]}

    model = Trained(entry, config["tap"]).load(torch.device("cpu"))
    parts = definition("autoencoder"), definition("flow")
    half = (
        config["tap"] != OUTPUT
    )  # those serve the layer study alone, and all bundles together are to stay small
    part = TapPart(config["tap"], model, *parts, report, command_of(config), half=half)
    return config["kind"], config["denoiser"], part


def command_of(config: dict[str, Any]) -> str:
    """What a user types to make a run again."""
    start = config["autoencoder"]["start"]
    file = f"{config['kind']}_taps" if start and config["kind"] == "vae_cinn" else config["kind"]
    words = ["ctinv train generator", f"--config configs/generators/{file}.toml"]
    words += [f"--denoiser {config['denoiser']}", f"--tap {config['tap']}"]
    return " ".join([*words, *([f"--autoencoder RUNS/{start}"] if start else []), "--data PAIRS --out RUN"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished training")
    parser.add_argument("--version", default="0.1.0", help="of the bundles")
    options = parser.parse_args()
    groups: dict[tuple[str, str], list[TapPart]] = defaultdict(list)
    for run in options.runs:
        kind, denoiser, part = part_of(run)
        groups[kind, denoiser].append(part)
    for (kind, name), parts in groups.items():
        denoiser = load_denoiser(name)
        folder = ROOT / "bundles" / "generators" / f"{kind}_{name}"
        folder.parent.mkdir(exist_ok=True)
        export_generator(
            folder,
            sorted(parts, key=lambda part: denoiser.taps.index(part.tap)),
            name=f"{kind}_{name}",
            denoiser=denoiser,
            license_text=(ROOT / "LICENSE").read_text(encoding="utf-8"),
            data_source=DATA,
            version=options.version,
        )


if __name__ == "__main__":
    main()
