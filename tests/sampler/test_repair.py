"""Repair draws exactly what is damaged again, to the bit, or says in one sentence why it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sampler_corruption import damage

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import StoreError
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Store
from ctinv.sampler.journal import Journal
from ctinv.sampler.manifest import JOURNAL, ROOT, read_root, write_root
from ctinv.sampler.network import find_denoiser
from ctinv.sampler.repair import repair
from ctinv.sampler.run import sample_into
from ctinv.volume import Box

BOX = Box(10, 210, 230, 150, 172)
N = 55


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return load_denoiser("cnn10")


@pytest.fixture(scope="module")
def made(denoiser: Denoiser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "study.zarr"
    sampler = InvarianceSampler(denoiser, device="cpu")
    for _ in sample_into(path, sampler, read_series(ct_folder() / "quarter_dose"), BOX, n=N, seed=2):
        pass
    return path


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "study.zarr")


def shipped(hashes: Mapping[str, str]) -> Denoiser:
    return find_denoiser(hashes, None)


def nobody(_hashes: Mapping[str, str]) -> Denoiser:
    raise AssertionError("no network is needed for this")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def flip(file: Path, bit: int = 3000) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


@pytest.mark.parametrize("cached", [True, False])
def test_flipped_bits_of_samples_are_drawn_again_to_the_bit(
    study: Path, made: Path, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cached:  # the factor is computed again from what the study holds
        monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "empty"))
    flip(study / "x_tilde/c/0/0/0/0")
    flip(study / "feedback_error/c/2/0/0/0", 501)
    flip(study / "mean/c/0/0")
    assert {(fault.kind, fault.file) for fault in Store.open(study).verify()} == {
        ("samples", "x_tilde/c/0/0/0/0"),
        ("samples", "feedback_error/c/2/0/0/0"),
        ("map", "mean/c/0/0"),
    }
    done = repair(study, shipped)
    assert done.rows == (*range(25), *range(50, 55))
    assert (done.same, done.left, done.missing) == (30, (), 0)
    assert snapshot(study) == snapshot(made)


def test_only_the_samples_whose_lines_are_damaged_are_drawn_again(study: Path, made: Path) -> None:
    """The images are whole, so the journal alone is changed: by one bit, by a line that is cut out, and at its end."""
    lines = (study / JOURNAL).read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b'"rmse_hu": ', b'"rmse_hu": 1', 1)
    lines[9] += lines[9]
    del lines[54], lines[30]
    (study / JOURNAL).write_bytes(b"".join(lines))
    faults = Store.open(study).verify()
    assert {fault.kind for fault in faults} == {"journal"}
    assert [fault.rows for fault in faults if fault.rows] == [(7, 30, 54)]
    assert [fault.lines for fault in faults if fault.lines] == [(8,), (10,)]
    done = repair(study, shipped)
    assert (done.rows, done.same, done.left) == ((7, 30, 54), 0, ())
    assert snapshot(study) == snapshot(made)


def test_a_lost_journal_is_written_again(study: Path, made: Path) -> None:
    (study / JOURNAL).unlink()
    with pytest.raises(StoreError, match=r"journal\.jsonl of study\.zarr is lost"):
        Store.open(study)
    assert repair(study, shipped).rows == tuple(range(N))
    assert snapshot(study) == snapshot(made)


@pytest.mark.parametrize("name", ["x", "fx", "fx_output", "theory_spread", "eta"])
def test_shared_images_that_follow_from_others_come_back_to_the_bit(
    study: Path, made: Path, name: str
) -> None:
    chunk = next(path for path in (study / name / "c").rglob("*") if path.is_file())
    flip(chunk, 333)
    with pytest.raises(StoreError, match=f"{name} of this study is damaged; `ctinv repair study.zarr`"):
        _ = Store.open(study).setting
    done = repair(study, shipped)
    assert (done.files, done.rows, done.left) == ((chunk.relative_to(study).as_posix(),), (), ())
    assert snapshot(study) == snapshot(made)


@pytest.mark.slow
def test_thirty_corruptions_are_undone_to_the_bit_or_refused(made: Path, tmp_path: Path) -> None:
    undone = 0
    for seed in range(30):
        study = shutil.copytree(made, tmp_path / "study.zarr")
        what, _ = damage(study, np.random.default_rng(seed))
        before = snapshot(study)
        if any(part in what for part in (" zarr.json", "context/c", "/c/0/0 noise", " noise_")):
            with pytest.raises(StoreError, match="sample the scan again into another folder"):
                repair(study, shipped)
            assert snapshot(study) == before, (seed, what)
        else:
            assert repair(study, shipped).left == (), (seed, what)
            assert snapshot(study) == snapshot(made), (seed, what)
            undone += 1
        shutil.rmtree(study)
    assert 10 <= undone < 30


def test_planes_that_were_swapped_come_back(study: Path, made: Path) -> None:
    swap(study / "fx/c/0/0", study / "theory_spread/c/0/0")
    (study / "fx_output/c/0/0").unlink()
    problems = {fault.file: fault.problem for fault in Store.open(study).verify()}
    assert problems["fx/c/0/0"] == "is not what was written but a copy of theory_spread/c/0/0"
    assert problems["fx_output/c/0/0"] == "is missing"
    assert repair(study, shipped).left == ()
    assert snapshot(study) == snapshot(made)


@pytest.mark.parametrize("name", ["x_tilde", "feedback_error", "context", "noise_spectrum", "spread"])
def test_metadata_of_arrays_come_back_without_a_network(study: Path, made: Path, name: str) -> None:
    file = study / name / ROOT
    document = json.loads(file.read_text())
    document["fill_value"] = 0
    file.write_text(json.dumps(document))
    assert [(fault.kind, fault.file) for fault in Store.open(made).verify()] == []
    assert repair(study, nobody).files == (f"{name}/{ROOT}",)
    assert snapshot(study) == snapshot(made)


@pytest.mark.parametrize("file", ["context/c/0/0/0", "noise_sigma/c/0/0", "noise_residual/c/0/0", ROOT])
def test_what_follows_from_nothing_is_refused_and_left_alone(study: Path, file: str) -> None:
    flip(study / file)
    flip(study / "x_tilde/c/0/0/0/0")
    before = snapshot(study)
    with pytest.raises(
        StoreError, match="follows from nothing else in the study; sample the scan again"
    ) as caught:
        repair(study, shipped)
    assert file in str(caught.value)
    assert len(str(caught.value)) <= 200
    assert snapshot(study) == before


def test_an_image_that_comes_out_different_is_not_put_there(study: Path) -> None:
    """As on a machine that computes f otherwise: the manifest decides, not the computation."""
    meta = read_root(study)
    meta["files"]["fx_output/c/0/0"] = "0" * 64
    write_root(study, meta)
    before = snapshot(study)
    with pytest.raises(StoreError, match="computed again it comes out different"):
        repair(study, shipped)
    assert snapshot(study) == before


def test_samples_never_drawn_are_left_to_sample_unless_asked_for(
    made: Path, study: Path, denoiser: Denoiser, tmp_path: Path
) -> None:
    part = tmp_path / "part.zarr"
    run = sample_into(
        part, InvarianceSampler(denoiser), read_series(ct_folder() / "quarter_dose"), BOX, n=N, seed=2
    )
    next(run)
    run.close()
    flip(part / "x_tilde/c/0/0/0/0")
    done = repair(part, shipped)
    assert (len(done.rows), done.drawn, done.missing, done.left) == (25, (), 30, ())
    done = repair(part, shipped, missing=True)
    assert (done.rows, done.drawn, done.missing, done.left) == ((), tuple(range(25, N)), 0, ())
    one, other = snapshot(part), snapshot(made)
    assert {k: v for k, v in one.items() if k != ROOT} == {k: v for k, v in other.items() if k != ROOT}


def test_a_trained_generator_sends_to_sample_with_the_scan(study: Path) -> None:
    meta = read_root(study)
    meta["provenance"]["generator"] = "cvae_cinn"
    meta["key"] = Store.open(study).provenance.__class__.from_json(meta["provenance"]).key()
    write_root(study, meta)
    flip(study / "x_tilde/c/1/0/0/0")
    with pytest.raises(
        StoreError, match="cvae_cinn needs the scan to draw them again; repeat the `ctinv sample`"
    ):
        repair(study, nobody)


def test_a_sample_of_another_machine_is_replaced_by_one_that_is_certified_here(study: Path) -> None:
    """The hash on record cannot be met: the new sample counts, with its own line, and the study says where it was drawn."""
    records = Journal(study / JOURNAL).records
    records[3] = replace(records[3], sha256="0" * 64)
    (study / JOURNAL).write_bytes(b"".join(records[k].line() for k in range(N)))
    meta = read_root(study)
    meta["journal"] = Journal(study / JOURNAL).state()
    meta["runs"] = [{**run, "device": "cuda"} for run in meta["runs"]]
    write_root(study, meta)
    done = repair(study, shipped)
    assert (done.rows, done.same, done.left) == ((3,), 0, ())
    assert [run["device"] for run in Store.open(study).runs] == ["cuda", "cpu"]
    assert Store.open(study).certificates[3].passed
