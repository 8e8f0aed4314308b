"""Codecs run in a child process: the same pixels come back, and what happens to the child happens to nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import series
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from ctinv.child import Child, ChildFailed
from ctinv.errors import SeriesError
from ctinv.io import _decode
from ctinv.io.dicom import read_series

SYNTAXES = {"rle": RLELossless, "jpeg_ls": JPEGLSLossless, "jpeg_2000": JPEG2000Lossless}


def compressed(folder: Path, syntax: str, *, uid: str = "1.2.3.4") -> Path:
    slices = series.datasets(uid=uid)
    for ds in slices:
        ds.compress(SYNTAXES[syntax], generate_instance_uid=False)
    return series.write(slices, folder)


@pytest.fixture(autouse=True)
def _no_idle_children() -> None:
    _decode._close_all()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_one_child_serves_all_slices_and_the_next_series(tmp_path: Path, syntax: str) -> None:
    folder = compressed(tmp_path, syntax)
    np.testing.assert_array_equal(read_series(folder).hu, series.phantom())
    (child,) = _decode._idle
    np.testing.assert_array_equal(read_series(folder).hu, series.phantom())
    assert _decode._idle == [child]


def test_a_child_that_died_is_replaced(tmp_path: Path) -> None:
    folder = compressed(tmp_path, "rle")
    read_series(folder)
    (child,) = _decode._idle
    child._process.kill()
    child._process.wait()
    np.testing.assert_array_equal(read_series(folder).hu, series.phantom())


@pytest.mark.parametrize("reason", ["crashed", "late", "memory", "failed"])
def test_a_codec_that_dies_costs_its_file_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    folder = compressed(tmp_path, "rle")

    def dies(self: Child, *_: object) -> None:
        self.close()
        raise ChildFailed(reason, "as told")  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Child, "call", dies)
        with pytest.raises(SeriesError, match=r"s\d\d\d.dcm are truncated or damaged and cannot be decoded"):
            read_series(folder)
    np.testing.assert_array_equal(read_series(folder).hu, series.phantom())


def test_where_no_process_can_be_started_the_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with pytest.raises(SeriesError, match="no child process could be started"):
        read_series(compressed(tmp_path / "series", "rle"))


def test_uncompressed_series_start_no_child(tmp_path: Path) -> None:
    read_series(series.write(series.datasets(), tmp_path))
    assert _decode._idle == []


def test_threads_do_not_share_a_child(tmp_path: Path) -> None:
    folders = [compressed(tmp_path / name, name, uid=f"1.2.{at}") for at, name in enumerate(SYNTAXES)]
    wrong: list[str] = []

    def read(folder: Path) -> None:
        for _ in range(5):
            if not np.array_equal(read_series(folder).hu, series.phantom()):
                wrong.append(folder.name)

    threads = [threading.Thread(target=read, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(_decode._idle) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_does_not_talk_to_the_childs_of_its_parent(tmp_path: Path) -> None:
    code = """
import os, sys
from ctinv.io.dicom import read_series
first = read_series(sys.argv[1]).hu
if (pid := os.fork()) == 0:
    os._exit(0 if (read_series(sys.argv[1]).hu == first).all() else 1)
same = (read_series(sys.argv[1]).hu == first).all()
sys.exit(0 if same and os.waitpid(pid, 0)[1] == 0 else 1)
"""
    folder = compressed(tmp_path, "rle")
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
