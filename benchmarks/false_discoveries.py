"""False discoveries of I1 and I2 on re-scans, where nothing is to be found: nominal 5 %, bar 3 to 7 % of 400.

    python benchmarks/false_discoveries.py --out false_discoveries.json

The region is one of the shipped quarter-dose CT. Each re-scan x' = f(x) + noise is analysed as the product does it, as a
study with one sample, with a null of its own. What is counted is any rejection after the control of false discoveries:
where nothing is true, the false discovery rate is the probability of that. With --set several re-scans form one study, which
tests the control over samples. "in_use" compares x' with f(x') in place of f(x), as it is with a scan whose clean image no
one knows: f keeps part of the noise, so the tests are then on the safe side. Power is measured with a disc planted in
every re-scan of a study.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

from ctinv import Box, InvarianceSampler, load_denoiser, read_series
from ctinv.analysis.band_law import BandLaw
from ctinv.analysis.bands import noise_consistency
from ctinv.analysis.matched import matched_filter
from ctinv.analysis.null import dense_noise, null_noise
from ctinv.analysis.subject import Subject
from ctinv.fibre.discs import Disc
from ctinv.jsonable import dumps
from ctinv.resources import ct_folder

BOX = "8,176:208,152:184"
DENOISER = "cnn10"
SCANS = 400
MANY = 20_000
DRAWS = 1000
Q = 0.05
BAR = (0.03, 0.07)
PLANTED = {"diameter_mm": 5.0, "contrast_hu": 20.0}
TEST_SEED = 1_000_003  # no null has it


def study(subject: Subject, rows: range, insert: np.ndarray | float = 0.0) -> Subject:
    """The region with re-scans in place of samples."""
    images = np.asarray(subject.renoised(rows, seed=TEST_SEED) + insert, dtype=np.float32)
    return replace(subject, x_tilde=images, rows=tuple(rows))


def in_use(subject: Subject, row: int) -> Subject:
    """A re-scan that is compared with what f makes of it."""
    one = study(subject, range(row, row + 1))
    region = subject.corrector.region
    change, _ = region.errors(torch.from_numpy(one.x_tilde)[:, None])
    clean = (region.reference_output + change)[..., region.halo[0], region.halo[1]].contiguous()
    return replace(one, corrector=replace(subject.corrector, clean=clean))


def rate(hits: Sequence[bool], *, judged: bool = False) -> dict[str, Any]:
    """A rate with its exact 95 % interval, and whether it meets the bar where there is one."""
    found = binomtest(sum(hits), len(hits))
    interval = found.proportion_ci()
    share = sum(hits) / len(hits)
    return {
        "rate": share,
        "of": len(hits),
        "interval": [interval.low, interval.high],
        **({"within_bar": BAR[0] <= share <= BAR[1]} if judged else {}),
    }


def false_alarms(studies: Iterable[Subject], *, judged: bool = True) -> dict[str, Any]:
    """I1 and I2 on studies in which there is nothing to find, each with its own null."""
    bands: dict[str, list[bool]] = {"any": [], "interesting": []}
    discs: list[bool] = []
    for index, one in enumerate(studies):
        powers = noise_consistency(one, seed=index, q=Q, draws=1)
        bands["any"].append(powers.figures["rejected"] > 0)
        bands["interesting"].append(powers.interesting)
        discs.append(matched_filter(one, seed=index, q=Q, draws=DRAWS).interesting)
    return {
        "I1": rate(bands["any"], judged=judged),
        "I1_low_band": rate(bands["interesting"]),
        "I2": rate(discs, judged=judged),
    }


def each_band(subject: Subject) -> dict[str, Any]:
    """How often one re-scan exceeds the limit of one band, without any control: the law itself."""
    law = BandLaw.of(dense_noise(subject), subject.shape, subject.spacing_mm)
    p = law.p_values(law.relative_power(null_noise(subject, MANY, seed=TEST_SEED)))
    return {name: rate(list(p[:, i] <= Q)) for i, name in enumerate(law.masks)}


def power(subject: Subject, *, size: int) -> dict[str, Any]:
    """A disc in the middle of each re-scan of one study."""
    height, width = subject.shape
    disc = Disc(height // 2, width // 2, PLANTED["diameter_mm"])
    lesion = PLANTED["contrast_hu"] * disc.image(subject.shape, subject.spacing_mm)
    found = matched_filter(study(subject, range(10**6, 10**6 + size), lesion), draws=DRAWS).figures
    place = (subject.box.y0 + height // 2, subject.box.x0 + width // 2)
    return {
        "planted": {**PLANTED, "y": place[0], "x": place[1]},
        "studies_of": size,
        "samples_in_which_found": found["found"],
        "mean": found["mean"],
        "threshold_mean_sigma": found["threshold_mean_sigma"],
        "strongest": found["strongest"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--box", default=BOX)
    parser.add_argument("--denoiser", default=DENOISER)
    parser.add_argument("--scans", type=int, default=SCANS)
    parser.add_argument("--set", type=int, default=10, help="re-scans per study in the second part")
    asked = parser.parse_args()
    volume = read_series(ct_folder() / "quarter_dose")
    box = Box.parse(asked.box)
    sampler = InvarianceSampler(load_denoiser(asked.denoiser), cache=False)
    subject = Subject.of(sampler.prepare(volume, box), volume)

    def sets(size: int) -> Iterator[Subject]:
        return (study(subject, range(k * size, (k + 1) * size)) for k in range(asked.scans))

    report = {
        "scan": "shipped quarter-dose CT",
        "box": asked.box,
        "denoiser": asked.denoiser,
        "q": Q,
        "null_draws": DRAWS,
        "one_rescan_per_study": false_alarms(sets(1)),
        f"{asked.set}_rescans_per_study": false_alarms(sets(asked.set)),
        "in_use": false_alarms((in_use(subject, row) for row in range(asked.scans)), judged=False),
        "each_band_alone": each_band(subject),
        "power": power(subject, size=25),
    }
    text = dumps(report, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
