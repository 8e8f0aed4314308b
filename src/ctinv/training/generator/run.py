"""Train a generator: what ``ctinv train generator`` runs."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ctinv.atomic import write_atomic
from ctinv.bundle.generator import TapPart, export_generator
from ctinv.denoiser import Denoiser, load_denoiser, pick_device
from ctinv.errors import InputError, ModelError
from ctinv.generators.kinds import KINDS, check_condition
from ctinv.generators.model import GeneratorModel
from ctinv.jsonable import dumps
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.training.data import Pair
from ctinv.training.folder import held_folder
from ctinv.training.generator.build import build_model, definitions
from ctinv.training.generator.config import GeneratorConfig
from ctinv.training.generator.kept import read_stage, read_state
from ctinv.training.generator.material import Material, Materials, measure_sigma_out
from ctinv.training.generator.stage_run import Callback, GeneratorEvent, Run, Stage
from ctinv.training.generator.stages import Workshop, autoencoder_turns, fibre_turns, flow_turns
from ctinv.training.interrupts import TrainingStopped
from ctinv.training.memory import enough
from ctinv.training.sources import choose_pairs

__all__ = ["GeneratorEvent", "train_generator"]

_FIRST_BATCH = 48  # patches from which scales, norms and components are taken


def train_generator(
    config: GeneratorConfig,
    *,
    data_folder: Path,
    out: Path,
    device: str = "auto",
    callback: Callback | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a generator and write its bundle.

    ``out`` receives a checkpoint and a log for each stage, ``state.json``, ``report.json`` and the bundle ``<name>/``, which
    ``InvarianceSampler(generator=…)`` reads. Ctrl-C and SIGTERM wait for the end of the step and its checkpoint.

    Args:
        config: The settings.
        data_folder: Pairs, or full-dose scans; see `ctinv.training.sources`.
        out: Folder, made if needed; a run of the same settings in it is continued.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        callback: Called after each step; True ends the run with a checkpoint, which a later call continues, and
            `TrainingStopped` does the same and passes through.
        progress: Called as ``progress(text, fraction)`` while scans are read.

    Returns:
        The report: config, figures of each stage on the validation patients, seconds, and the bundle's folder where the run
        came to its end; and ``notes`` where something must be known of how it was continued.

    Raises:
        InputError: Config, data or output folder cannot be used.
        ModelError: The folder belongs to other settings or is damaged, or a loss became NaN or infinite.
        ResourceError: The disk is full, or memory was not enough; what was finished is kept.
        TrainingStopped: The callback raised it.
        StoreError: Another training writes into ``out``.
    """
    with held_folder(out), enough(config.batch, config.patch):
        return _train(config, data_folder, out, device, callback, progress)


def _train(
    config: GeneratorConfig,
    data_folder: Path,
    out: Path,
    device: str,
    callback: Callback | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """The training, in a folder that is held."""
    chosen = pick_device(device)
    denoiser = load_denoiser(config.denoiser, device=chosen)
    denoiser.check_unit("HU")
    representation = Representation(denoiser, config.tap)
    train, validate, _ = choose_pairs(data_folder, config, progress)
    target = KINDS[config.kind].domain == "target"

    def materials(pairs: Sequence[Pair], batch: int, number: int) -> Materials:
        seed = config.seed + number
        return Materials(config, representation, pairs, target=target, batch=batch, seed=seed)

    batches = materials(train, config.batch, 0)
    check = materials(validate, config.validate_patches, 1)(0)
    first = materials(train, _FIRST_BATCH, 2)(0)
    channels = int(check.phi.shape[1])
    model = build_model(config, channels).to(chosen)
    if model.conditional:
        check_condition(representation)
    if progress is not None:
        progress("measuring the unit of NFE", math.nan)
    shop = Workshop(config, model, denoiser, batches.radius, _sigma_out(out, denoiser, validate[0]))
    run = Run(config, shop, batches, check, out, callback)
    run.resume()
    run.keep_state()
    for stage in stages_of(config, model, first):
        try:
            ended = run.run(stage)
        except TrainingStopped:
            run.keep_state()
            raise
        if ended != "done":
            run.keep_state()
            return _with_notes(_report(run), run)
    report = _report(run)
    write_atomic(out / "report.json", dumps(report, indent=1).encode())
    autoencoder, flow = definitions(config, channels)
    part = TapPart(config.tap, model, autoencoder, flow, report)
    folder = export_generator(out / config.name, [part], name=config.name, denoiser=denoiser)
    return _with_notes({**report, "bundle": str(folder)}, run)


def stages_of(config: GeneratorConfig, model: GeneratorModel, first: Material) -> list[Stage]:
    """The stages that the kind has; scales, norms and components come from the first batch."""
    found = []
    autoencoder, flow = model.autoencoder, model.flow
    settings = config.autoencoder_stage

    def prepare_autoencoder() -> None:
        assert autoencoder is not None
        if settings.start:
            _take_autoencoder(model, Path(settings.start))
        else:
            c = model.normalised(first.clean) if model.conditional else None
            autoencoder.initialise(model.normalised(first.x), c)

    def prepare_flow() -> None:
        assert flow is not None
        with torch.no_grad():
            c = model.normalised(first.clean) if model.conditional else None
            generator = torch.Generator(first.x.device).manual_seed(config.seed)
            z = model.latents(first.x, c, generator)
        flow.initialise(z, first.phi)

    if autoencoder is not None:
        steps = 0 if settings.start else settings.steps
        best = "" if settings.adversarial else "loss"
        found.append(
            Stage("autoencoder", steps, prepare_autoencoder, autoencoder_turns, ("autoencoder",), best)
        )
    if flow is not None:
        found.append(Stage("flow", config.flow_stage.steps, prepare_flow, flow_turns, ("flow",), "bits"))
    if config.fibre_stage.steps:
        parts = tuple(stage.parts[0] for stage in found)
        found.append(Stage("fibre", config.fibre_stage.steps, lambda: None, fibre_turns, parts))
    return found


def _take_autoencoder(model: GeneratorModel, source: Path) -> None:
    """Weights of the finished autoencoder of an earlier run."""
    assert model.autoencoder is not None
    try:
        tensors = read_stage(source, "autoencoder.safetensors")
        model.autoencoder.load_state_dict(
            {name.removeprefix("autoencoder."): value for name, value in tensors.items()}
        )
    except (OSError, RuntimeError, ModelError) as error:
        raise InputError(
            f"{source.name} holds no finished autoencoder of this kind; name the folder of a run that trained one."
        ) from error


def _sigma_out(out: Path, denoiser: Denoiser, pair: Pair) -> float:
    """σ_out, measured once per run."""
    state = read_state(out)
    return measure_sigma_out(denoiser, pair) if state is None else float(state["sigma_out_hu"])


def _with_notes(report: dict[str, Any], run: Run) -> dict[str, Any]:
    return {**report, **({"notes": run.warnings} if run.warnings else {})}


def _report(run: Run) -> dict[str, Any]:
    return {
        "config": run.config.to_json(),
        "stages": run.state["stages"],
        "sigma_out_hu": run.shop.sigma_out,
        "denoiser_sha256": run.shop.denoiser.weights_sha256,
        "seconds": run.state["seconds"],
        "versions": {"torch": torch.__version__, "FrEIA": importlib.metadata.version("FrEIA")},
    }
