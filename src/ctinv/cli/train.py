"""``ctinv train denoiser``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctinv.cli.app import app, command, exit_code_of
from ctinv.cli.options import AsJson, Device
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.cli.progress import reporting
from ctinv.errors import InputError
from ctinv.names import bare

group = typer.Typer(help="Train a model from a config file.", no_args_is_help=True)
app.add_typer(group, name="train")


@command("denoiser", group=group)
def denoiser(
    config: Annotated[Path, typer.Option("--config", help="TOML file of the training.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of low-dose and full-dose pairs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints, report and bundle.")],
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Continue a checkpoint in the folder, or begin anew.")
    ] = True,
    device: Device = "auto",
    as_json: AsJson = False,
) -> Outcome:
    """Train a denoiser on pairs, measure it and write a bundle; continues where an earlier run stopped."""
    if not config.is_file():
        raise InputError(f"there is no config file {config.name}; name one with --config.")
    if not data.is_dir():
        raise InputError(f"there is no data folder {bare(data)}; make one with scripts/fetch_public_ct.py.")
    from ctinv.training import TrainingEvent, train_denoiser

    done = ""
    with reporting() as progress:

        def tell(event: TrainingEvent) -> None:
            nonlocal done
            done = f"step {event.step} of {event.steps}"
            best = f", best validation {event.best['rmse_hu']:.2f}" if "rmse_hu" in event.best else ""
            progress(f"training, step {event.step} of {event.steps}{best}", event.step / event.steps)

        try:
            report = train_denoiser(
                config,
                data_folder=data,
                out=out,
                resume=resume,
                device=device,
                callback=tell,
                progress=progress,
            )
        except KeyboardInterrupt as stop:
            raise _stopped(stop, out, done) from None
    return Outcome(report, lambda console: console.print_json(data=_readable(report)))


def _stopped(stop: KeyboardInterrupt, out: Path, done: str) -> Stopped:
    """What a signal left: the step was finished and its checkpoint written before it was let through."""
    after = f"after {done}" if done else "before a step was made"
    text = f"stopped {after}; what is finished lies in {out.name}, the same command goes on from there."
    return Stopped(text, exit_code=exit_code_of(stop), data={"out": out.name})


def _readable(report: dict[str, object]) -> object:
    from ctinv.jsonable import plain

    return plain(report)


@command("generator", group=group)
def generator(
    data: Annotated[Path, typer.Option("--data", help="Folder of low-dose and full-dose pairs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints, report and bundle.")],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="pca, vae_cinn, cvae_cinn, cvae, vae_y or inn, where no config says it."),
    ] = None,
    denoiser: Annotated[
        str | None, typer.Option("--denoiser", metavar="NETWORK", help="The network under study.")
    ] = None,
    tap: Annotated[
        str | None, typer.Option("--tap", help="Layer whose representation is the condition.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file of the training; sized for two cores without.")
    ] = None,
    autoencoder: Annotated[
        Path | None,
        typer.Option("--autoencoder", help="Folder of an earlier run whose autoencoder is taken as it is."),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> Outcome:
    """Train a generator of candidates in three stages and write a bundle; continues where an earlier run stopped."""
    if config is not None and not config.is_file():
        raise InputError(f"there is no config file {config.name}; name one with --config, or a --kind.")
    if config is None and kind is None:
        raise InputError("expected --kind or --config; write for example --kind cvae_cinn.")
    if not data.is_dir():
        raise InputError(f"there is no data folder {bare(data)}; make one with scripts/fetch_public_ct.py.")
    from ctinv.training.generator import GeneratorConfig, GeneratorEvent, train_generator

    start = str(autoencoder) if autoencoder is not None else None
    settings = GeneratorConfig.read(config, kind=kind, denoiser=denoiser, tap=tap, autoencoder=start)
    done = ""
    with reporting() as progress:

        def tell(event: GeneratorEvent) -> None:
            nonlocal done
            done = f"step {event.step} of {event.steps} of the {event.stage}"
            losses = ", ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
            progress(f"{event.stage}, step {event.step} of {event.steps}, {losses}", event.step / event.steps)

        try:
            report = train_generator(
                settings, data_folder=data, out=out, device=device, callback=tell, progress=progress
            )
        except KeyboardInterrupt as stop:
            raise _stopped(stop, out, done) from None
    return Outcome(report, lambda console: console.print_json(data=_readable(report)))
