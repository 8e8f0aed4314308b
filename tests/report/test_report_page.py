"""The page: self-contained, well-formed, complete, without identity, and loud where samples fail."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_studies import ANALYSES, BOX, CANARY, Made, N

from ctinv.errors import InputError
from ctinv.report.build import Report, build
from ctinv.report.overview import STAMP
from ctinv.sampler import Samples

VOID = {"meta", "img", "br"}
FIGURES = [f"F{number}" for number in range(1, 9)]


class Outline(HTMLParser):
    """Tags that are open, those that were closed in the wrong order, attributes that load something, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "srcset", "data", "poster", "action", "background") or (
                name == "href" and tag != "a"
            ):
                self.loads.append(value or "")
            if name == "href" and tag == "a":
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def page_of(report: Report) -> str:
    return report.html.decode()


def test_the_page_is_well_formed_and_holds_every_figure(report: Report) -> None:
    page = page_of(report)
    outline = Outline(page)
    assert page.startswith("<!DOCTYPE html>")
    assert outline.open == []
    assert outline.wrong == []
    assert len(outline.ids) == len(set(outline.ids))
    assert [name for name in outline.ids if name in FIGURES] == FIGURES
    assert page.count("<img ") == len(report.pictures) == len(outline.loads)


def test_the_page_loads_nothing(report: Report) -> None:
    page, outline = page_of(report), Outline(page_of(report))
    assert all(one.startswith("data:image/png;base64,") for one in outline.loads)
    assert all(link.startswith("https://doi.org/10.") for link in outline.links)
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert re.findall(r"https?://(?!doi\.org/)\S+", page) == []


def test_no_identity_and_no_path_is_told(report: Report, made: Made) -> None:
    everything = page_of(report) + report.record.write().decode()
    for secret in (CANARY, made.volume.uid, str(made.folder), str(made.store.path), "/home/", "/tmp/"):
        assert secret.lower() not in everything.lower(), secret
    assert made.store.provenance.series in everything


def test_every_section_says_what_it_is_for(report: Report) -> None:
    page = page_of(report)
    assert all(STAMP in head for head in re.findall(r"<h2>.*?</h2>", page))
    assert len(re.findall(r"<h2>", page)) == 7
    assert "@bottom-center" in page  # and on every printed page


def test_the_answer_carries_its_numbers(report: Report, made: Made) -> None:
    text, summary = Outline(page_of(report)).text, made.store.summary()
    assert "CERTIFIED" in text
    assert f"{N} of {N} samples hold" in text
    assert f"{summary['rmse_hu']['max']:.3g} HU at worst" in text
    assert "tier T2, the same 8-bit picture in a window of 400 HU: the RMSE is at most 0.451 HU" in text
    assert "the stored certificates agree" in text
    found = report.record.content["findings"]
    assert tuple(found) == tuple(name for name in found if name in ANALYSES)
    for one in found.values():
        assert one["sentence"] in text


def test_hashes_versions_and_the_source_of_c_are_told(report: Report, made: Made) -> None:
    text, provenance = Outline(page_of(report)).text, made.store.provenance
    for expected in (
        *provenance.weights_sha256.values(),
        provenance.key(),
        str(BOX),
        provenance.noise["source"],
    ):
        assert expected in text
    assert report.record.seal in text
    assert all(f"{name} {version}" in text for name, version in report.record.drawn_with.items())
    assert "10.1137/140964023" in text


def test_failures_are_stamped_and_listed(failed: Samples, made: Made) -> None:
    report = build(failed, denoiser=made.denoiser, analyses=[])
    page, text = page_of(report), Outline(page_of(report)).text
    assert '<body class="failed">' in page
    assert 'class="banner"' in page
    assert "FAILED" in text
    late = failed.certificates[4].rmse_hu
    assert f"1 of {N} samples did not reach tier T2, with an RMSE of {late:.3g} HU" in text
    assert f"1 of {N} samples are implausible" in text
    assert f"{N - 2} of {N} samples hold" in text
    listed = page.split("Samples that do not hold: 2")[1].split("<h3>")[0]
    assert re.findall(r'<tr class="bad">\s*<th scope="row">(\d+)</th>', listed) == ["4", "7"]
    assert ("NOT REACHED" in listed, "IMPLAUSIBLE" in listed) == (True, True)
    shown = {one["row"] for one in report.record.content["shown_samples"]}
    assert shown.isdisjoint({4, 7})


def test_images_that_do_not_fit_their_certificates_fail(samples: Samples, made: Made) -> None:
    images = samples.x_tilde.copy()
    images[2] += 30.0
    report = build(replace(samples, x_tilde=images), denoiser=made.denoiser, analyses=[])
    assert '<body class="failed">' in page_of(report)
    assert "the stored certificates are not those of the stored images" in Outline(page_of(report)).text


def test_a_sound_study_is_not_stamped(report: Report) -> None:
    page = page_of(report)
    assert '<body class="certified">' in page
    assert 'class="banner"' not in page
    assert 'class="bad"' not in page


def test_a_study_that_is_not_finished_says_so(samples: Samples) -> None:
    page = page_of(
        build(replace(samples, provenance=samples.provenance.with_n(2 * N)), absent="it is elsewhere.")
    )
    assert '<body class="incomplete">' in page
    assert f"Only {N} of {2 * N} samples have been drawn" in page


def test_without_its_denoiser_the_report_says_what_is_missing(samples: Samples) -> None:
    report = build(samples, absent="the denoiser was not at hand.")
    content, text = report.record.content, Outline(page_of(report)).text
    assert content["recheck"] == {"absent": "the denoiser was not at hand."}
    assert {one["absent"] for one in content["findings"].values()} == {"the denoiser was not at hand."}
    assert "No analysis was made of what differs" in text
    assert "they were not checked again for this report" in text
    assert {"F1/spread", "F2/nps", "F5/nfe"} <= set(report.pictures)
    assert not any(name.startswith(("F3/", "F4/", "F6/")) for name in report.pictures)


def test_a_study_without_c_still_gets_a_report(samples: Samples, made: Made) -> None:
    older = replace(samples, setting=replace(samples.setting, noise=None))
    report = build(older, denoiser=made.denoiser, analyses=["lesion-blindness"])
    assert "The study does not keep C" in Outline(page_of(report)).text
    assert (
        "before studies kept the noise covariance C"
        in report.record.content["findings"]["lesion-blindness"]["absent"]
    )
    assert '<body class="certified">' in page_of(report)  # its images were fed back all the same


def test_what_cannot_be_reported_is_refused(samples: Samples, made: Made) -> None:
    empty = replace(
        samples, x_tilde=samples.x_tilde[:0], feedback_error=samples.feedback_error[:0], certificates=()
    )
    with pytest.raises(InputError, match="no finished sample"):
        build(empty, denoiser=made.denoiser)
    with pytest.raises(InputError, match="there is no analysis 'magic'"):
        build(samples, denoiser=made.denoiser, analyses=["magic"])
