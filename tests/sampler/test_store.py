"""A study gives back exactly what was certified, continues, extends, and refuses what is something else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from sampler_studies import BOX, UID, fill, make_batch, make_provenance, make_setting

from ctinv.errors import InputError, ResourceError, StoreError
from ctinv.sampler import Batch, Store
from ctinv.sampler.batch import MOST_ROWS
from ctinv.sampler.journal import Journal
from ctinv.sampler.layout import estimate_bytes
from ctinv.sampler.manifest import JOURNAL
from ctinv.volume import Box


def create(path: Path, *, n: int = 10, **changes: Any) -> Store:
    return Store.create(path, make_provenance(**changes), make_setting(), n=n)


def finished(path: Path, *, n: int = 10) -> Store:
    with create(path, n=n) as store:
        fill(store)
        store.finish({"sample": 2.0})
    return Store.open(path)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("quantum", [0.125, 0.0])
def test_samples_come_back_bit_for_bit(tmp_path: Path, quantum: float) -> None:
    setting = make_setting(quantum=quantum)
    store = Store.create(tmp_path / "s.zarr", make_provenance(), setting, n=30)
    batch = make_batch(range(30), setting)
    store.append(batch)
    again = Store.open(tmp_path / "s.zarr")
    assert again.x_tilde.dtype == (np.int16 if quantum else np.float32)
    assert again.x_tilde.quantum == quantum
    for k in range(30):
        assert again.read(k).tobytes() == batch.x_tilde[k].tobytes()
        np.testing.assert_allclose(again.read_error(k), batch.feedback_error[k], rtol=5e-4, atol=1e-7)
    assert again.certificates == list(batch.certificates)
    whole = list(again.batches())
    assert [part.rows for part in whole] == [tuple(range(25)), tuple(range(25, 30))]
    assert np.concatenate([part.x_tilde for part in whole]).tobytes() == batch.x_tilde.tobytes()


def test_setting_and_provenance_come_back(tmp_path: Path) -> None:
    store, setting = finished(tmp_path / "s.zarr"), make_setting()
    for name in ("fx", "fx_output", "theory_spread", "eta", "context"):
        np.testing.assert_array_equal(getattr(store.setting, name), getattr(setting, name))
    np.testing.assert_array_equal(store.setting.volume.hu, setting.volume.hu)
    np.testing.assert_array_equal(store.setting.volume.affine, setting.volume.affine)
    assert store.setting.volume.acquisition == setting.volume.acquisition
    assert (store.setting.volume.offset, store.setting.output_box) == ((3, 20, 30), setting.output_box)
    assert store.setting.context_box == setting.context_box
    assert np.isnan(store.setting.scalars.pop("bad"))
    assert store.setting.scalars == {name: v for name, v in setting.scalars.items() if name != "bad"}
    assert store.provenance == make_provenance(n=10)


def test_nothing_on_disk_names_the_patient(tmp_path: Path) -> None:
    finished(tmp_path / "s.zarr")
    for name, content in snapshot(tmp_path / "s.zarr").items():
        assert UID.encode() not in content, name
        assert b"Doe" not in content, name


def test_opening_a_study_needs_no_network_library(tmp_path: Path) -> None:
    finished(tmp_path / "s.zarr")
    code = (
        "import sys\nfrom ctinv.sampler import Store\n"
        f"s = Store.open({str(tmp_path / 's.zarr')!r}); s.summary(); s.read(3); s.lazy(); s.verify()\n"
        "print([m for m in ('torch', 'monai', 'napari') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_same_request_finds_nothing_left_to_do(tmp_path: Path) -> None:
    finished(tmp_path / "s.zarr")
    before = snapshot(tmp_path / "s.zarr")
    with create(tmp_path / "s.zarr", device="cuda") as store:
        assert store.missing() == []
    with create(tmp_path / "s.zarr", n=4) as store:  # fewer than there are
        assert store.missing() == []
        assert store.n == 10
    assert snapshot(tmp_path / "s.zarr") == before


def test_a_larger_n_extends_and_leaves_the_first_samples_alone(tmp_path: Path) -> None:
    first = snapshot_rows(finished(tmp_path / "s.zarr", n=10))
    with create(tmp_path / "s.zarr", n=60, device="cuda") as store:
        assert store.missing() == list(range(10, 60))
        fill(store)
        store.finish({"sample": 3.0})
    again = Store.open(tmp_path / "s.zarr")
    assert (again.n, again.provenance.n, again.provenance.key()) == (60, 60, make_provenance().key())
    assert snapshot_rows(again)[:10] == first
    assert again.verify() == []
    assert again.seconds == {"sample": 5.0}
    at_once = finished(tmp_path / "once.zarr", n=60)
    assert snapshot_rows(again) == snapshot_rows(at_once)
    np.testing.assert_array_equal(again.spread(), at_once.spread())


def snapshot_rows(store: Store) -> list[bytes]:
    return [store.read(k).tobytes() + store.read_error(k).tobytes() for k in store.rows]


@pytest.mark.parametrize("size", [1, 7, 30])
def test_batch_size_does_not_change_the_files(tmp_path: Path, size: int) -> None:
    reference = finished(tmp_path / "a.zarr", n=30)
    with create(tmp_path / "b.zarr", n=30) as store:
        fill(store, size=size)
        store.finish({"sample": 2.0})
    assert snapshot(tmp_path / "b.zarr") == snapshot(reference.path)


@pytest.mark.parametrize("change", [{"seed": 8}, {"denoiser": "wganvgg"}, {"box": "3,20:52,30:55"}])
def test_another_request_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    finished(tmp_path / "s.zarr")
    before = snapshot(tmp_path / "s.zarr")
    with pytest.raises(StoreError, match=rf"{next(iter(change))} \(.*choose another folder"):
        create(tmp_path / "s.zarr", **change)
    assert snapshot(tmp_path / "s.zarr") == before


def test_another_scan_is_refused_without_its_hash(tmp_path: Path) -> None:
    finished(tmp_path / "s.zarr")
    with pytest.raises(StoreError, match="series") as caught:
        create(tmp_path / "s.zarr", series="0" * 64)
    assert "0" * 16 not in str(caught.value)


def test_what_is_not_a_study_is_left_alone(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file.zarr"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    file.write_text("text")
    zarr.create_array(str(tmp_path / "other.zarr"), shape=(3,), dtype="i2")
    before = snapshot(tmp_path)
    for path in (folder, file, tmp_path / "other.zarr"):
        with pytest.raises(StoreError, match="not a study"):
            create(path)
        with pytest.raises(StoreError, match="not a study"):
            Store.open(path)
    assert snapshot(tmp_path) == before
    with pytest.raises(StoreError, match="there is no study nowhere"):
        Store.open(tmp_path / "nowhere")


def test_an_empty_folder_becomes_the_study(tmp_path: Path) -> None:
    (tmp_path / "s.zarr").mkdir()
    create(tmp_path / "s.zarr").close()
    assert Store.open(tmp_path / "s.zarr").rows == ()
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


@pytest.mark.parametrize("n", [0, -3, MOST_ROWS + 1])
def test_a_number_of_samples_that_no_study_holds_is_refused(tmp_path: Path, n: int) -> None:
    with pytest.raises(InputError, match=f"from 1 to {MOST_ROWS}, got n = {n}"):
        create(tmp_path / "s.zarr", n=n)
    assert not (tmp_path / "s.zarr").exists()


def test_the_most_samples_can_be_asked_for(tmp_path: Path) -> None:
    create(tmp_path / "s.zarr", n=MOST_ROWS).close()
    assert Store.open(tmp_path / "s.zarr").n == MOST_ROWS


def changed(batch: Batch, **arrays: np.ndarray) -> Batch:
    values = {"x_tilde": batch.x_tilde, "feedback_error": batch.feedback_error, **arrays}
    return Batch(batch.rows, certificates=batch.certificates, **values)


def test_values_that_cannot_be_kept_exactly_are_refused(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    batch = make_batch([0, 1], store.setting)
    bad = {}
    for value in (40.1, 4096.0, -4096.0, 1e9, np.nan, np.inf):
        bad[value] = batch.x_tilde.copy()
        bad[value][1, 5, 5] = value
    with pytest.raises(StoreError, match=r"not rounded to 0\.125 HU"):
        store.append(changed(batch, x_tilde=bad[40.1]))
    for value in (4096.0, -4096.0, 1e9):
        with pytest.raises(StoreError, match="range of ±4095 HU"):
            store.append(changed(batch, x_tilde=bad[value]))
    for value in (np.nan, np.inf):
        with pytest.raises(StoreError, match="NaN or infinity"):
            store.append(changed(batch, x_tilde=bad[value]))
    huge = np.full_like(batch.feedback_error, 1e5)
    with pytest.raises(StoreError, match="range"):
        store.append(changed(batch, feedback_error=huge))
    assert store.rows == ()
    edge = batch.x_tilde.copy()
    edge[0, 0, 0], edge[0, 0, 1] = 4095.0, -4095.0
    store.append(changed(batch, x_tilde=edge))
    assert store.read(0).tobytes() == edge[0].tobytes()


def test_a_scan_beyond_twelve_bits_is_kept_as_float(tmp_path: Path) -> None:
    setting = make_setting(scan_hu=9000.0)
    store = Store.create(tmp_path / "s.zarr", make_provenance(), setting, n=5)
    batch = make_batch(range(5), setting)
    store.append(batch)
    store.finish()
    again = Store.open(tmp_path / "s.zarr")
    assert (again.x_tilde.dtype, again.x_tilde.quantum, again.setting.quantum) == (np.float32, 0.0, 0.0)
    assert [again.read(k).tobytes() for k in range(5)] == [image.tobytes() for image in batch.x_tilde]
    assert Store.create(tmp_path / "s.zarr", make_provenance(), setting, n=5).missing() == []


def test_rows_that_do_not_belong_are_refused(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    fill(store, stop=5)
    for rows in ([10], [4]):
        with pytest.raises(StoreError, match="no place for rows"):
            store.append(make_batch(rows, store.setting))
    other = make_setting(Box(3, 20, 50, 30, 54))
    with pytest.raises(StoreError, match="stores x_tilde of"):
        store.append(make_batch([5], other))
    store.close()
    with pytest.raises(StoreError, match="reading only"):
        store.append(make_batch([5], store.setting))
    with pytest.raises(StoreError, match="no sample 5; it holds 5 of 10"):
        store.read(5)


def test_lazy_and_probe_show_committed_rows_only(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr", n=60)
    for rows in ([3], [30, 31], [59, 58]):
        store.append(make_batch(rows, store.setting))
    again = Store.open(tmp_path / "s.zarr")
    assert again.rows == (3, 30, 31, 58, 59)
    expected = np.stack([again.read(k) for k in again.rows])
    lazy = again.lazy()
    assert (lazy.shape, lazy.dtype) == ((5, 1, *BOX.shape), np.float32)
    np.testing.assert_array_equal(np.asarray(lazy)[:, 0], expected)
    np.testing.assert_array_equal(again.probe(31, 23), expected[:, 31, 23])
    with pytest.raises(InputError, match="outside the region"):
        again.probe(32, 23)


def test_probe_reads_only_the_chunks_of_its_pixel(tmp_path: Path) -> None:
    setting = make_setting(Box(0, 100, 300, 100, 300))
    store = Store.create(tmp_path / "s.zarr", make_provenance(), setting, n=30)
    fill(store)
    expected = [store.read(k)[10, 10] for k in range(30)]
    chunks = [p for p in (store.path / "x_tilde" / "c").rglob("*") if p.is_file()]
    assert len(chunks) == 2 * 2 * 2  # rows of 25, 128 x 128 voxels
    for chunk in chunks:
        if chunk.parts[-2:] != ("0", "0"):
            chunk.write_bytes(b"not a chunk")
    np.testing.assert_array_equal(store.probe(10, 10), expected)
    with pytest.raises(StoreError, match="damaged"):
        store.probe(10, 199)


def test_maps_of_an_unfinished_study_are_those_of_its_rows(tmp_path: Path) -> None:
    finished(tmp_path / "s.zarr", n=10)
    with create(tmp_path / "s.zarr", n=40) as store:
        fill(store, stop=35)  # and no finish: the stored maps are of 10 rows
        kept = store.spread()
    reader = Store.open(tmp_path / "s.zarr")
    images = np.stack([reader.read(k) for k in range(35)]).astype(np.float64)
    np.testing.assert_allclose(reader.spread(), images.std(axis=0, ddof=1), rtol=1e-6)
    np.testing.assert_array_equal(reader.spread(), kept)
    np.testing.assert_allclose(reader.mean(), images.mean(axis=0), rtol=1e-6)


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    writer = create(tmp_path / "s.zarr", n=5)
    reader = Store.open(tmp_path / "s.zarr")
    fill(writer, stop=3)
    assert reader.rows == ()
    reader.refresh()
    assert reader.rows == (0, 1, 2)
    assert reader.read(2).tobytes() == writer.read(2).tobytes()
    first = reader.spread()
    fill(writer)
    writer.finish()
    with create(tmp_path / "s.zarr", n=8) as writer:
        fill(writer)
    reader.refresh()
    assert (reader.n, len(reader.rows)) == (8, 8)
    assert not np.array_equal(reader.spread(), first)


def test_what_is_read_late_is_read_although_a_writer_has_made_room_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    finished(path, n=5)
    late, never = Store.open(path), Store.open(path)
    with create(path, n=30) as writer:
        np.testing.assert_array_equal(late.setting.fx, writer.setting.fx)
        assert late.n == 5
        metadata = path / "x_tilde" / "zarr.json"
        metadata.write_bytes(metadata.read_bytes().replace(b"30", b"31"))
        with pytest.raises(StoreError, match="x_tilde of this study is damaged"):
            _ = never.setting


def test_a_study_too_large_for_the_disk_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = estimate_bytes(make_setting(), 10)
    usage = SimpleNamespace(free=needed)  # enough without the margin
    monkeypatch.setattr("ctinv.sampler.disk.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match=r"needs about .* MB .* are free"):
        create(tmp_path / "s.zarr", n=10)
    assert list(tmp_path.iterdir()) == []
    usage.free = int(needed * 1.1) + 1
    create(tmp_path / "s.zarr", n=10).close()


def test_the_estimate_is_an_upper_bound_and_not_a_wild_one(tmp_path: Path) -> None:
    store = finished(tmp_path / "s.zarr", n=60)
    size = sum(len(content) for content in snapshot(store.path).values())
    assert 0.5 < size / estimate_bytes(store.setting, 60) <= 1


def test_metadata_that_were_edited_are_noticed(tmp_path: Path) -> None:
    store = finished(tmp_path / "s.zarr")
    file = store.path / "zarr.json"
    meta = json.loads(file.read_text())
    meta["attributes"]["ctinv"]["provenance"]["denoiser"] = "better"
    file.write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="key no longer fits"):
        Store.open(store.path)
    meta["attributes"]["ctinv"]["format"] = 99
    file.write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="format 99"):
        Store.open(store.path)


def test_a_journal_that_is_followed_is_the_one_that_is_read_anew(tmp_path: Path) -> None:
    """However it grew, was torn, or was rewritten meanwhile; only appended lines are parsed."""
    store = create(tmp_path / "s.zarr", n=60)
    store.append(make_batch([0, 1], store.setting))
    path = store.path / JOURNAL
    followed = Journal(path)
    before = dict(followed.records)

    def check() -> None:
        nonlocal followed
        followed, anew = followed.followed(), Journal(path)
        for name in ("records", "damaged", "repeated", "out_of_order", "torn", "_size", "_count", "_last"):
            assert getattr(followed, name) == getattr(anew, name), name

    check()
    store.append(make_batch([2, 3, 4], store.setting))
    check()
    assert len(before) == 2, "who holds the old one is not disturbed"
    with path.open("ab") as file:
        file.write(b'{"torn')
    check()
    store.append(make_batch([30], store.setting))
    check()
    store.append(make_batch([10], store.setting))  # belongs before another: the file is rewritten
    check()
    with path.open("ab") as file:
        file.write(b"not a record\n")
    check()
    check()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    check()


def test_a_reader_takes_in_what_is_committed_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctinv.sampler import journal

    store = create(tmp_path / "s.zarr", n=60)
    store.append(make_batch(list(range(25)), store.setting))
    reader = Store.open(store.path)
    parsed: list[bytes] = []
    parse = journal._parse
    monkeypatch.setattr(journal, "_parse", lambda line: parsed.append(line) or parse(line))
    reader.refresh()
    assert parsed == []
    store.append(make_batch(list(range(25, 50)), store.setting))
    parsed.clear()
    reader.refresh()
    assert len(parsed) == 25
    assert reader.rows == tuple(range(50))
    assert [one.k for one in reader.certificates] == list(range(50))
