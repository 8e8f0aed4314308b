"""The figures of the fibre engine on real CT: certified samples of 64 x 64 regions for every shipped CT network.

    python benchmarks/figures.py --out figures.json                                   the shipped CT
    python benchmarks/figures.py --out figures.json --abdomen abdomen_ts_low.npy      and the test patient
    python benchmarks/figures.py --out figures.json --table docs/figures.md           only write the table

A case is measured once and kept in the JSON file, so that an interrupted run goes on; --again measures anew. The table goes
between the two marks of a Markdown file. Times mean something only on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from ctinv import Acquisition, Box, InvarianceSampler, Volume, load_denoiser, read_series
from ctinv.jsonable import dumps
from ctinv.models.shipped import shipped
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
TOLERANCES = (0.5, 5.0)
NO_CT = ("mri_cnn10",)
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def abdomen(low: Path) -> Volume:
    facts = json.loads(low.with_name(low.name.replace("_low.npy", ".json")).read_text())
    hu = np.maximum(np.load(low), -1024).astype(np.float32)
    affine = np.diag([*facts["spacing_mm"], 1.0])
    return Volume(hu, affine, "abdomen_ts", acquisition=Acquisition(photons=facts["photons_low"]))


def measure(volume: Volume, box: str, name: str, tier: str, n: int) -> dict[str, Any]:
    """One case: summary, seconds for everything, d_eff at the tolerances of method §3."""
    sampler = InvarianceSampler(load_denoiser(name), tier=tier, device="cpu", cache=False)
    since = time.perf_counter()
    found = sampler.sample(volume, Box.parse(box), n=n).summary()
    seconds = time.perf_counter() - since
    prepared = sampler.prepare(volume, Box.parse(box))
    reach = prepared.jacobian
    return {
        **found,
        "seconds_all": seconds,
        "dimension": prepared.dimension(TOLERANCES),
        "jacobian": {"radius": reach.radius, "of": reach.of, "error": reach.error},
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The Markdown table of all cases."""
    lines = [
        "| scan | network | region | tier | passed | RMSE mean / worst, HU | NFE raw → corrected "
        "| χ²/n (scan) | spread (theory), HU | d_eff of 4096 at 0.5 / 5 HU | J: radius of, error | seconds: all / samples |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, row in sorted(rows.items()):
        scan, network, region, tier = key.split("|")
        narrow, wide = (part["d_eff"] for part in row["dimension"])
        reach = row["jacobian"]
        error = f"{reach['error']:.1e}" if reach["error"] else "exact"
        lines.append(
            f"| {scan} | {network} | {region} | {tier} | {row['passed']} of {row['n']} "
            f"| {row['rmse_hu']['mean']:.3f} / {row['rmse_hu']['max']:.3f} | {row['nfe_raw']:.2f} → {row['nfe']:.3f} "
            f"| {row['chi2_per_n']:.3f} ({row['chi2_per_n_scan']:.3f}) "
            f"| {row['spread_hu']:.2f} ({row['spread_theory_hu']:.2f}) | {narrow:.0f} / {wide:.0f} "
            f"| {reach['radius']:.0f} of {reach['of']:.0f}, {error} "
            f"| {row['seconds_all']:.0f} / {row['seconds']['samples']:.1f} |"
        )
    return "\n".join(lines)


def write_table(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    text = path.read_text(encoding="utf-8")
    block = f"{BEGIN}\n{table(rows)}\n{END}"
    path.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file of all cases")
    parser.add_argument("--abdomen", type=Path, help="abdomen_ts_low.npy of scripts/prepare_training_data.py")
    parser.add_argument("--networks", nargs="*", default=[n for n in shipped() if n not in NO_CT])
    parser.add_argument("--regions", nargs="*", default=["soft tissue", "lung edge"], choices=list(SHIPPED))
    parser.add_argument("--tiers", nargs="*", default=["T2"])
    parser.add_argument("--n", type=int, default=250)
    parser.add_argument("--again", action="store_true", help="measure cases anew that the file has already")
    parser.add_argument("--table", type=Path, help="Markdown file to write the table into, without measuring")
    arguments = parser.parse_args()
    rows = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    if arguments.table:
        write_table(arguments.table, rows)
        return
    scans = {"shipped": (read_series(ct_folder() / "quarter_dose"), SHIPPED)}
    if arguments.abdomen:
        scans["abdomen_ts"] = (abdomen(arguments.abdomen), ABDOMEN)
    for name in arguments.networks:
        for scan, (volume, boxes) in scans.items():
            for region in arguments.regions:
                for tier in arguments.tiers:
                    key = f"{scan}|{name}|{region}|{tier}"
                    if key in rows and not arguments.again:
                        continue
                    rows[key] = measure(volume, boxes[region], name, tier, arguments.n)
                    arguments.out.write_text(dumps(rows, indent=1))
                    print(table({key: rows[key]}).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
