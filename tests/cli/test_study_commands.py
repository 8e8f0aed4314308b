"""sample, certify and dimension on a small scan with a small denoiser."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_shell import BOX, Ran, command_line, environment

from ctinv.fibre.tiers import Certificate
from ctinv.io import read
from ctinv.sampler import Store
from ctinv.volume import Box

Run = Callable[..., Ran]
PROMISED = {
    "n",
    "passed",
    "tier",
    "rmse_hu",
    "nfe_raw",
    "nfe",
    "chi2_per_n",
    "chi2_per_n_scan",
    "spread_hu",
    "spread_theory_hu",
    "seconds",
    "key",
}


def words(scan: Path, bundle: Path, out: Path, **changes: object) -> list[object]:
    """The words of a `ctinv sample` of six samples."""
    options = {
        "denoiser": bundle,
        "box": BOX,
        "n": 6,
        "photons": 2000,
        "device": "cpu",
        "out": out,
        **changes,
    }
    return [
        "sample",
        scan,
        *(part for name, value in options.items() for part in (f"--{name}", value)),
        "--json",
    ]


def without_time(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in ("seconds", "study", "agree")}


def test_sample_reports_the_promised_keys(ctinv: Run, study: Path, scan: Path, bundle: Path) -> None:
    ran = ctinv(*words(scan, bundle, study))  # complete already: the same request does no work
    data = ran.json
    assert ran.code == 0
    assert data.keys() >= PROMISED
    assert data["rmse_hu"].keys() == {"mean", "max"}
    assert (data["n"], data["passed"], data["tier"]) == (6, 6, "T2")
    assert 0 < data["rmse_hu"]["mean"] <= data["rmse_hu"]["max"] <= 400 / (256 * 12**0.5)
    assert data["nfe"] < 0.1 < data["nfe_raw"]
    assert data["spread_hu"] > 0


def test_the_same_request_does_no_work_and_more_samples_extend(
    ctinv: Run, study: Path, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study.zarr"
    shutil.copytree(study, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("c/*") if path.is_file()}
    assert ctinv(*words(scan, bundle, out)).json["n"] == 6
    assert {path: path.stat().st_mtime_ns for path in out.rglob("c/*") if path.is_file()} == before
    first = [Store.open(out).read(k) for k in range(6)]
    data = ctinv(*words(scan, bundle, out, n=9)).json
    assert (data["n"], data["passed"]) == (9, 9)
    np.testing.assert_array_equal([Store.open(out).read(k) for k in range(6)], first)


def test_another_request_is_refused_and_the_study_kept(
    ctinv: Run, study: Path, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study.zarr"
    shutil.copytree(study, out)
    ran = ctinv(*words(scan, bundle, out, seed=1))
    assert ran.code == 1
    assert "seed" in ran.sentence
    assert Store.open(out).verify() == []


def test_samples_do_not_depend_on_n(
    ctinv: Run, study: Path, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    ctinv(*words(scan, bundle, tmp_path / "few.zarr", n=2))
    few, all_six = Store.open(tmp_path / "few.zarr"), Store.open(study)
    for k in range(2):
        np.testing.assert_allclose(few.read(k), all_six.read(k), atol=1e-4)


def test_overview_is_drawn_on_request(
    ctinv: Run, study: Path, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "overview.png"
    assert ctinv(*words(scan, bundle, study), "--overview", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.with_suffix(".json").is_file()


def test_sigterm_keeps_what_is_finished(scan: Path, bundle: Path, tmp_path: Path, ctinv: Run) -> None:
    out = tmp_path / "study.zarr"
    process = subprocess.Popen(
        command_line(*words(scan, bundle, out, n=20_000)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    wait_for_samples(out)
    process.send_signal(signal.SIGTERM)
    written, said = process.communicate(timeout=60)
    check_interrupted(Ran(process.returncode, written, said), out, code=143)
    more = len(Store.open(out).rows) + 3
    assert ctinv(*words(scan, bundle, out, n=more)).json["n"] == more
    at_once = tmp_path / "at_once.zarr"
    assert ctinv(*words(scan, bundle, at_once, n=more)).code == 0
    for file in at_once.rglob("*"):
        if file.is_file() and file.name not in ("zarr.json", "writer.lock"):
            assert (out / file.relative_to(at_once)).read_bytes() == file.read_bytes(), file.name


# The signal may come between open() and its with statement: Python then closes the file later, and says so.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_ctrl_c_keeps_what_is_finished(scan: Path, bundle: Path, tmp_path: Path, ctinv: Run) -> None:
    out = tmp_path / "study.zarr"

    def press() -> None:
        wait_for_samples(out)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    ran = ctinv(*words(scan, bundle, out, n=20_000))
    finger.join()
    check_interrupted(ran, out, code=130)


def wait_for_samples(out: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and kept(out) < 1:
        time.sleep(0.1)


def check_interrupted(ran: Ran, out: Path, *, code: int) -> None:
    assert ran.code == code, ran
    assert "kept in study.zarr" in ran.sentence
    store = Store.open(out)
    assert ran.json["kept"] == len(store.rows) >= 1
    assert store.verify() == []


def kept(out: Path) -> int:
    """Finished samples of a study that is being written."""
    try:
        return len(Store.open(out).rows)
    except Exception:
        return 0


def certify(run: Run, study: Path, bundle: Path, *more: object) -> Ran:
    return run("certify", study, "--denoiser", bundle, "--device", "cpu", "--json", *more)


def test_certify_agrees_with_what_was_stored(ctinv: Run, study: Path, scan: Path, bundle: Path) -> None:
    ran = certify(ctinv, study, bundle, "--scan", scan)
    assert ran.code == 0
    assert ran.json["agree"] is True
    assert ran.json["same_scan"] is True
    stored = Store.open(study).summary()
    recomputed = without_time(ran.json)
    for name in ("passed", "tier", "key", "n"):
        assert recomputed[name] == stored[name]
    for name in ("rmse_hu", "nfe", "chi2_per_n"):
        assert recomputed[name] == pytest.approx(stored[name], rel=1e-2, abs=1e-4)


def test_certify_sees_images_that_are_no_invariances(
    ctinv: Run, study: Path, bundle: Path, tmp_path: Path
) -> None:
    """A study whose samples were swapped for others, with journal and hashes made to fit."""
    from ctinv.sampler.batch import Batch

    store = Store.open(study)
    rng = np.random.default_rng(0)
    forged = Store.create(tmp_path / "forged.zarr", store.provenance, store.setting, n=6)
    for batch in store.batches():
        noise = rng.normal(0.0, 5.0, batch.x_tilde.shape)
        images = (np.rint((batch.x_tilde + noise) * 8) / 8).astype(np.float32)
        forged.append(Batch(batch.rows, images, batch.feedback_error, batch.certificates))
    forged.finish({})
    ran = certify(ctinv, tmp_path / "forged.zarr", bundle)
    assert ran.code == 1
    assert ran.json["agree"] is False
    assert "do not trust" in ran.sentence
    assert ran.json["passed"] < 6


def test_certify_sees_certificates_that_are_too_good(
    ctinv: Run, study: Path, bundle: Path, tmp_path: Path
) -> None:
    from ctinv.sampler.batch import Batch

    store = Store.open(study)
    forged = Store.create(tmp_path / "forged.zarr", store.provenance, store.setting, n=6)
    for batch in store.batches():
        better = tuple(
            Certificate(**{**asdict(one), "rmse_hu": one.rmse_hu / 2}) for one in batch.certificates
        )
        forged.append(Batch(batch.rows, batch.x_tilde, batch.feedback_error, better))
    forged.finish({})
    assert certify(ctinv, tmp_path / "forged.zarr", bundle).json["agree"] is False


def test_certify_needs_the_network_of_the_study(ctinv: Run, study: Path) -> None:
    ran = ctinv("certify", study, "--json")  # its weights belong to no shipped denoiser
    assert ran.code == 1
    assert "sha256" in ran.sentence


def test_certify_sees_another_scan(ctinv: Run, study: Path, scan: Path, bundle: Path, tmp_path: Path) -> None:
    hu = read(scan).hu.copy()
    box = Box.parse(BOX)
    hu[box.z, box.y0 - 2, box.x0] += 1.0  # one voxel beside the region
    np.save(tmp_path / "other.npy", hu)
    ran = certify(ctinv, study, bundle, "--scan", tmp_path / "other.npy")
    assert (ran.code, ran.json["same_scan"]) == (1, False)


def test_info_of_a_study_needs_no_model(study: Path, ctinv_process: Run) -> None:
    facts = ctinv_process("info", study, "--json").json
    assert (facts["kind"], facts["n"]) == ("study", 6)
    assert facts["provenance"]["box"] == BOX


def test_dimension_grows_as_the_tolerance_shrinks(ctinv: Run, scan: Path, bundle: Path) -> None:
    options = ("--denoiser", bundle, "--box", BOX, "--photons", 2000, "--device", "cpu")
    data = ctinv("dimension", scan, *options, "--eps", 0.1, "--eps", 1, "--eps", 10, "--json").json
    rows = data["dimension"]
    assert [row["eps"] for row in rows] == [0.1, 1.0, 10.0]
    sizes = [row["d_eff"] for row in rows]
    assert data["voxels"] > sizes[0] > sizes[1] > sizes[2] > 0
    for row in rows:
        assert row["free_share"] == pytest.approx(1 - row["d_eff"] / data["voxels"], abs=1e-6)
        assert set(row["bands"]) == {"low", "mid", "high"}
    tiers = ctinv("dimension", scan, *options, "--json").json["dimension"]
    assert [row["name"] for row in tiers][:3] == ["T0", "T1", "T2"]


def test_demo_goes_the_whole_way_and_a_second_time_for_free(
    ctinv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a smaller region than `make demo`, with everything else as it is there."""
    monkeypatch.setattr("ctinv.cli.demo.BOX", "8,184:200,160:176")
    words = ("demo", "--n", 5, "--no-view", "--json", "--out", tmp_path / "out" / "demo")
    first = ctinv(*words)
    assert first.code == 0
    assert (first.json["n"], first.json["passed"]) == (5, 5)
    folder = tmp_path / "out" / "demo"
    assert {path.name for path in folder.iterdir()} == {"study.zarr", "overview.png", "overview.json"}
    again = ctinv(*words)
    assert again.json["seconds"] == first.json["seconds"]  # of the run that sampled
    assert again.json["rmse_hu"] == first.json["rmse_hu"]
    checked = ctinv("certify", folder / "study.zarr", "--json")  # finds the shipped network by its weights
    assert (checked.code, checked.json["agree"]) == (0, True)


def test_people_get_the_same_figures_as_tables(ctinv: Run, study: Path, scan: Path, bundle: Path) -> None:
    stored = Store.open(study)
    told = ctinv(*words(scan, bundle, study)[:-1])  # without --json
    assert told.code == 0
    assert "6 of 6 passed tier T2" in told.out
    assert f"worst {stored.summary()['rmse_hu']['max']:.3g} HU" in told.out
    checked = ctinv("certify", study, "--denoiser", bundle)
    assert "certificates agree" in checked.out
    about = ctinv("info", study)
    assert stored.provenance.key() in about.out
    options = ("--denoiser", bundle, "--box", BOX, "--photons", 2000, "--device", "cpu", "--eps", 0.5)
    assert "256 voxels" in ctinv("dimension", scan, *options).out
