"""``ctinv export``: each format from a real study, one JSON object, and refusals in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_shell import Ran

from ctinv.io.dicom import read_series
from ctinv.sampler import Store

Ctinv = Callable[..., Ran]


def test_samples_as_dicom_are_those_of_the_study(ctinv: Ctinv, study: Path, tmp_path: Path) -> None:
    chosen = ("--samples", "0,3", "--images", "denoised")
    ran = ctinv("export", study, "--to", "dicom", *chosen, "--out", tmp_path / "a", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["files"] == ["denoised/IM0001.dcm", "sample_0000/IM0001.dcm", "sample_0003/IM0001.dcm"]
    assert ran.json["identity"] is False
    store = Store.open(study)
    assert ran.json["key"] == store.provenance.key()
    np.testing.assert_array_equal(read_series(tmp_path / "a" / "sample_0003").hu[0], store.read(3))
    fx = read_series(tmp_path / "a" / "denoised").hu[0]
    assert np.abs(fx - store.setting.fx).max() <= store.setting.quantum / 2


@pytest.mark.parametrize(
    ("to", "name", "first"),
    [
        ("parametric-map", "a", "spread.dcm"),
        ("nifti", "a", "samples.nii.gz"),
        ("ome-zarr", "a.ome.zarr", "samples/zarr.json"),
        ("png", "a.png", "a.png"),
        ("svg", "a.svg", "a.svg"),
    ],
)
def test_each_format_is_written_and_said(
    ctinv: Ctinv, study: Path, tmp_path: Path, to: str, name: str, first: str
) -> None:
    ran = ctinv("export", study, "--to", to, "--out", tmp_path / name, "--json")
    assert ran.code == 0, ran.err
    assert first in ran.json["files"]
    again = ctinv("export", study, "--to", to, "--out", tmp_path / name)
    assert again.code == 1
    assert again.sentence == f"{name} exists already; choose another name or delete it first."


def test_people_read_how_much_and_that_there_is_no_identity(
    ctinv: Ctinv, study: Path, tmp_path: Path
) -> None:
    ran = ctinv(
        "export", study, "--to", "nifti", "--samples", "none", "--maps", "spread", "--out", tmp_path / "a"
    )
    assert ran.code == 0
    assert ran.out.startswith("a: 4 files, ")
    assert ran.out.rstrip().endswith("without identity")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--to", "tiff"), "there is no format 'tiff'"),
        (("--to", "dicom", "--samples", "one"), "expected sample numbers"),
        (("--to", "dicom", "--maps", "eta"), "this format holds no maps"),
        (("--to", "dicom", "--take-over-identity"), "only if both are given"),
    ],
)
def test_refusals_are_one_sentence(
    ctinv: Ctinv, study: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    ran = ctinv("export", study, *words, "--out", tmp_path / "a")
    assert ran.code == 1
    assert sentence in ran.sentence
    assert list(tmp_path.iterdir()) == []
