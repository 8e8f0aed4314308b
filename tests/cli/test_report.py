"""The overview: complete, readable, honest about which samples it shows, and never half written."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from ctinv.errors import InputError
from ctinv.fibre.tiers import Certificate
from ctinv.picture import draw
from ctinv.report import STAMP, choose_window, describe, overview
from ctinv.sampler.batch import Setting
from ctinv.sampler.provenance import Provenance, hash_series
from ctinv.sampler.samples import Samples
from ctinv.volume import Box, Volume

BOX, HALO = Box(0, 60, 92, 70, 102), Box(0, 53, 99, 63, 109)
SPACING = (2.5, 0.7, 0.7)


def study(*, n: int = 7, eta: bool = True, tap: str = "output", centre: float = 40.0) -> Samples:
    """Samples in memory around a disc of soft tissue."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:160, :160]
    tissue = np.where((y - 80) ** 2 + (x - 80) ** 2 < 70**2, centre, -1000.0).astype(np.float32)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *SPACING, 1.0
    scan = Volume(tissue[None], affine, uid="sha256:0")
    setting = Setting(
        volume=scan[BOX],
        fx=np.ascontiguousarray(tissue[BOX.slices]),
        fx_output=np.ascontiguousarray(tissue[HALO.slices]),
        output_box=HALO,
        theory_spread=np.full(BOX.shape, 9.0, np.float32),
        eta=rng.uniform(0.9, 1.0, BOX.shape).astype(np.float32) if eta else None,
        scalars={"spread_theory_hu": 9.0, "chi2_per_n_scan": 0.86, "free_share": 0.25, "sigma_out_hu": 5.7},
    )
    unit = "HU" if tap == "output" else "relative"
    source = "projection-domain re-noising of f(x)"
    provenance = Provenance(
        hash_series("a"), str(BOX), (1, 160, 160), affine.tolist(), "cnn10", {"model.safetensors": "0"}, tap,
        "renoise", "T2", 0.451 if unit == "HU" else 0.05, unit, 400.0, {"source": source},
        0, n, "cpu", {"method": "1"},
    )  # fmt: skip
    samples = np.rint((setting.fx + rng.normal(0, 8, (n, 1, *BOX.shape))) * 8) / 8
    errors = rng.normal(0, 0.2, (n, 1, *HALO.shape))
    certificates = tuple(
        Certificate(10 * k, 8.0, 0.99, 0.2, 0.8, 0.6, 0.03, 0.2, 0.84, 1, "T1", True) for k in range(n)
    )
    return Samples(samples.astype(np.float32), errors.astype(np.float32), certificates, setting, provenance)


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn; labels of ticks beyond an axis are kept by matplotlib but not drawn."""
    figure.canvas.draw()
    found = list(figure.texts)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        found += [axes.title, axes.xaxis.label, *axes.texts]
        found += [label for at, label in ticks if low <= at <= high]
    return [text for text in found if text.get_text().strip()]


@pytest.mark.parametrize("case", [{}, {"n": 2}, {"eta": False}, {"tap": "conv1"}, {"centre": -700.0}])
def test_no_text_lies_over_another_or_outside(case: dict[str, object]) -> None:
    subject = study(**case)  # type: ignore[arg-type]
    figure = draw(subject, describe(subject), scan_slice=np.zeros((160, 160), np.float32))
    figure.set_dpi(100)
    shown = texts(figure)
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    width, height = figure.get_size_inches() * 100
    for text, box in boxes:
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1, f"{one!r} lies over {other!r}"
    assert min(text.get_fontsize() for text in shown) >= 9


def test_page_holds_the_figures_and_the_first_samples(tmp_path: Path) -> None:
    subject = study()
    page = overview(subject, tmp_path / "out" / "page.png", scan_slice=np.zeros((160, 160), np.float32))
    assert json.loads((tmp_path / "out" / "page.json").read_text()) == page
    assert page["use"] == STAMP
    assert page["summary"] == subject.summary()
    assert page["shown_samples"] == [0, 10, 20, 30, 40]  # the first ones, by their row numbers
    assert page["error_scale_hu"] == pytest.approx(0.902)
    assert len(page["certificates"]) == 7
    assert page["window_hu"] == {"name": "soft tissue", "low": -160.0, "high": 240.0}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["page.json", "page.png"]


def test_the_picture_shows_each_image_where_it_says() -> None:
    subject = study()
    figure = draw(subject, describe(subject), scan_slice=None)
    images = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.images and axes.get_title()}
    np.testing.assert_array_equal(images["scan  $x$"].get_array(), subject.setting.volume.hu[0])
    np.testing.assert_array_equal(images[r"sample 20  $\tilde{x}$"].get_array(), subject.read(20))
    np.testing.assert_array_equal(images["spread of samples"].get_array(), subject.spread())
    clims = {image.get_clim() for title, image in images.items() if "$x$" in title or "sample" in title[:6]}
    assert clims == {(-160.0, 240.0)}


@pytest.mark.parametrize(
    ("hu", "name"), [(50.0, "soft tissue"), (-800.0, "lung"), (1100.0, "bone"), (-5000.0, "wide")]
)
def test_window_follows_the_region(hu: float, name: str) -> None:
    found, low, high = choose_window(np.full((8, 8), hu, np.float32))
    assert found == name
    assert name == "wide" or low <= hu <= high


def test_a_study_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished sample"):
        overview(study(n=0), tmp_path / "page.png")
    assert list(tmp_path.iterdir()) == []


def test_a_slice_of_another_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this study's scan"):
        overview(study(), tmp_path / "page.png", scan_slice=np.zeros((8, 8), np.float32))


def test_figures_that_are_not_known_become_null(tmp_path: Path) -> None:
    subject = study(n=1)  # one sample has no spread
    setting = replace(subject.setting, scalars={"chi2_per_n_scan": float("nan")})
    page = overview(replace(subject, setting=setting), tmp_path / "page.png")
    assert page["summary"]["spread_hu"] is None
    assert page["scalars"]["chi2_per_n_scan"] is None
