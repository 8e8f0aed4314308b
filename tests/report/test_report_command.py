"""`ctinv report`: files, replay, PDF through a browser, and what is refused."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_studies import Made

import ctinv.cli.report  # noqa: F401
from ctinv.cli import main
from ctinv.errors import ResourceError
from ctinv.report import pdf


@pytest.fixture
def ctinv_report(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run the command with --json: exit code and the one object on standard output."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["report", *map(str, arguments), "--json"])
        assert isinstance(left.value.code, int)
        return left.value.code, json.loads(capfd.readouterr().out)

    return run


Run = Callable[..., tuple[int, dict[str, Any]]]


def test_report_and_replay(ctinv_report: Run, made: Made, tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    code, data = ctinv_report(
        made.store.path, "--out", page, "--analyses", "representatives", "--device", "cpu"
    )
    assert (code, data["stamp"]) == (0, "CERTIFIED")
    assert list(data["findings"]) == ["representatives"]
    assert sorted(path.name for path in page.parent.iterdir()) == ["page.html", "page.json"]
    again = tmp_path / "again.html"
    code, told = ctinv_report("--replay", page.with_suffix(".json"), "--out", again)
    assert (code, told["different"], told["same_page"]) == (0, [], True)
    assert again.read_bytes() == page.read_bytes()


def test_a_tampered_record_ends_with_1_and_writes_nothing(
    ctinv_report: Run, made: Made, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert ctinv_report(made.store.path, "--out", page, "--analyses", "none")[0] == 0
    record = page.with_suffix(".json")
    text = record.read_text()
    worst = str(made.store.summary()["rmse_hu"]["max"])
    assert worst in text
    record.write_text(text.replace(worst, worst[:-1] + ("1" if worst[-1] != "1" else "2"), 1))
    code, told = ctinv_report("--replay", record, "--out", tmp_path / "again.html")
    assert code == 1
    assert "changed after it was written" in told["error"]
    assert not (tmp_path / "again.html").exists()


def test_a_denoiser_that_is_not_found_is_said(
    ctinv_report: Run, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctinv.models.shipped.bundles_folder", lambda: tmp_path / "none")
    code, data = ctinv_report(made.store.path, "--out", tmp_path / "page.html")
    assert code == 0
    assert all(
        one["absent"].startswith("the denoiser was not at hand: ") for one in data["findings"].values()
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected a study, or a record"),
        (["{study}", "--replay", "x.json"], "one of the two"),
        (["{study}", "--out", "page.pdf"], "ends in .html"),
        (["{study}", "--analyses", "magic"], "there is no analysis 'magic'"),
        (["--replay", "nothing.json"], "cannot be read"),
        (["nothing.zarr"], "there is no study"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, ctinv_report: Run, made: Made
) -> None:
    code, data = ctinv_report(*(word.format(study=made.store.path) for word in arguments))
    assert code == 1
    assert said in data["error"]


def test_the_pdf_is_printed_by_a_browser_in_a_profile_of_its_own(tmp_path: Path) -> None:
    browser, page = tmp_path / "chromium", tmp_path / "page.html"
    page.write_text("<p>page</p>")
    browser.write_text(
        '#!/bin/sh\nfor word in "$@"; do case $word in --print-to-pdf=*) out=${word#*=};; esac; done\n'
        'echo "$@" > ' + str(tmp_path / "words") + '\necho %PDF > "$out"\n'
    )
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    pdf.write_pdf(page, tmp_path / "page.pdf", browser=str(browser))
    assert (tmp_path / "page.pdf").read_bytes() == b"%PDF\n"
    words = (tmp_path / "words").read_text().split()
    assert {"--headless", "--disable-background-networking", "--disable-sync"} <= set(words)
    profile = next(word for word in words if word.startswith("--user-data-dir=")).partition("=")[2]
    assert not Path(profile).exists()  # and nothing is left of it
    browser.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ResourceError, match=r"could not print page\.html"):
        pdf.write_pdf(page, tmp_path / "other.pdf", browser=str(browser))


def test_without_a_browser_one_sentence_says_so_before_any_work(
    ctinv_report: Run, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda _: None)
    monkeypatch.setattr(pdf, "_PLACES", ())
    code, data = ctinv_report(made.store.path, "--out", tmp_path / "page.html", "--pdf")
    assert code == 1
    assert "none was found" in data["error"]
    assert list(tmp_path.iterdir()) == []


def test_the_command_loads_nothing_heavy_until_it_runs() -> None:
    code = (
        "import sys, ctinv.cli.report, ctinv.report.build, ctinv.report.record, ctinv.report.pdf\n"
        "assert not {'torch', 'matplotlib', 'jinja2', 'scipy'} & {name.partition('.')[0] for name in sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
