"""300 corruptions of every kind of file: each is found, and what is named is what was damaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sampler_corruption import damage, edit, flip, truncate
from sampler_studies import fill, make_provenance, make_setting

from ctinv.errors import StoreError
from ctinv.sampler import Setting, Store
from ctinv.sampler.batch import NoiseModel
from ctinv.sampler.journal import Journal
from ctinv.sampler.lock import FILE_NAME
from ctinv.sampler.manifest import JOURNAL, ROOT, UNPROVEN, read_root
from ctinv.sampler.verify import Fault, find_faults
from ctinv.volume import Box

TIMES = 300
N = 30
BOX = Box(3, 20, 40, 30, 170)  # two chunks in a row of voxels


def full_setting() -> Setting:
    setting, rng = make_setting(BOX), np.random.default_rng(1)
    area = setting.context_box
    sigma, residual = rng.random(area.shape) + 1.0, rng.normal(size=area.shape)
    return replace(setting, noise=NoiseModel(area, sigma, rng.random((32, 32)), 0.5, residual))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "s.zarr"
    with Store.create(path, make_provenance(box=str(BOX)), full_setting(), n=N) as store:
        fill(store)
        store.finish({"sample": 2.0})
    (path / FILE_NAME).unlink()
    return path


@pytest.fixture
def study(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "s.zarr")


def named(faults: list[Fault]) -> set[str]:
    return {fault.file for fault in faults}


def rows_of_block(study: Path, file: str) -> set[int]:
    block = int(file.split("/")[2])
    return set(range(25 * block, min(25 * block + 25, N)))


@pytest.mark.slow
def test_three_hundred_corruptions_are_found_and_rightly_named(sound: Path, tmp_path: Path) -> None:
    assert find_faults(sound) == []
    missed = []
    for seed in range(TIMES):
        study = shutil.copytree(sound, tmp_path / "s.zarr")
        what, hit = damage(study, np.random.default_rng(seed))
        faults = find_faults(study)
        wanted = {ROOT} if ROOT in hit else hit  # all else is proven by it
        right = named(faults) == wanted
        for fault in faults:
            if fault.kind == "samples":
                right = right and set(fault.rows) == rows_of_block(study, fault.file)
            if fault.kind == "journal":
                right = right and bool(fault.rows or fault.lines)
        if not right:
            missed.append(f"seed {seed}: {what}: {[fault.sentence for fault in faults]}")
        shutil.rmtree(study)
    assert missed == []


def test_damaged_metadata_are_refused_when_the_study_is_opened(sound: Path, tmp_path: Path) -> None:
    for seed in range(60):
        study = shutil.copytree(sound, tmp_path / "s.zarr")
        rng = np.random.default_rng(seed)
        (flip, truncate, edit)[seed % 3](study / (ROOT, f"x_tilde/{ROOT}")[seed % 2], rng)
        with pytest.raises(StoreError) as caught:
            Store.open(study)
        assert len(str(caught.value)) <= 200, seed
        shutil.rmtree(study)


def test_a_plane_is_checked_when_it_is_read(study: Path) -> None:
    shutil.copy(study / "fx/c/0/0", study / "theory_spread/c/0/0")
    with pytest.raises(StoreError, match=r"theory_spread of this study is damaged; `ctinv repair s\.zarr`"):
        _ = Store.open(study).setting


def test_damaged_maps_are_computed_from_the_samples(study: Path, sound: Path) -> None:
    shutil.copy(study / "mean/c/0/0", study / "spread/c/0/0")
    assert [fault.kind for fault in Store.open(study).verify()] == ["map"]
    assert Store.open(study).spread().tobytes() == Store.open(sound).spread().tobytes()


def test_foreign_files_are_told_and_leftovers_of_a_killed_writer_are_not(study: Path) -> None:
    (study / "thesis.txt").write_text("years of work")
    (study / "x_tilde" / "c" / "9").mkdir()
    (study / "x_tilde" / "c" / "9" / "0").write_bytes(b"1")
    (study / "x" / "c" / "0" / "0" / ".0.17.part").write_bytes(b"half")
    (study / FILE_NAME).write_text("")
    faults = find_faults(study)
    assert [(fault.kind, fault.file) for fault in faults] == [
        ("foreign", "thesis.txt"),
        ("foreign", "x_tilde/c/9/0"),
    ]


def test_of_two_chunks_of_a_sample_the_damaged_one_is_named(study: Path) -> None:
    one, other = (study / "x_tilde/c/1/0/0" / name for name in "01")
    good = one.read_bytes()
    one.write_bytes((study / "x_tilde/c/0/0/0/0").read_bytes())
    assert [(fault.file, fault.rows) for fault in find_faults(study)] == [
        ("x_tilde/c/1/0/0/0", tuple(range(25, 30)))
    ]
    one.write_bytes(good)
    other.unlink()
    assert [(fault.file, fault.problem) for fault in find_faults(study)] == [
        ("x_tilde/c/1/0/0/1", "is missing")
    ]


def test_an_edited_line_with_a_checksum_of_its_own_is_found(study: Path) -> None:
    """Whoever edits a certificate and repairs the line's checksum changes what the finished run left."""
    records = Journal(study / JOURNAL).records
    better = replace(records[4].certificate, rmse_hu=0.0)
    records[4] = replace(records[4], certificate=better)
    (study / JOURNAL).write_bytes(b"".join(records[k].line() for k in range(N)))
    assert [fault.problem for fault in find_faults(study)] == [
        "does not begin with what a finished run had written"
    ]


def make_older(study: Path) -> None:
    """A study as it was before studies kept a manifest."""
    meta = read_root(study)
    for name in ("files", "journal"):
        del meta[name]
    for name in ("region", "dtype", "slices"):
        del meta["setting"][name]
    del meta["setting"]["noise"]["torus"]
    for run in meta["runs"]:
        del run["together"]
    document = {"attributes": {"ctinv": {**meta, "format": 1}}, "zarr_format": 3, "node_type": "group"}
    (study / ROOT).write_text(json.dumps(document))


def test_an_older_study_is_verified_by_what_it_has_and_goes_on(study: Path) -> None:
    make_older(study)
    store = Store.open(study)
    assert (store.is_older, store.verify(), len(store.rows)) == (True, [], N)
    assert "cannot be proven" in UNPROVEN
    with Store.create(study, make_provenance(box=str(BOX)), full_setting(), n=N + 5) as writer:
        fill(writer)
        writer.finish()
    again = Store.open(study)
    assert (again.is_older, again.verify(), len(again.rows)) == (True, [], N + 5)
    again.summary()
    flip(study / "fx/c/0/0", np.random.default_rng(0))
    (study / "x/c/0/0/0").unlink()
    flip(study / "x_tilde/c/1/0/0/0", np.random.default_rng(0))
    assert {fault.file for fault in find_faults(study)} == {"fx", "x", "x_tilde/c/1/0/0/0"}


def test_a_manifest_that_is_taken_away_does_not_make_an_older_study(study: Path) -> None:
    document = json.loads((study / ROOT).read_text())
    document["attributes"]["ctinv"]["format"] = 1
    (study / ROOT).write_text(json.dumps(document))
    with pytest.raises(StoreError, match="its format no longer fits"):
        Store.open(study)
