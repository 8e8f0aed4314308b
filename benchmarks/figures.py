"""The figures of the fibre engine on real CT: 250 samples of 64 x 64 regions, both shipped networks.

    python benchmarks/figures.py                          the shipped CT
    python benchmarks/figures.py --abdomen abdomen_ts_low.npy    and the test patient

Prints one row per case: samples that meet the tier, RMSE of f(x̃) - f(x), NFE, χ²/n beside the scan's own, spread beside
linear theory, and seconds for everything and for the samples alone. Times mean something only on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from ctinv import Acquisition, Box, InvarianceSampler, Volume, load_denoiser, read_series
from ctinv.resources import ct_folder

SHIPPED = {
    "soft tissue": "10,190:254,130:194",
    "lung edge": "10,262:326,140:204",
    "bone": "10,318:382,220:284",
}
ABDOMEN = {
    "soft tissue": "10,210:274,120:184",
    "lung edge": "17,330:394,155:219",
    "bone": "10,290:354,215:279",
}


def abdomen(low: Path) -> Volume:
    facts = json.loads(low.with_name(low.name.replace("_low.npy", ".json")).read_text())
    hu = np.maximum(np.load(low), -1024).astype(np.float32)
    affine = np.diag([*facts["spacing_mm"], 1.0])
    return Volume(hu, affine, "abdomen_ts", acquisition=Acquisition(photons=facts["photons_low"]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--abdomen", type=Path, help="abdomen_ts_low.npy of scripts/prepare_training_data.py")
    parser.add_argument("--n", type=int, default=250)
    parser.add_argument("--out", type=Path, help="also write the rows as JSON")
    arguments = parser.parse_args()
    scans = {"shipped": (read_series(ct_folder() / "quarter_dose"), SHIPPED)}
    if arguments.abdomen:
        scans["abdomen_ts"] = (abdomen(arguments.abdomen), ABDOMEN)
    rows = []
    print(
        f"{'scan':10} {'network':8} {'region':12} tier passed  RMSE mean/max  NFE  χ²/n (scan)  spread/theory  s all/samples"
    )
    for scan, (volume, boxes) in scans.items():
        for name in ("cnn10", "wganvgg"):
            for place, box in boxes.items():
                for tier in ("T2", "T1"):
                    sampler = InvarianceSampler(load_denoiser(name), tier=tier, device="cpu", cache=False)
                    since = time.perf_counter()
                    found = sampler.sample(volume, Box.parse(box), n=arguments.n).summary()
                    seconds = time.perf_counter() - since
                    rows.append(
                        {"scan": scan, "network": name, "region": place, "seconds_all": seconds, **found}
                    )
                    print(
                        f"{scan:10} {name:8} {place:12} {tier}   {found['passed']}/{found['n']}  "
                        f"{found['rmse_hu']['mean']:.3f}/{found['rmse_hu']['max']:.3f}  {found['nfe']:.3f}  "
                        f"{found['chi2_per_n']:.3f} ({found['chi2_per_n_scan']:.3f})  "
                        f"{found['spread_hu']:.2f}/{found['spread_theory_hu']:.2f}  "
                        f"{seconds:.1f}/{found['seconds']['samples']:.1f}",
                        flush=True,
                    )
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
