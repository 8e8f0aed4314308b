"""One candidate of each generator on the shipped CT, before and after certification, as docs/img/generators.png.

    python benchmarks/generators_picture.py --out docs/img/generators.png

Row 0 of each, not selected; the same region and seed for all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch

import ctinv
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.find import available, find_generator
from ctinv.representation import Representation
from ctinv.resources import ct_folder
from ctinv.sampler.batch import BLOCK
from ctinv.sampler.provenance import hash_series

BOX = ctinv.Box(z=8, y0=176, y1=224, x0=152, x1=200)
WINDOW, CANDIDATE_HU, CERTIFIED_HU = (-160.0, 240.0), 80.0, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--denoiser", default="cnn10")
    parser.add_argument("--skip", default="metamer", help="generators to leave out, with commas")
    options = parser.parse_args()
    matplotlib.use("Agg")
    from matplotlib import pyplot

    scan, denoiser = ctinv.read(ct_folder() / "quarter_dose"), ctinv.load_denoiser(options.denoiser)
    sampler = ctinv.InvarianceSampler(denoiser, tier="T2")
    prepared, found = sampler.prepare(scan, BOX), sampler.survey(scan, BOX)
    scene = found.scene(prepared.corrector.noise)
    names = [name for name in available(Representation(denoiser)) if name not in options.skip.split(",")]
    seeds, rows = RowSeeds(0, hash_series(scan.uid), str(BOX)), range(BLOCK)
    x, fx = scan.hu[BOX.z][BOX.slices], prepared.setting.fx
    figure, axes = pyplot.subplots(len(names), 5, figsize=(9.5, 1.95 * len(names)), squeeze=False)
    for row, name in zip(axes, names, strict=True):
        proposer = find_generator(name, Representation(denoiser))
        with torch.inference_mode():
            candidates = proposer.on(scene).candidates(rows, seeds)
        raw = candidates[0, 0].numpy()
        panels = [
            (x, None, "scan x"),
            (raw, None, "candidate"),
            (raw - x, CANDIDATE_HU, "candidate − x, ±80 HU"),
        ]
        note = "target domain: not fed back"
        if proposer.domain == "input":
            x_tilde, _, certificates = prepared.corrector.correct(candidates, rows, seeds)
            one = certificates[0]
            panels += [(x_tilde[0, 0].numpy(), None, "certified x̃")]
            panels += [(x_tilde[0, 0].numpy() - x, CERTIFIED_HU, "x̃ − x, ±4 HU")]
            note = f"NFE {one.nfe_raw:.2f} → {one.nfe:.3f}, {one.tier}"
        else:
            panels[2] = (raw - fx, CANDIDATE_HU, "image − f(x), ±80 HU")
        for axis in row:
            axis.axis("off")
        for axis, (image, scale, title) in zip(row, panels, strict=False):
            low, high = WINDOW if scale is None else (-scale, scale)
            axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            axis.set_title(title, fontsize=7)
        row[0].text(
            -0.08, 0.5, f"{name}\n{note}", transform=row[0].transAxes, ha="right", va="center", fontsize=7
        )
        print(f"{name}: {note}, RMS of candidate − x {np.sqrt(np.mean((raw - x) ** 2)):.1f} HU")
    figure.subplots_adjust(left=0.17, right=0.995, top=0.975, bottom=0.005, wspace=0.03, hspace=0.16)
    figure.savefig(options.out, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
