"""Laws of low-dose insertion on small phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.simulate import (
    DEFAULT_PHOTONS,
    ParallelGeometry,
    counts,
    fit_photons,
    inserted_variance,
    noise_image,
    photons_from_tags,
    scan_variance,
    simulate_low_dose,
    slice_generator,
    water_phantom,
)
from ctinv.volume import Acquisition, Box, Volume

VIEWS = 120


def phantom(slices: int = 3) -> Volume:
    return water_phantom(size=96, pixel_mm=3.0, diameter_mm=250.0, slices=slices)


def simulate(volume: Volume, *, dose: float = 0.25, seed: int = 1, workers: int = 1) -> Volume:
    return simulate_low_dose(volume, dose=dose, seed=seed, photons=1e6, views=VIEWS, workers=workers)


def test_inserted_noise_completes_that_of_the_scan() -> None:
    photon_counts = np.geomspace(5, 1e6, 50, dtype=np.float32)[None]
    for dose in (0.9, 0.25, 0.05):
        total = scan_variance(photon_counts) + inserted_variance(photon_counts, dose=dose)
        np.testing.assert_allclose(total, scan_variance(dose * photon_counts), rtol=1e-5)


def test_noise_of_a_slice_depends_on_seed_and_slice_only() -> None:
    volume = phantom()
    whole = simulate(volume)
    np.testing.assert_array_equal(simulate(volume, workers=2).hu, whole.hu)
    np.testing.assert_array_equal(simulate(volume[1:3]).hu, whole.hu[1:3])
    noise = whole.hu - volume.hu
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    other = simulate(volume, seed=2).hu - volume.hu
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.1


def test_result_keeps_the_place_and_knows_its_dose() -> None:
    acquisition = Acquisition(kvp=120, exposure_mas=200, slice_thickness_mm=2.0, dose_fraction=0.5)
    volume = replace(phantom(), acquisition=acquisition)
    low = simulate(volume)
    assert low.acquisition.photons == pytest.approx(0.25e6)
    assert low.acquisition.dose_fraction == pytest.approx(0.125)
    assert low.acquisition.exposure_mas == pytest.approx(50)
    np.testing.assert_array_equal(low.affine, volume.affine)
    assert low.uid != volume.uid
    assert "seed 1" in low.notes[-1]


def test_full_dose_changes_nothing_and_padding_stays() -> None:
    volume = phantom()
    np.testing.assert_array_equal(simulate(volume, dose=1.0).hu, volume.hu)
    padded = volume.hu.copy()
    padded[:, :5] = -2048
    low = simulate(volume.with_hu(padded))
    assert (low.hu[:, :5] == -2048).all()
    # Padding counts as air: the noise elsewhere is the same as with air in its place.
    np.testing.assert_allclose(low.hu[:, 5:], simulate(volume).hu[:, 5:], atol=1e-2)


def test_noise_in_a_box_is_that_of_the_slice() -> None:
    geometry = ParallelGeometry((64, 80), 2.0, views=VIEWS)
    variance = np.full((VIEWS, geometry.rays), 1e-4, np.float32)
    box = Box(0, 5, 30, 40, 72)
    whole = noise_image(variance, geometry, slice_generator(3, 7))
    part = noise_image(variance, geometry, slice_generator(3, 7), box=box)
    np.testing.assert_array_equal(part, whole[box.slices])


def test_photons_come_from_the_tags_or_are_assumed_aloud() -> None:
    tags = Acquisition(kvp=120.0, exposure_mas=228.0, slice_thickness_mm=2.5)
    known = photons_from_tags(tags, 0.703125)
    assert known == pytest.approx(340_664, rel=1e-3)
    assert photons_from_tags(replace(tags, exposure_mas=114.0), 0.703125) == pytest.approx(known / 2)
    assert photons_from_tags(replace(tags, photons=5.0), 0.7) == 5.0
    assert photons_from_tags(replace(tags, kvp=None), 0.7) is None
    assumed = simulate_low_dose(phantom(1), dose=0.5, seed=0, views=VIEWS)
    assert assumed.acquisition.photons == pytest.approx(DEFAULT_PHOTONS / 2)
    assert "assumed" in assumed.notes[-1]


@pytest.mark.parametrize("photons", [1e5, 3e6])
def test_fitted_photons_are_those_of_the_noise(photons: float) -> None:
    water = water_phantom(size=256, pixel_mm=1.2, diameter_mm=240.0, slices=2)
    noisy = simulate_low_dose(water, dose=0.5, seed=4, photons=2 * photons, views=360, electronic_noise=0)
    # What was inserted at half the dose is the noise of a scan of 2·photons: 1/(aN) − 1/N = 1/N.
    assert fit_photons(noisy) == pytest.approx(2 * photons, rel=0.1)
    low = simulate_low_dose(noisy, dose=0.25, seed=5, photons="fit", views=360)
    inside = (slice(None), slice(108, 148), slice(108, 148))
    assert low.hu[inside].std() / noisy.hu[inside].std() == pytest.approx(2.0, rel=0.08)


def test_counts_do_not_depend_on_how_many_views_share_the_dose() -> None:
    geometry = ParallelGeometry((64, 64), 1.0, views=180)
    few = counts(np.zeros((180, geometry.rays), np.float32), geometry, photons=1e5)
    assert few[0, geometry.rays // 2] == pytest.approx(4e5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dose": 0.0}, "fraction"),
        ({"dose": 1.5}, "fraction"),
        ({"dose": float("nan")}, "fraction"),
        ({"seed": -1}, "seed"),
        ({"photons": 0.0}, "positive"),
        ({"photons": float("inf")}, "positive"),
        ({"photons": "known"}, "'fit'"),
        ({"electronic_noise": -1.0}, "electronic noise"),
        ({"kernel": "soft"}, "kernel"),
        ({"projector": "rtk"}, "projector"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(change: dict[str, object], words: str) -> None:
    arguments = {"dose": 0.25, "seed": 1, "photons": 1e5, "views": VIEWS} | change
    with pytest.raises(InputError, match=words) as caught:
        simulate_low_dose(phantom(1), **arguments)  # type: ignore[arg-type]
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_pixels_that_are_not_square_are_refused() -> None:
    volume = phantom(1)
    stretched = replace(volume, affine=volume.affine @ np.diag([1.0, 1.1, 1.0, 1.0]))
    with pytest.raises(InputError, match="square pixels"):
        simulate(stretched)


def test_fit_needs_soft_tissue() -> None:
    air = replace(phantom(1), hu=np.full((1, 96, 96), -1000, np.float32))
    with pytest.raises(InputError, match="soft tissue"):
        fit_photons(air)
    with pytest.raises(InputError, match="does not fit"):
        water_phantom(size=64, pixel_mm=1.0, diameter_mm=80.0)
