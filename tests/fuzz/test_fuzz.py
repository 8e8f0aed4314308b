"""Twenty thousand damaged inputs: each is read or refused with one sentence, and the process lives on.

Time is bounded for one input, memory for one process; see `fuzzing`. Inputs that once failed come first.
"""

from __future__ import annotations

import os

import pytest
from fuzzing import FINE, Job, campaign, regressions

COUNTS = {
    **{f"dicom/{name}": 700 for name in ("implicit", "big_endian", "deflated", "jpeg_ls", "jpeg_2000")},
    **{"dicom/native": 1100, "dicom/rle": 800, "dicom/enhanced": 800, "dicom/series": 800},
    **{"image/nii": 1500, "image/nii_gz": 1500, "image/pair": 500},
    **{"image/nrrd": 600, "image/mha": 600, "image/npy": 300},
    **{
        "config/own_metadata": 450,
        "config/own_inference": 450,
        "config/foreign_json": 450,
        "config/foreign_yaml": 300,
    },
    **{"config/card_toml": 300, "config/card_json": 350, "config/training": 400},
    **{"config/generator_metadata": 200, "config/generator_inference": 100},
    **{"model/safetensors": 600, "model/pt_archive": 500, "model/pt_legacy": 500, "model/onnx": 700},
    "model/torchscript": 200,
    **{"checkpoint/file": 1000, "study/files": 1500},
}
WORKERS = 2
PIECE = 250  # inputs of one job: pieces of a target run on several workers


def jobs(seed: int, factor: int = 1) -> list[Job]:
    """The inputs of one seed, in pieces; those that take longest first."""
    made = [
        Job(name, start, min(start + PIECE, factor * count), seed)
        for name, count in COUNTS.items()
        for start in range(0, factor * count, PIECE)
    ]
    return sorted(made, key=lambda job: job.target.partition("/")[0] not in ("study", "checkpoint", "model"))


def test_inputs_that_once_failed_are_read_or_refused() -> None:
    report = campaign(regressions(list(COUNTS)), workers=WORKERS)
    assert report.counts, "the regressions are missing"
    assert not report.findings, "\n".join(map(str, report.findings[:20]))


@pytest.mark.slow
def test_twenty_thousand_damaged_inputs_are_read_or_refused() -> None:
    """More with CTINV_FUZZ_FACTOR, others with CTINV_FUZZ_SEED."""
    assert sum(COUNTS.values()) == 20_000
    seed, factor = int(os.environ.get("CTINV_FUZZ_SEED", "0")), int(os.environ.get("CTINV_FUZZ_FACTOR", "1"))
    report = campaign(jobs(seed, factor), workers=WORKERS)
    print(report.table())
    assert sum(sum(counts.values()) for counts in report.counts.values()) == factor * 20_000
    assert not report.findings, "\n".join(map(str, report.findings[:20]))
    for name, counts in report.counts.items():  # damage that is all refused at the door tests the door alone
        assert set(counts) <= set(FINE)
        if name not in ("image/pair", "model/torchscript"):
            assert counts["read"] >= 0.02 * sum(counts.values()), f"{name} reads next to nothing"
            assert counts["refused"] >= 0.02 * sum(counts.values()), f"{name} refuses next to nothing"
