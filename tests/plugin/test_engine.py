"""The computing process: what travels, progress, cancel, errors and death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plugin_studies import make_certificate, make_volume

from ctinv.volume import Box
from napari_ctinv.engine.codec import Kept, Sent, decode, encode
from napari_ctinv.engine.process import Engine
from napari_ctinv.work.trial import TrialRequest

TRIAL = "napari_ctinv.work.trial:trial"


def round_trip(value: object) -> object:
    tree, blobs = encode(value)
    return decode(tree, [bytes(blob) for blob in blobs])


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        2.5,
        float("inf"),
        "x̃",
        b"bytes",
        Path("a") / "b",
        [1, [2, "3"]],
        (1, (2.0,), []),
        {"a": 1, 2: (3,)},
        Box(1, 2, 3, 4, 5),
        make_certificate(4),
    ],
)
def test_plain_data_travels(value: object) -> None:
    assert round_trip(value) == value
    assert type(round_trip(value)) is type(value)


def test_arrays_and_volumes_travel() -> None:
    values = np.arange(12, dtype=np.int16).reshape(3, 4)[:, ::2]
    back = round_trip(values)
    np.testing.assert_array_equal(back, values)
    assert back.dtype == values.dtype
    assert back.flags.writeable
    volume = make_volume()
    other = round_trip(volume)
    np.testing.assert_array_equal(other.hu, volume.hu)
    np.testing.assert_array_equal(other.affine, volume.affine)
    assert (other.uid, other.acquisition, other.offset) == (volume.uid, volume.acquisition, volume.offset)


def test_voxels_travel_once() -> None:
    sent, kept = Sent(), Kept()
    volumes = [make_volume(), make_volume(), make_volume(), make_volume()]
    sizes = []
    for volume in (*volumes[:2], volumes[0], *volumes[2:], volumes[1]):
        tree, blobs = encode({"volume": volume}, sent)
        sizes.append(sum(memoryview(blob).nbytes for blob in blobs) > volume.hu.nbytes)
        back = decode(tree, [bytes(blob) for blob in blobs], kept)["volume"]
        np.testing.assert_array_equal(back.hu, volume.hu)
    assert sizes == [True, True, False, True, True, True], "the oldest of three is forgotten on both sides"


def test_strangers_do_not_travel() -> None:
    with pytest.raises(TypeError, match="does not travel"):
        encode(object())
    with pytest.raises(TypeError, match="no class of this project"):
        decode({"$": "data", "type": "subprocess:Popen", "of": {"args": "true"}}, [])


@pytest.fixture(scope="module")
def engine():
    engine = Engine({"OMP_NUM_THREADS": "1"})
    yield engine
    engine.close()


def test_items_progress_and_result(engine: Engine) -> None:
    run = engine.submit(TRIAL, TrialRequest(steps=3))
    seen: list[object] = []
    run.yielded.connect(seen.append)
    run.progressed.connect(lambda text, fraction: seen.append((text, fraction)))
    outcome = run.wait(60)
    assert outcome.state == "done"
    assert outcome.result == 3
    assert [item for item in seen if isinstance(item, int)] == [0, 1, 2]
    assert ("step 1 of 3", 0.0) in seen


def test_cancel_ends_at_the_next_report_and_the_process_goes_on(engine: Engine) -> None:
    run = engine.submit(TRIAL, TrialRequest(steps=10_000, seconds=0.01))
    run.yielded.connect(lambda _item: run.cancel())
    assert run.wait(60).state == "cancelled"
    assert engine.submit(TRIAL, TrialRequest(steps=1)).wait(60).state == "done"


def test_a_queued_run_can_be_cancelled_before_it_begins(engine: Engine) -> None:
    first = engine.submit(TRIAL, TrialRequest(steps=100, seconds=0.01))
    second = engine.submit(TRIAL, TrialRequest(steps=1))
    second.cancel()
    assert second.wait(60).state == "cancelled"
    assert first.outcome is not None
    assert first.outcome.state == "done"


def test_errors_are_one_sentence(engine: Engine) -> None:
    foreseen = engine.submit(TRIAL, TrialRequest(steps=1, fail="the box is empty.")).wait(60)
    assert (foreseen.state, foreseen.message) == ("failed", "the box is empty.")
    unforeseen = engine.submit(TRIAL, TrialRequest(steps=1, fail="ZeroDivisionError")).wait(60)
    assert unforeseen.state == "failed"
    assert "ZeroDivisionError" in unforeseen.message
    assert "\n" not in unforeseen.message


def test_a_killed_process_is_one_sentence_and_the_next_run_works(engine: Engine) -> None:
    run = engine.submit(TRIAL, TrialRequest(steps=10_000, seconds=0.01))
    waiting = engine.submit(TRIAL, TrialRequest(steps=1))

    def kill(_item: object) -> None:
        if engine.pid is not None:
            os.kill(engine.pid, signal.SIGKILL)

    run.yielded.connect(kill)
    for one in (run, waiting):
        outcome = one.wait(60)
        assert outcome.state == "failed"
        assert "ended unexpectedly" in outcome.message
    assert engine.submit(TRIAL, TrialRequest(steps=2)).wait(60).result == 2


def test_closing_asks_work_to_leave_its_files_whole(tmp_path: Path) -> None:
    engine = Engine()
    run = engine.submit(TRIAL, TrialRequest(steps=10_000, seconds=0.01, farewell=tmp_path / "whole"))
    seen: list[object] = []
    run.yielded.connect(seen.append)
    assert engine.delivery.wait(lambda: bool(seen), 60)
    engine.close()
    assert (tmp_path / "whole").exists()


def test_an_engine_that_is_forgotten_does_not_outlive_its_viewer(tmp_path: Path) -> None:
    script = (
        "from napari_ctinv.engine.process import Engine\n"
        "from napari_ctinv.work.trial import TrialRequest\n"
        "engine = Engine()\n"
        f"run = engine.submit({TRIAL!r}, TrialRequest(steps=1))\n"
        "run.wait(60)\n"
        "print(engine.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    pid = int(done.stdout)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_viewers_process_loads_no_torch() -> None:
    script = (
        "import sys, napari_ctinv.engine.process, napari_ctinv.work.cached\n"
        "assert not {'torch', 'monai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)
