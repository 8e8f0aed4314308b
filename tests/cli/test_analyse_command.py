"""``ctinv analyse``: sentences, figures, curves and maps of a stored study."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cli_shell import Ran

from ctinv.analysis.registry import ANALYSES
from ctinv.sampler import Store

Run = Callable[..., Ran]


def test_what_fits_is_done_and_the_rest_says_why(
    ctinv: Run, study: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "findings"
    ran = ctinv("analyse", study, "--denoiser", bundle, "--out", out, "--json")
    assert ran.code == 0, ran.err
    page = ran.json
    assert set(page["findings"]) | set(page["left_out"]) == set(ANALYSES)
    assert set(page["findings"]) >= {"noise-consistency", "lesion-blindness", "representatives"}
    assert page["samples"] == 6
    stored = json.loads((out / "findings.json").read_text())
    assert stored["findings"] == page["findings"]
    assert sorted(path.name for path in out.iterdir()) == sorted(page["files"])


def test_curves_and_maps_are_those_of_the_finding(
    ctinv: Run, study: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "findings"
    words = ("analyse", study, "--denoiser", bundle, "--analyses", "lesion-blindness", "--out", out, "--json")
    finding = ctinv(*words).json["findings"]["lesion-blindness"]
    with (out / "lesion-blindness_contrast_size.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["diameter_mm"]) for row in rows] == finding["curves"]["contrast_size"]["diameter_mm"]
    image = nib.load(out / "lesion-blindness_eta.nii.gz")
    eta = np.asarray(image.dataobj).T[0]
    region = Store.open(study).setting.volume
    assert eta.shape == region.shape[1:]
    assert np.nanmin(eta) == pytest.approx(
        min(row["eta_min"] for row in finding["figures"]["by_diameter"]), abs=1e-6
    )
    # NIfTI counts x and y the other way (RAS): the first voxel lies where the region's first voxel does.
    first = image.affine @ np.array([0, 0, 0, 1])
    np.testing.assert_allclose(first[:3] * [-1, -1, 1], region.affine[:3, 3], atol=1e-3)


def test_people_read_sentences(ctinv: Run, study: Path, bundle: Path) -> None:
    ran = ctinv("analyse", study, "--denoiser", bundle, "--analyses", "lesion-blindness")
    assert ran.code == 0
    assert "Lesion blindness" in ran.out
    assert "η" in ran.out


def test_the_seed_decides_the_null(ctinv: Run, study: Path, bundle: Path) -> None:
    words = ("analyse", study, "--denoiser", bundle, "--analyses", "matched-filter", "--json")
    first, again, other = (ctinv(*words, "--seed", seed).out for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--analyses", "prettiest"), "there is no analysis 'prettiest'"),
        (("--denoiser", "cnn10"), "not those the study was made with"),
    ],
)
def test_wrong_requests_say_one_sentence(
    ctinv: Run, study: Path, bundle: Path, more: tuple[str, ...], said: str
) -> None:
    ran = ctinv("analyse", study, "--denoiser", bundle, *more)
    assert ran.code == 1
    assert said in ran.sentence
