"""What nobody foresaw is told by its place and kind, in the shell and in the viewer, and by nothing else."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import canaries
import numpy as np
import pytest
from canaries import PLACES, word
from finder import found_in, leaks
from journey import Heard, ctinv
from pydicom import Dataset

from ctinv import crash
from ctinv.errors import SeriesError

NAME = word("family name")


def _lookup() -> None:
    {"a": 1}[NAME]


def _assertion() -> None:
    assert NAME == "nobody", f"the scan of {NAME}"


def _chain() -> None:
    try:
        open(f"/nowhere/{NAME}/a.dcm").close()  # noqa: PTH123
    except OSError as error:
        raise RuntimeError(f"cannot read {NAME}") from error


def _context() -> None:
    try:
        _lookup()
    except KeyError:
        raise ValueError(NAME)  # noqa: B904


def _group() -> None:
    raise ExceptionGroup(NAME, [ValueError(NAME), KeyError(NAME)])


def _recursion() -> None:
    _recursion()


def _dicom() -> None:
    ds = Dataset()
    ds.KVP = NAME


FAILURES = (_lookup, _assertion, _chain, _context, _group, _recursion, _dicom)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_report_tells_kinds_and_places_and_no_text(failure: Any) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        failure()
    report = crash.report(caught.value)
    assert found_in(report.encode(), PLACES) == set()
    assert caught.type.__name__ in report
    assert str(Path(__file__).parent) not in report
    assert len(report.splitlines()) < 60
    if failure is _chain:
        assert report.index("RuntimeError") < report.index("caused by:") < report.index("FileNotFoundError")
    if failure is _context:
        assert "while handling:\n" in report


def test_our_own_sentences_and_lines_stay() -> None:
    from ctinv.io import read

    with pytest.raises(SeriesError) as caught:
        read("/nowhere/scan.dcm")
    report = crash.report(caught.value)
    assert "SeriesError: there is no file or folder 'scan.dcm'; check the path." in report
    assert re.search(r"^  ctinv/io/__init__\.py:\d+ in read$", report, re.MULTILINE)


@pytest.mark.parametrize("failure", FAILURES[:-2])
def test_an_internal_error_of_the_shell_can_be_pasted_into_an_issue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    heard = Heard(tmp_path)
    monkeypatch.setattr("ctinv.io.read", lambda *_, **__: failure())
    with heard.listening():
        assert ctinv("--verbose", "info", tmp_path / f"{NAME}.npy", "--json") == 1
    assert leaks(heard.contents(), PLACES) == {}
    said = (tmp_path / "stderr").read_text()
    assert "  ctinv/cli/scan.py:" in said
    assert "an internal error" in said
    assert str(tmp_path) not in said


def test_warnings_logs_and_threads_of_libraries_are_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a library prints through Python's own hooks while a command runs."""
    code = f"""
import logging, sys, threading, warnings
import ctinv.io
def read(*_, **__):
    warnings.warn({NAME!r})
    logging.getLogger('somebody').error({NAME!r})
    logging.getLogger('somebody').warning('%d', {NAME!r})
    logging.getLogger('pydicom').critical({NAME!r})
    logging.getLogger('ctinv.io').info('a line of ours')
    try:
        int({NAME!r})
    except ValueError:
        logging.getLogger('ctinv.io').exception('ours')
    thread = threading.Thread(target=lambda: int({NAME!r}))
    thread.start(); thread.join()
    class Falling:
        def __del__(self): raise ValueError({NAME!r})
    Falling()
    raise LookupError({NAME!r})
ctinv.io.read = read
from ctinv.cli import main
main(['--verbose', 'info', sys.argv[1]])
"""
    path = tmp_path / f"{NAME}.npy"
    np.save(path, np.zeros((2, 2), np.float32))
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, path], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"a line of ours" in done.stderr
    assert done.stderr.count(b"ValueError") >= 3
    assert b"LookupError" in done.stderr
    assert found_in(done.stdout + done.stderr, PLACES) == set()


def test_the_reader_in_a_viewer_tells_a_sentence_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """napari shows the variables of every frame of an exception, so none may arrive."""
    import napari
    from napari.utils.notifications import notification_manager

    from napari_ctinv.reader import get_reader
    from napari_ctinv.telling import NO_LAYERS

    place = canaries.write_series(tmp_path / "in", np.zeros((3, 24, 24), np.float32))
    files = sorted(place.iterdir())
    files[1].write_bytes(files[1].read_bytes()[:-300])
    shown: list[str] = []
    monkeypatch.setattr(napari, "current_viewer", lambda: object())
    monkeypatch.setattr(
        notification_manager, "dispatch", lambda one: shown.append(f"{type(one)} {one} {one.message}")
    )
    reader = get_reader(str(place))
    assert reader is not None
    assert reader(str(place)) == NO_LAYERS
    monkeypatch.setattr("ctinv.io.dicom.read_series", lambda *_: _lookup())
    assert reader(str(place)) == NO_LAYERS
    assert len(shown) == 2
    assert "truncated" in shown[0]
    assert "KeyError" in shown[1]
    assert found_in(" ".join(shown).encode(), PLACES) == set()


def test_outside_a_viewer_the_reader_raises_without_a_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari

    from napari_ctinv.reader import get_reader

    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    place = canaries.write_series(tmp_path / "in", np.zeros((3, 24, 24), np.float32))
    files = sorted(place.iterdir())
    files[1].write_bytes(files[1].read_bytes()[:-300])
    reader = get_reader(str(place))
    assert reader is not None
    with pytest.raises(SeriesError, match="truncated") as caught:
        reader(str(place))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_run_in_the_viewer_logs_no_text(caplog: pytest.LogCaptureFixture) -> None:
    from napari_ctinv.telling import in_plain_words

    with caplog.at_level(logging.DEBUG):
        for error in (ValueError(NAME), OSError(2, "No such file", f"/a/{NAME}"), MemoryError(NAME)):
            assert found_in(in_plain_words(error).encode(), PLACES) == set()
    assert "ValueError" in caplog.text
    assert found_in(caplog.text.encode(), PLACES) == set()
