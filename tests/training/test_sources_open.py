"""Sources to pairs: HU by the rescale tags, upright, the same slices at both doses or one sentence, read once."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pair_folders import SHAPE, SMALL, anatomy, collection, doses, noisy, write_dicom, write_pair

from ctinv.errors import InputError, ResourceError
from ctinv.io import from_array
from ctinv.io.nifti import write_nifti
from ctinv.simulate import simulate_low_dose
from ctinv.training.data import Pair
from ctinv.training.sources import PairSource, find_pairs, open_pair_source
from ctinv.training.sources.check import refuse_other_image
from ctinv.training.sources.opening import upright


def opened(source: PairSource, cache: Path, photons: float | str | None = None, seed: int = 0) -> Pair:
    return open_pair_source(source, cache, dose=0.25, seed=seed, photons=photons)


def write_doses(root: Path, low: NDArray[np.float32], full: NDArray[np.float32], lift: float = 0.0) -> Path:
    write_dicom(low, root / "low" / "p", patient="P", uid="1.2.1", lift=lift)
    write_dicom(full, root / "full" / "p", patient="P", uid="1.2.2")
    return root


def test_hu_follow_the_rescale_tags_whatever_they_are(tmp_path: Path):
    low, full = doses(0)
    low, full = 2 * np.rint(low / 2), 2 * np.rint(full / 2)
    write_dicom(low, tmp_path / "low" / "p", patient="P", uid="1.2.1", slope=2, intercept=-2000)
    write_dicom(full, tmp_path / "full" / "p", patient="P", uid="1.2.2", intercept=-1500)
    pair = opened(find_pairs(tmp_path)[0], tmp_path / "cache")
    np.testing.assert_array_equal(pair.low, low)
    np.testing.assert_array_equal(pair.full, full)
    assert pair.spacing_mm == pytest.approx(0.7)


def test_the_collection_opens_in_true_hu(tmp_path: Path):
    source = find_pairs(collection(tmp_path, ("C121",)))[0]
    pair = opened(source, tmp_path / "cache")
    assert (pair.name, pair.patient) == ("C121", "C121")
    for side, hu in zip((pair.low, pair.full), doses(0), strict=True):
        np.testing.assert_array_equal(side, hu)


def test_a_scan_is_decoded_once_and_again_when_its_files_change(tmp_path: Path):
    low, full = doses(0)
    source = find_pairs(write_doses(tmp_path, low, full))[0]
    cache = tmp_path / "cache"
    first = opened(source, cache)
    times = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(times) == 4
    assert all(len(path.stem) == 64 for path in times)  # a hash and nothing else
    assert isinstance(first.low, np.memmap)
    assert first.low.dtype == np.int16
    opened(source, cache)
    assert times == {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    write_dicom(noisy(anatomy(0), 30, 99), tmp_path / "low" / "p", patient="P", uid="1.2.1")
    (tmp_path / "low" / "p" / "touched").touch()
    assert not np.array_equal(opened(source, cache).low, first.low)


def test_an_unfinished_array_in_the_cache_is_made_again(tmp_path: Path):
    source = find_pairs(write_doses(tmp_path, *doses(0)))[0]
    cache = tmp_path / "cache"
    whole = opened(source, cache)
    expected = np.array(whole.low)
    for path in cache.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:-100])
    np.testing.assert_array_equal(opened(source, cache).low, expected)
    for path in cache.glob("*.json"):
        path.write_text("{}")
    np.testing.assert_array_equal(opened(source, cache).low, expected)
    assert not list(cache.glob("*.part"))


def test_no_flipped_bit_in_the_cache_reaches_a_training(tmp_path: Path):
    source = find_pairs(write_doses(tmp_path, *doses(0)))[0]
    cache, rng = tmp_path / "cache", random.Random(3)
    whole = opened(source, cache)
    low, full, spacing = np.array(whole.low), np.array(whole.full), whole.spacing_mm
    for path in sorted(cache.iterdir()) * 6:
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        again = opened(source, cache)
        np.testing.assert_array_equal(again.low, low)
        np.testing.assert_array_equal(again.full, full)
        assert again.spacing_mm == spacing


def test_exchanged_arrays_in_the_cache_are_made_again(tmp_path: Path):
    source = find_pairs(write_doses(tmp_path, *doses(0)))[0]
    cache = tmp_path / "cache"
    low = np.array(opened(source, cache).low)
    for ending in (".npy", ".json"):
        one, two = sorted(cache.glob(f"*{ending}"))
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
    np.testing.assert_array_equal(opened(source, cache).low, low)


def test_two_trainings_that_fill_the_cache_at_once_get_the_same(tmp_path: Path):
    source = find_pairs(write_doses(tmp_path, *doses(0)))[0]
    cache, low = tmp_path / "cache", doses(0)[0]
    with ThreadPoolExecutor(4) as pool:
        pairs = list(pool.map(lambda _: opened(source, cache), range(8)))
    for pair in pairs:
        np.testing.assert_array_equal(pair.low, low)
    assert not list(cache.glob(".*"))


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path):
    source = find_pairs(write_doses(tmp_path, *doses(0)))[0]
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="set CTINV_CACHE"):
        opened(source, tmp_path / "file" / "cache")


def test_fractions_of_hu_are_kept(tmp_path: Path):
    low, full = doses(0)
    for side, hu in (("low", low + 0.25), ("full", full + 0.25)):
        write_nifti(from_array(hu, (2.5, 0.7, 0.7)), tmp_path / f"a_{side}.nii.gz")
    np.testing.assert_array_equal(opened(find_pairs(tmp_path)[0], tmp_path / "cache").low, low + 0.25)


def test_doses_stored_in_other_orders_meet_upright(tmp_path: Path):
    low, full = doses(0)
    straight = from_array(full, (2.5, 0.7, 0.7))
    turned = from_array(low, (2.5, 0.7, 0.7))
    affine = turned.affine.copy()
    for axis in (0, 1):  # stored from the head down and from back to front
        affine[:, 3] += affine[:, axis] * (SHAPE[axis] - 1)
        affine[:, axis] *= -1
    write_nifti(straight, tmp_path / "a_full.nii.gz")
    write_nifti(
        replace(turned, hu=np.ascontiguousarray(low[::-1, ::-1]), affine=affine), tmp_path / "a_low.nii.gz"
    )
    pair = opened(find_pairs(tmp_path)[0], tmp_path / "cache")
    np.testing.assert_array_equal(pair.low, low)
    np.testing.assert_array_equal(pair.full, full)


def test_upright_moves_no_voxel_in_the_patient():
    volume = from_array(anatomy(0), (2.5, 0.7, 0.6))
    affine = volume.affine.copy()
    affine[:3, 3] = (5, -7, 11)
    affine[:, 2] *= -1
    odd = replace(volume, affine=affine)
    even = upright(odd)
    z, y, x = 1, 2, 3
    np.testing.assert_allclose(even.affine @ [z, y, SHAPE[2] - 1 - x, 1], odd.affine @ [z, y, x, 1])
    assert even.hu[z, y, SHAPE[2] - 1 - x] == odd.hu[z, y, x]
    with pytest.raises(InputError, match="not axial"):
        upright(replace(volume, affine=volume.affine[:, [1, 0, 2, 3]]))


@pytest.mark.parametrize("lift", [0.005, 0.02, 2.5])
def test_slices_at_other_places_are_refused_beyond_a_hundredth_of_a_millimetre(tmp_path: Path, lift: float):
    source = find_pairs(write_doses(tmp_path, *doses(0), lift=lift))[0]
    if lift < 0.01:
        opened(source, tmp_path / "cache")
        return
    with pytest.raises(InputError, match=rf"slices of {source.name} lie up to {lift:.2f} mm apart"):
        opened(source, tmp_path / "cache")


def test_another_number_of_slices_is_refused(tmp_path: Path):
    low, full = doses(0)
    source = find_pairs(write_doses(tmp_path, low[:5], full))[0]
    with pytest.raises(InputError, match=rf"doses of {source.name} have the shapes \(5, 40, 36\) and \(6, "):
        opened(source, tmp_path / "cache")


def test_a_scan_that_cannot_be_read_is_named_neutrally(tmp_path: Path):
    source = find_pairs(write_doses(tmp_path, *doses(0)))[0]
    next((tmp_path / "low" / "p").glob("*003.dcm")).unlink()
    with pytest.raises(InputError, match=rf"{source.name}, low dose: a slice is missing"):
        opened(source, tmp_path / "cache")


def mirrored(low: NDArray[np.float32], full: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    return low[:, :, ::-1], full


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (mirrored, "different anatomy"),
        (lambda low, full: (doses(5, low.shape)[0], full), "different anatomy"),
        (lambda low, full: (full, full), "slice 0 of a is identical"),
        (lambda low, full: (np.concatenate([full[:1], low[1:]]), full), "slice 0 of a is identical"),
        (lambda low, full: (full, low), "less noise"),
        (lambda low, full: (np.roll(low, 1, 2), full), "shifted by one column"),
        (lambda low, full: (np.roll(low, 1, 1), full), "shifted by one row"),
        (lambda low, full: (low[1:], full[:-1]), "different anatomy|shifted by one slice"),
        (lambda low, full: (low, np.zeros_like(full)), "different anatomy"),
    ],
)
def test_images_that_do_not_belong_together_are_refused(spoil, words: str):
    low, full = doses(0, (12, 64, 64))
    refuse_other_image(Pair("a", low, full))
    with pytest.raises(InputError, match=words):
        refuse_other_image(Pair("a", *spoil(low, full)))


def test_a_shift_among_thin_slices_is_found_though_they_look_alike():
    thick = anatomy(0, (8, 64, 64))
    thin = np.repeat(thick, 6, axis=0)
    for offset in range(6):  # linear between the thick ones
        nearer = np.roll(thick, -1, 0)
        thin[offset::6] = thick + (nearer - thick) * np.float32(offset / 6)
    thin = thin[:-6]
    low, full = noisy(thin, 40, 1), noisy(thin, 8, 2)
    refuse_other_image(Pair("a", low, full))
    with pytest.raises(InputError, match="shifted by one slice"):
        refuse_other_image(Pair("a", low[1:], full[:-1]))


def test_noise_as_of_a_hundredth_of_the_dose_is_no_reason_to_refuse():
    full = noisy(anatomy(0, (6, 64, 64)), 20, 1)
    refuse_other_image(Pair("a", noisy(full, 200, 2), full))


def test_simulated_low_dose_is_that_of_the_simulation_and_differs_from_scan_to_scan(tmp_path: Path):
    for number in range(2):
        write_dicom(anatomy(number, SMALL), tmp_path / str(number), patient=f"P{number}", uid=f"1.2.{number}")
    sources = find_pairs(tmp_path, "full-dose")
    cache = tmp_path / "cache"
    pairs = [opened(source, cache) for source in sources]
    noise = [np.asarray(pair.low, dtype=np.float64) - pair.full for pair in pairs]
    np.testing.assert_array_equal(pairs[0].full, anatomy(0, SMALL))
    assert all(part.std() > 1 for part in noise)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    given = opened(sources[0], cache, photons=5e4)
    assert np.std(given.low - pairs[0].full) > 1.5 * noise[0].std()
    assert not np.array_equal(opened(sources[0], cache, seed=1).low, pairs[0].low)
    np.testing.assert_array_equal(opened(sources[0], cache).low, pairs[0].low)


def test_a_dose_that_no_tag_tells_is_not_assumed(tmp_path: Path):
    data, cache = tmp_path / "data", tmp_path / "cache"
    write_dicom(anatomy(0, SMALL), data / "a", patient="A", uid="1.2.1", tags=False)
    source = find_pairs(data, "full-dose")[0]
    with pytest.raises(InputError, match="no dose tags to simulate from; set photons to 'fit'"):
        opened(source, cache)
    opened(source, cache, photons=1e5)
    tags = {"kvp": 120, "exposure_mas": 100, "slice_thickness_mm": 5}
    (data / "a.json").write_text(json.dumps(tags))
    opened(find_pairs(data, "full-dose")[0], cache)


def test_an_array_is_simulated_to_its_scale_or_not_at_all(tmp_path: Path):
    np.save(tmp_path / "a.npy", anatomy(0, SMALL))
    with pytest.raises(InputError, match="put spacing_mm"):
        opened(find_pairs(tmp_path, "full-dose")[0], tmp_path / "cache", 1e5)
    (tmp_path / "a.json").write_text(json.dumps({"spacing_mm": [2.5, 0.7, 0.7]}))
    source = find_pairs(tmp_path, "full-dose")[0]
    pair = opened(source, tmp_path / "cache", 1e5)
    expected = simulate_low_dose(
        from_array(anatomy(0, SMALL), (2.5, 0.7, 0.7)), dose=0.25, seed=_seed(source), photons=1e5
    )
    np.testing.assert_array_equal(pair.low, expected.hu)
    assert pair.spacing_mm == pytest.approx(0.7)


def _seed(source: PairSource) -> int:
    from ctinv.training.sources.opening import source_seed

    return source_seed(0, source.key)


def test_pairs_of_arrays_are_mapped_where_they_lie(tmp_path: Path):
    write_pair(tmp_path, "a", 0, ending=".npy")
    cache = tmp_path / "cache"
    pair = opened(find_pairs(tmp_path)[0], cache)
    assert isinstance(pair.low, np.memmap)
    assert not cache.exists()
    assert np.isnan(pair.spacing_mm)
    (tmp_path / "a.json").write_text(json.dumps({"spacing_mm": [2.5, 0.7, 0.7]}))
    assert opened(find_pairs(tmp_path)[0], cache).spacing_mm == pytest.approx(0.7)
    np.save(tmp_path / "a_low.npy", doses(1)[0])
    with pytest.raises(InputError, match="doses of a show different anatomy"):
        opened(find_pairs(tmp_path)[0], cache)
