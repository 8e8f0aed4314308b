"""Wrong usage and bad input, as a user would try it: one sentence, the right exit code, JSON never broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_shell import BOX, Ran

COMMANDS = (
    "demo",
    "info",
    "simulate",
    "denoise",
    "sample",
    "certify",
    "verify",
    "repair",
    "dimension",
    "layers",
    "view",
)
Run = Callable[..., Ran]


@pytest.mark.parametrize(
    "words", [(), ("--help",), ("train", "--help"), *((name, "--help") for name in COMMANDS)]
)
def test_help_names_the_json_option_or_the_commands(ctinv: Run, words: tuple[str, ...]) -> None:
    ran = ctinv(*words)
    assert ran.code == (0 if words else 2)
    wanted = (
        ("--json",) if words and words[0] in COMMANDS else ("denoiser",) if "train" in words else COMMANDS
    )
    assert all(name in ran.out for name in wanted)


@pytest.mark.parametrize(
    "words",
    [("nothing",), ("info",), ("sample", "x"), ("info", "x", "--nonsense"), ("sample", "x", "--n", "many")],
)
def test_wrong_usage_leaves_with_two(ctinv: Run, words: tuple[str, ...]) -> None:
    ran = ctinv(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "--help" in ran.sentence
    assert ctinv(*words, "--json").json["error"] == ran.sentence


def bad_requests(scan: Path, bundle: Path, folder: Path) -> dict[str, tuple[tuple[object, ...], str]]:
    """Words of a command, and what its sentence must say."""
    sample = ("sample", scan, "--denoiser", bundle, "--box", BOX, "--out", folder / "out.zarr")
    changed = lambda name, value: (*sample[:2], *(value if w == name else w for w in sample[2:]))  # noqa: E731
    (folder / "text.dcm").write_text("no DICOM")
    (folder / "empty").mkdir()
    (folder / "broken.npy").write_bytes(b"\x93NUMPY no")
    np.save(folder / "nan.npy", np.full((2, 8, 8), np.nan, np.float32))
    return {
        "no sample": ((*sample, "--n", 0), "n = 0"),
        "negative number": ((*sample, "--n", -3), "n = -3"),
        "negative seed": ((*sample, "--seed", -1), "seed"),
        "box outside": (changed(BOX, "1,40:56,90:120"), "outside"),
        "slice outside": (changed(BOX, "7,40:56,36:52"), "outside"),
        "empty box": (changed(BOX, "1,40:40,36:52"), "empty"),
        "no box": (changed(BOX, "here"), "z,y0:y1,x0:x1"),
        "unknown tap": ((*sample, "--tap", "conv9"), "input, conv1, output"),
        "unknown denoiser": (changed(bundle, "nobody"), "nobody"),
        "unknown tier": ((*sample, "--tier", "T9"), "T0, T1, T2, T3"),
        "unknown generator": ((*sample, "--generator", "magic"), "renoise"),
        "unknown device": ((*sample, "--device", "abacus"), "abacus"),
        "no window": ((*sample, "--window", 0), "window"),
        "no photons": ((*sample, "--photons", -5), "photons"),
        "missing scan": (("info", folder / "absent"), "absent"),
        "empty folder": (("info", folder / "empty"), "empty"),
        "text as DICOM": (("info", folder / "text.dcm"), "text.dcm"),
        "broken array": (("info", folder / "broken.npy"), "broken.npy"),
        "NaN": (("info", folder / "nan.npy"), "NaN"),
        "no study": (("certify", folder / "absent.zarr"), "absent.zarr"),
        "scan as study": (("certify", scan), "scan.npy"),
        "no dose": (("simulate", scan, "--dose", 0, "--out", folder / "low.npy"), "dose"),
        "unknown ending": (("simulate", scan, "--out", folder / "low.jpg"), "low.jpg"),
        "taken name": (("denoise", scan, "--denoiser", bundle, "--out", scan), "exists already"),
        "no folder": (("simulate", scan, "--out", folder / "none" / "low.npy"), "none"),
        "no tolerance": (("dimension", scan, "--box", BOX, "--eps", 0), "above 0"),
        "no config": (
            ("train", "denoiser", "--config", "a.toml", "--data", folder, "--out", folder),
            "a.toml",
        ),
        "no pairs": (
            ("bench", "generators", "--pairs", folder / "absent", "--out", folder / "b.json"),
            "absent",
        ),
        "no such pair": (("bench", "generators", "--patients", "a", "--out", folder / "b.json"), "--pairs"),
        "no scoreboard": (("bench", "generators", "--out", folder / "broken.npy"), "broken.npy"),
        "unknown kind of region": (
            ("bench", "generators", "--regions", "liver", "--out", folder / "b.json"),
            "liver",
        ),
        "no place to view": (("view", scan), "in mm"),
        "nothing to view": (("view", folder / "absent"), "absent"),
    }


def test_bad_input_gets_one_sentence(ctinv: Run, scan: Path, bundle: Path, tmp_path: Path) -> None:
    before = scan.read_bytes()
    for name, (words, said) in bad_requests(scan, bundle, tmp_path).items():
        ran = ctinv(*words, "--json")
        assert ran.code == 1, (name, ran)
        assert said in ran.sentence, (name, ran.sentence)
        assert ran.sentence.endswith("."), (name, ran.sentence)
        assert len(ran.sentence) <= 240, (name, ran.sentence)
        assert str(tmp_path) not in ran.sentence, (name, ran.sentence)
        assert ran.json["error"] == ran.sentence, name
        assert "Traceback" not in ran.err, name
    assert not (tmp_path / "out.zarr").exists()
    assert scan.read_bytes() == before


def test_a_full_disk_is_said_with_the_bare_name() -> None:
    from ctinv.cli.app import _describe

    sentence = _describe(OSError(28, "No space left on device", "/secret/place/study.zarr"))
    assert sentence.startswith("the disk is full while writing study.zarr")
    assert "secret" not in sentence


def test_json_is_strict_and_knows_numpy() -> None:
    from ctinv.jsonable import dumps

    data = {
        "a": np.float32(1.5),
        "b": np.arange(3),
        "c": float("nan"),
        "d": (True, None),
        "e": Path("x"),
        1: np.int64(2),
    }
    assert json.loads(dumps(data)) == {
        "a": 1.5,
        "b": [0, 1, 2],
        "c": None,
        "d": [True, None],
        "e": "x",
        "1": 2,
    }


def test_view_without_napari_or_screen_says_so(
    ctinv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "scan.nii"
    scan.touch()
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert "screen" in ctinv("view", scan).sentence
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'napari-ctinv[all]'" in ctinv("view", scan).sentence


def test_our_own_mistakes_are_said_too(ctinv: Run, scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ctinv.io.read", fail)
    ran = ctinv("info", scan, "--json")
    assert (ran.code, ran.json["error"]) == (1, ran.sentence)
    assert "ZeroDivisionError" in ran.sentence
    assert "Traceback" in ran.err


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1024.0, "-1024"),
        (85166.0, "85166"),
        (0.3601, "0.36"),
        (16, "16"),
        (None, "-"),
        (float("nan"), "-"),
        (-0.0001, "-0.0001"),
    ],
)
def test_figures_read_as_people_write_them(value: object, text: str) -> None:
    from ctinv.cli.tables import number

    assert number(value) == text
