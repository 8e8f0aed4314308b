"""Trained generators on a scan: what they draw belongs to the row, the slice and the seed, and to nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError, ModelError
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.find import find_generator
from ctinv.generators.kinds import KINDS
from ctinv.generators.library import generator_facts, is_generator, read_entry
from ctinv.representation import Representation
from ctinv.resources import bundles_folder
from ctinv.volume import Box

SEEDS = RowSeeds(3, "series", "place")
BOX = Box(0, 33, 57, 30, 50)
Make = Callable[..., Scene]
Bundle = Callable[[str], Path]


@pytest.fixture(scope="module")
def cnn10() -> Denoiser:
    return load_denoiser("cnn10")


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_the_same_in_any_company(kind: str, trained: Bundle, scene: Make, cnn10: Denoiser) -> None:
    generator = find_generator(trained(kind), Representation(cnn10)).on(scene(BOX))
    together = generator.candidates(range(4), SEEDS)
    alone = generator.candidates([2], SEEDS)
    assert together.shape == (4, 1, 24, 20)
    assert torch.isfinite(together).all()
    assert float((together[2] - alone[0]).abs().max()) <= 3e-6 * float(together.abs().max())
    assert float((together[1] - together[2]).abs().max()) > 0.1
    assert not torch.equal(generator.candidates([2], RowSeeds(4, "series", "place")), alone)


@pytest.mark.parametrize("kind", ["cvae_cinn", "inn"])
def test_candidates_are_the_middle_of_what_lies_around_them(
    kind: str, trained: Bundle, scene: Make, cnn10: Denoiser
) -> None:
    where = scene(BOX)
    generator = find_generator(trained(kind), Representation(cnn10)).on(where)
    around, inside = generator.around([1], SEEDS), generator.candidates([1], SEEDS)
    assert around.shape[-2:] == where.region.context_box.shape
    top, left = BOX.y0 - where.region.context_box.y0, BOX.x0 - where.region.context_box.x0
    assert torch.equal(around[..., top : top + 24, left : left + 20], inside)


@pytest.mark.parametrize("box", [Box(0, 0, 20, 0, 20), Box(0, 70, 90, 76, 96)])
def test_regions_at_the_border_of_a_slice_of_odd_size(
    box: Box, trained: Bundle, scene: Make, cnn10: Denoiser
) -> None:
    """91 rows are no multiple of the latent's pixels: the window ends beyond the slice."""
    for kind in ("cvae_cinn", "inn"):
        candidates = (
            find_generator(trained(kind), Representation(cnn10))
            .on(scene(box, height=91))
            .candidates([0], SEEDS)
        )
        assert candidates.shape[-2:] == box.shape
        assert torch.isfinite(candidates).all()


def test_global_random_state_is_not_touched(trained: Bundle, scene: Make, cnn10: Denoiser) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    find_generator(trained("cvae_cinn"), Representation(cnn10)).on(scene(BOX)).candidates([0], SEEDS)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


def test_the_autoencoder_gives_the_scan_back_better_than_nothing(
    trained: Bundle, scene: Make, cnn10: Denoiser
) -> None:
    where = scene(BOX)
    x, patch = where.region.scan, where.patch
    made = find_generator(trained("cvae_cinn"), Representation(cnn10)).on(where).reconstruct()
    assert float((made - x).square().mean()) < 0.6 * float((patch - x).square().mean())
    whole = find_generator(trained("inn"), Representation(cnn10)).on(where).reconstruct()
    assert torch.equal(whole, x)


def test_only_the_generator_of_the_target_domain_says_so(trained: Bundle, cnn10: Denoiser) -> None:
    for kind in KINDS:
        found = find_generator(trained(kind), Representation(cnn10))
        assert found.domain == ("target" if kind == "vae_y" else "input")
        assert found.name == kind
        assert all(len(value) == 64 for value in found.weights_sha256.values())


class TestRefusals:
    """A bundle is data, and belongs to one denoiser, its taps and one FrEIA."""

    @pytest.fixture
    def bundle(self, trained: Bundle, tmp_path: Path) -> Path:
        return Path(shutil.copytree(trained("cvae_cinn"), tmp_path / "bundle"))

    @staticmethod
    def edit(bundle: Path, file: str, change: Callable[[dict], None]) -> None:
        path = bundle / "configs" / file
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    @staticmethod
    def load(bundle: Path, denoiser: Denoiser) -> None:
        find_generator(bundle, Representation(denoiser)).load(torch.device("cpu"))  # type: ignore[attr-defined]

    def test_another_denoiser(self, bundle: Path) -> None:
        with pytest.raises(ModelError, match="other weights than those of wganvgg"):
            self.load(bundle, load_denoiser("wganvgg"))

    def test_another_tap(self, bundle: Path, cnn10: Denoiser) -> None:
        with pytest.raises(InputError, match="trained at output, not at 'conv1'"):
            find_generator(bundle, Representation(cnn10, "conv1"))

    def test_another_version_of_freia(self, bundle: Path, cnn10: Denoiser) -> None:
        self.edit(bundle, "metadata.json", lambda content: content["ctinv"].update(freia="0.3"))
        with pytest.raises(ModelError, match=r"FrEIA 0\.3.*another function"):
            self.load(bundle, cnn10)

    def test_changed_weights(self, bundle: Path, cnn10: Denoiser) -> None:
        path = bundle / "models" / "flow_output.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
        with pytest.raises(ModelError, match="not the file that its metadata name"):
            self.load(bundle, cnn10)

    def test_a_class_from_elsewhere(self, bundle: Path, cnn10: Denoiser) -> None:
        self.edit(
            bundle, "inference.json", lambda content: content["flow_output_def"].update(_target_="os.system")
        )
        with pytest.raises(ModelError, match="not allowed as flow"):
            self.load(bundle, cnn10)

    def test_an_expression(self, bundle: Path, cnn10: Denoiser) -> None:
        self.edit(
            bundle, "inference.json", lambda content: content["flow_output_def"].update(latent="$1 + 1")
        )
        with pytest.raises(ModelError):
            self.load(bundle, cnn10)

    def test_a_file_outside_the_bundle(self, bundle: Path, cnn10: Denoiser) -> None:
        def change(content: dict) -> None:
            content["ctinv"]["taps"]["output"]["flow"]["file"] = "../../secret.safetensors"
            content["ctinv"]["weights_sha256"]["../../secret.safetensors"] = "0" * 64

        self.edit(bundle, "metadata.json", change)
        with pytest.raises(ModelError, match="no file of the bundle"):
            self.load(bundle, cnn10)

    def test_names_that_do_not_exist(self, cnn10: Denoiser) -> None:
        with pytest.raises(InputError, match="choose one of renoise"):
            find_generator("magic", Representation(cnn10))
        with pytest.raises(InputError, match="no cvae_cinn was trained for resnet32"):
            find_generator("cvae_cinn", Representation(load_denoiser("resnet32")))


def test_the_shell_says_what_a_generator_is_and_that_it_is_no_denoiser(trained: Bundle) -> None:
    facts = generator_facts(read_entry(trained("cvae_cinn")))
    assert (facts["generator"], facts["denoiser"], facts["domain"]) == ("cvae_cinn", "cnn10", "input")
    assert {"bits", "nfe_raw", "spread_hu"} <= facts["taps"]["output"].keys()
    assert is_generator(trained("cvae_cinn"))
    assert not is_generator(bundles_folder() / "cnn10")
    with pytest.raises(ModelError, match="no denoiser; give it as --generator"):
        load_denoiser(trained("cvae_cinn"))
