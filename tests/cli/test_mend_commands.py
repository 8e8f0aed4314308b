"""verify and repair as a user meets them, and a study whose folder goes away while `ctinv sample` writes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_shell import BOX, Ran

from ctinv.sampler import Batch, Store

Run = Callable[..., Ran]


@pytest.fixture
def copy(study: Path, tmp_path: Path) -> Path:
    return shutil.copytree(study, tmp_path / "study.zarr")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def test_a_sound_study_is_verified(ctinv: Run, copy: Path) -> None:
    ran = ctinv("verify", copy, "--json")
    assert (ran.code, ran.json["sound"], ran.json["faults"], ran.json["not_drawn"]) == (0, True, [], 0)
    assert ran.json["unproven"] is None
    assert "every file is what was written" in ctinv("verify", copy).out


def test_damage_is_named_and_mended(ctinv: Run, copy: Path, study: Path, bundle: Path) -> None:
    flip(copy / "x_tilde/c/0/0/0/0")
    (copy / "spread/c/0/0").unlink()
    ran = ctinv("verify", copy, "--json")
    assert ran.code == 1
    assert "x_tilde/c/0/0/0/0 cannot be decoded (samples 0, 1, 2, 3, 4, 5)" in [
        f"{fault['file']} {fault['problem']} (samples {', '.join(map(str, fault['rows']))})"
        for fault in ran.json["faults"]
    ]
    assert ran.json["error"] == ran.sentence
    assert "and 1 more faults; `ctinv repair study.zarr`" in ran.sentence
    assert len(ran.sentence) <= 200
    shown = ctinv("verify", copy).out
    assert "x_tilde/c/0/0/0/0" in shown
    assert "spread/c/0/0" in shown
    done = ctinv("repair", copy, "--denoiser", bundle, "--device", "cpu", "--json")
    assert done.code == 0
    assert (done.json["redrawn"], done.json["same"], done.json["sound"]) == ([0, 1, 2, 3, 4, 5], 6, True)
    assert snapshot(copy) == snapshot(study)
    assert ctinv("verify", copy, "--json").code == 0


def test_nothing_to_repair_needs_no_denoiser(ctinv: Run, copy: Path, study: Path) -> None:
    ran = ctinv("repair", copy, "--json")
    assert (ran.code, ran.json["redrawn"], ran.json["files"]) == (0, [], [])
    assert snapshot(copy) == snapshot(study)


def test_what_cannot_be_mended_is_said_in_one_sentence(ctinv: Run, copy: Path, bundle: Path) -> None:
    flip(copy / "context/c/0/0/0")
    ran = ctinv("repair", copy, "--denoiser", bundle, "--json")
    assert ran.code == 1
    assert "context/c/0/0/0 of study.zarr is damaged and follows from nothing else" in ran.sentence
    assert ran.json["error"] == ran.sentence


def test_a_foreign_file_is_told_and_never_deleted(ctinv: Run, copy: Path) -> None:
    (copy / "thesis.txt").write_text("years of work")
    assert "thesis.txt does not belong to the study" in ctinv("verify", copy).sentence
    ran = ctinv("repair", copy)
    assert ran.code == 1
    assert "thesis.txt does not belong to the study and was left as it is." in ran.sentence
    assert (copy / "thesis.txt").read_text() == "years of work"


def test_damaged_metadata_and_no_study_at_all(ctinv: Run, copy: Path, tmp_path: Path) -> None:
    text = (copy / "zarr.json").read_text()
    (copy / "zarr.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    for words in (("info",), ("verify",), ("repair",)):
        ran = ctinv(*words, copy, "--json")
        assert ran.code == 1
        assert json.loads(ran.out)["error"] == ran.sentence
        assert len(ran.sentence) <= 200
    assert ctinv("verify", copy, "--json").json["faults"][0]["file"] == "zarr.json"
    ran = ctinv("verify", tmp_path / "absent.zarr")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no study absent.zarr" in ran.sentence


def test_info_says_how_many_samples_were_computed_together(ctinv: Run, study: Path) -> None:
    assert ctinv("info", study, "--json").json["together"] == 25
    assert "run: 1: together" in ctinv("info", study).out


@pytest.mark.parametrize("goes", ["study", "parent"])
def test_a_folder_that_goes_away_while_it_is_sampled_into(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes: str
) -> None:
    out = tmp_path / "work" / "study.zarr"
    gone = out if goes == "study" else out.parent
    append = Store.append

    def then_gone(store: Store, batch: Batch) -> None:
        append(store, batch)
        if gone.exists():
            gone.rename(tmp_path / "moved")

    monkeypatch.setattr(Store, "append", then_gone)
    words = (
        "sample",
        scan,
        "--denoiser",
        bundle,
        "--box",
        BOX,
        "--n",
        30,
        "--photons",
        2000,
        "--out",
        out,
        "--device",
        "cpu",
    )
    ran = ctinv(*words, "--json")
    assert ran.code == 1
    assert (
        "study.zarr was moved, replaced or lost its disk while it was in use; bring it back" in ran.sentence
    )
    assert ran.json["error"] == ran.sentence
    assert not gone.exists()
    (tmp_path / "moved").rename(gone)
    assert len(Store.open(out).rows) == 25
    monkeypatch.undo()
    assert ctinv(*words, "--json").json["n"] == 30


def test_a_study_that_goes_away_before_its_samples_are_drawn_is_not_begun_anew(
    ctinv: Run, scan: Path, bundle: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctinv.sampler import InvarianceSampler

    prepare = InvarianceSampler.prepare

    def meanwhile(sampler: InvarianceSampler, *words: object, **options: object) -> object:
        if copy.exists():
            copy.rename(tmp_path / "moved.zarr")
        return prepare(sampler, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(InvarianceSampler, "prepare", meanwhile)
    words = (
        "sample",
        scan,
        "--denoiser",
        bundle,
        "--box",
        BOX,
        "--n",
        9,
        "--photons",
        2000,
        "--out",
        copy,
        "--device",
        "cpu",
    )
    ran = ctinv(*words)
    assert ran.code == 1
    assert "study.zarr was moved" in ran.sentence
    assert not copy.exists()
