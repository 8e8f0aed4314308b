"""Settings of a generator's training: a TOML file, or the defaults of its kind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.generators.kinds import KINDS
from ctinv.networks.autoencoders import AUTOENCODERS
from ctinv.networks.flows import FLOWS
from ctinv.training.typed import from_table, read_toml, to_table


@dataclass(frozen=True)
class AutoencoderStage:
    """The first stage. Per pixel it minimises

        |x̂ − x|/b + kl·KL + perceptual·P + adversarial·A + fibre·NFE².

    Attributes:
        network, arguments: A key of ``ctinv.networks.autoencoders.AUTOENCODERS``, and what its class takes.
        start: Folder of an earlier run whose finished autoencoder is taken as it is; then nothing is trained.
        steps, learning_rate: Length, and the rate of Adam.
        reconstruction: ``"l1"`` or ``"l2"`` (then (x̂ − x)²/2b²).
        scale_hu: b in HU: what one unit of the reconstruction loss is.
        kl: Weight of KL(q ‖ N(0, I)) in nats; 1 is the evidence lower bound of a Laplace or Gaussian likelihood of scale b.
        perceptual: Weight of the mean absolute difference of VGG16 features at relu1_2, 2_2, 3_3 and 4_3.
        adversarial: Weight of a WGAN-GP critic's verdict; 0 trains no critic.
        critic_channels, critic_rate, penalty: Of the critic.
        fibre: λ of the reconstruction's NFE².
    """

    network: str = "SpatialAutoencoder"
    arguments: dict[str, Any] = field(default_factory=dict)
    start: str = ""
    steps: int = 600
    learning_rate: float = 1e-3
    reconstruction: str = "l1"
    scale_hu: float = 10.0
    kl: float = 1.0
    perceptual: float = 0.0
    adversarial: float = 0.0
    critic_channels: int = 16
    critic_rate: float = 4.0
    penalty: float = 10.0
    fibre: float = 0.0


@dataclass(frozen=True)
class FlowStage:
    """The second stage: -log2 p(z̄ given Φ(x)) per dimension, the autoencoder frozen and in eval mode.

    Attributes:
        network, arguments: A key of ``ctinv.networks.flows.FLOWS``, and what its class takes besides the latent and the tap.
        steps, learning_rate: Length, and the rate of Adam.
    """

    network: str = "SpatialFlow"
    arguments: dict[str, Any] = field(default_factory=dict)
    steps: int = 800
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class FibreStage:
    """The third stage: the losses of the first two with E held, and λ·NFE² of candidates drawn as in use.

    Attributes:
        weight: λ. The published generators have none; 0 with steps is the control that trains as long without it.
        steps, learning_rate: Length, and the rate of Adam; 0 steps leave the stage out.
    """

    weight: float = 1.0
    steps: int = 0
    learning_rate: float = 3e-4


_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "pca": {
        "autoencoder": {"network": "LinearAutoencoder", "steps": 0},
        "flow": {"network": "GaussianFlow", "steps": 0},
    },
    "vae_cinn": {"autoencoder": {"arguments": {"conditional": False}}},
    "cvae_cinn": {},
    "cvae": {"flow": {"network": "", "steps": 0}},
    "vae_y": {"flow": {"network": "", "steps": 0}},
    "inn": {"autoencoder": {"network": "", "steps": 0}, "flow": {"network": "ImageFlow"}},
}


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that decides a generator's training.

    Attributes:
        kind: A key of `ctinv.generators.kinds.KINDS`.
        denoiser: The network under study, as `ctinv.load_denoiser` takes it.
        tap: Where Φ is taken.
        name: Of the run; ``<kind>_<denoiser>_<tap>`` without.
        mean, std: HU that the autoencoder sees as 0, and HU it sees as 1.
        scale: HU that a flow on image space sees as 1.
        layout, split, subset, train, validate, test, dose, photons: As in `ctinv.training.DenoiserConfig`.
        batch, patch: Patches per step, and their edge in pixels. Around them f sees as much as it needs, from the slice.
        body, air, flip: Choice of patches, as in `ctinv.training.DenoiserConfig`.
        last_rate: Factor on every learning rate at the end of a stage, along half a cosine.
        clip_norm: Largest gradient norm.
        validate_every, validate_patches: Steps between validations; patches of the validation patients.
        save_every: Steps between checkpoints.
        seed: Of weights, patches and draws.
        autoencoder, flow, fibre: Tables of the stages.
    """

    kind: str
    denoiser: str = "cnn10"
    tap: str = "output"
    name: str = ""
    mean: float = -350.0
    std: float = 500.0
    scale: float = 30.0
    layout: str = "auto"
    split: str = "named"
    subset: str = ""
    train: tuple[str, ...] = ("chest_lidc1", "chest_lung1")
    validate: tuple[str, ...] = ("chest_lung2",)
    test: tuple[str, ...] = ()
    dose: float = 0.25
    photons: float | str | None = None
    batch: int = 8
    patch: int = 64
    body: float = 0.5
    air: float = -950.0
    flip: bool = True
    last_rate: float = 0.02
    clip_norm: float = 5.0
    validate_every: int = 200
    validate_patches: int = 12
    save_every: int = 100
    seed: int = 0
    autoencoder: dict[str, Any] = field(default_factory=dict)
    flow: dict[str, Any] = field(default_factory=dict)
    fibre: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"there is no trained generator {self.kind!r}; choose one of {', '.join(KINDS)}."
            )
        if not self.name:
            object.__setattr__(self, "name", f"{self.kind}_{Path(self.denoiser).name}_{self.tap}")
        numbers = (self.batch, self.patch, self.validate_every, self.validate_patches, self.save_every)
        if min(numbers) < 1 or min(self.std, self.scale) <= 0:
            raise InputError(
                "batch, patch, validate_every, validate_patches, save_every, std and scale must be positive."
            )
        first, second = self.autoencoder_stage, self.flow_stage
        for stage, network, known in (
            ("autoencoder", first.network, AUTOENCODERS),
            ("flow", second.network, FLOWS),
        ):
            if network and network not in known:
                raise InputError(f"[{stage}] has no network {network!r}; choose one of {', '.join(known)}.")
        if first.reconstruction not in ("l1", "l2"):
            raise InputError(f"reconstruction must be l1 or l2, got {first.reconstruction!r}.")
        assert self.fibre_stage.steps >= 0

    @property
    def autoencoder_stage(self) -> AutoencoderStage:
        """The first stage, with the defaults of the kind."""
        return from_table(AutoencoderStage, self._table("autoencoder"), where=f"{self.name}, [autoencoder]")

    @property
    def flow_stage(self) -> FlowStage:
        """The second stage, with the defaults of the kind."""
        return from_table(FlowStage, self._table("flow"), where=f"{self.name}, [flow]")

    @property
    def fibre_stage(self) -> FibreStage:
        """The third stage."""
        return from_table(FibreStage, self._table("fibre"), where=f"{self.name}, [fibre]")

    def _table(self, stage: str) -> dict[str, Any]:
        return {**_DEFAULTS[self.kind].get(stage, {}), **getattr(self, stage)}

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON-able values, those of the stages complete; folders by their bare names."""
        first = self.autoencoder_stage
        stages = {
            "autoencoder": to_table(replace(first, start=Path(first.start).name)),
            "flow": to_table(self.flow_stage),
            "fibre": to_table(self.fibre_stage),
        }
        return {**to_table(self), "denoiser": Path(self.denoiser).name, **stages}

    @classmethod
    def read(
        cls,
        path: Path | None,
        *,
        kind: str | None = None,
        denoiser: str | None = None,
        tap: str | None = None,
        autoencoder: str | None = None,
    ) -> GeneratorConfig:
        """Read a TOML file whose keys are the attributes; what is given besides stands above it.

        Args:
            path: The file, or None for the defaults of the kind.
            kind, denoiser, tap: As the attributes.
            autoencoder: `AutoencoderStage.start`.

        Raises:
            InputError: The file is no TOML, a key is unknown or missing, or a value has the wrong type.
        """
        table = read_toml(path) if path is not None else {}
        given = {"kind": kind, "denoiser": denoiser, "tap": tap}
        table |= {key: value for key, value in given.items() if value is not None}
        if autoencoder is not None:
            table["autoencoder"] = {**table.get("autoencoder", {}), "start": autoencoder}
        return from_table(cls, table, where=path.name if path is not None else "the generator's training")
