"""Train: what, from which folders, how; the data, what it will take, and the buttons."""

from __future__ import annotations

from contextlib import suppress

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, FloatSpinBox, LineEdit, SpinBox
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QPushButton

from ctinv.errors import CtinvError
from napari_ctinv.sections._bind import bind, listen, offer
from napari_ctinv.sections._paths import PathField
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.sections._train_words import estimate_in_words, found_in_words, standing_in_words
from napari_ctinv.session import Session
from napari_ctinv.session.activity import CANCELLING, IDLE
from napari_ctinv.session.train import TrainModel
from napari_ctinv.session.train_settings import DENOISER, GENERATOR, NAMED, SPLITS
from napari_ctinv.work.train_check import DataFound

MEASURE_AFTER_MS = 1200
"""Quiet after the last change before the estimate is made anew."""
LAYOUTS = ("auto", "ldct-and-projection", "paired-folders", "paired-files", "full-dose")
SUBSETS = {"all": "", "chest": "chest", "abdomen": "abdomen", "neuro": "neuro"}
_BOUND = (
    "what", "config", "name", "layout", "subset", "split", "train_on", "validate_on", "test_on", "dose", "denoiser", "tap",
    "steps", "flow_steps", "fibre_steps", "batch", "patch", "learning_rate", "validate_every", "seed",
)  # fmt: skip


class Training(Section):
    """The form of a training and its buttons."""

    title = "Train"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.train
        self._make_fields()
        self._make_paths()
        first = [self.what, self.config, self.own_config.edit, self.data.edit, self.out.edit, self.name]
        self.add(Container(widgets=first, labels=True))
        self.lying = _line()
        self.add(self.lying)
        of_data = [
            self.layout_,
            self.subset,
            self.split,
            self.train_on,
            self.validate_on,
            self.test_on,
            self.dose,
        ]
        self.add(Container(widgets=of_data, labels=True))
        self.checking = RunBar(
            self,
            self.model.checking,
            self.model.check,
            tooltip="find and open the pairs, and see that no patient is in two sets and no image twice",
        )
        self.add(self.checking)
        self.pairs = _line()
        self.add(self.pairs)
        numbers = [
            self.denoiser,
            self.own_denoiser.edit,
            self.tap,
            self.steps,
            self.flow_steps,
            self.fibre_steps,
        ]
        numbers += [self.batch, self.patch, self.learning_rate, self.validate_every, self.seed]
        self.add(Container(widgets=numbers, labels=True))
        self.needs = _line()
        self.add(self.needs)
        self.measure = QPushButton("&Estimate what it takes")
        self.measure.setToolTip(
            "a few real steps on throw-away data: memory, time and disk; nothing is written. Done by itself after a change"
        )
        self.measure.clicked.connect(self.guard(self.model.measure))
        self.add(self.measure)
        self._make_buttons()
        self._connect()

    def _make_fields(self) -> None:
        model = self.model
        self.what = ComboBox(label="train a", choices=(DENOISER, GENERATOR), tooltip="what is trained")
        self.config = ComboBox(
            label="settings", choices=model.choices, tooltip="shipped settings, which fill the fields below"
        )
        self.name = LineEdit(label="name", tooltip="of the model and its bundle; empty: the settings' own")
        self.layout_ = ComboBox(
            name="layout",
            label="layout",
            choices=LAYOUTS,
            tooltip="how the data folder is laid out; full-dose: one scan each, the low dose is simulated",
        )
        self.subset = ComboBox(
            label="region",
            choices=list(SUBSETS.items()),
            tooltip="scans of one region of the LDCT-and-Projection-data collection, or all",
        )
        self.split = ComboBox(
            label="split",
            choices=SPLITS,
            tooltip="who is trained and who is validated on, always by patient. random: 70, 20 and 10 % by seed",
        )
        names = "names of pairs between commas, NAME[0:40] for some slices"
        self.train_on = LineEdit(label="train on", tooltip=names)
        self.validate_on = LineEdit(label="validate on", tooltip=names)
        self.test_on = LineEdit(label="test on", tooltip=names)
        self.dose = FloatSpinBox(
            label="dose",
            min=0.01,
            max=0.99,
            step=0.05,
            tooltip="dose fraction of the low dose, where it is simulated",
        )
        self.denoiser = ComboBox(
            label="denoiser", choices=self.session.network.names, tooltip="the network under study"
        )
        self.tap = ComboBox(
            label="tap", choices=model.taps, tooltip="layer whose representation is the condition"
        )
        self.steps = _count("steps", 0, "optimiser steps; of a generator those of its autoencoder")
        self.flow_steps = _count("flow steps", 0, "optimiser steps of the second stage, the flow")
        self.fibre_steps = _count("fibre steps", 0, "optimiser steps of the third stage, 0 leaves it out")
        self.batch = _count("batch", 1, "patches per step; more take more memory and time")
        self.patch = _count("patch", 8, "edge of a patch, in pixels")
        self.learning_rate = FloatSpinBox(
            label="learning rate", min=1e-7, max=1.0, step=1e-4, tooltip="of Adam, at its highest"
        )
        self.learning_rate.native.setDecimals(6)
        self.validate_every = _count("validate every", 1, "steps between two validations")
        self.seed = _count("seed", 0, "decides first weights, patches and a random split")

    def _make_paths(self) -> None:
        folder = FileDialogMode.EXISTING_DIRECTORY
        self.own_config = PathField(
            "or your own",
            FileDialogMode.EXISTING_FILE,
            "a TOML file with settings; leave empty to use those above",
        )
        self.data = PathField(
            "data", folder, "folder of low-dose and full-dose pairs of at least two patients"
        )
        self.out = PathField(
            "output",
            folder,
            "empty folder for checkpoints, curves and bundle, or one of a training to continue",
        )
        self.own_denoiser = PathField(
            "or its bundle",
            folder,
            "a denoiser of your own: folder of a bundle; leave empty to use the one above",
        )

    def _make_buttons(self) -> None:
        self.start = QPushButton("&Start")
        self.start.setToolTip("begin a training in an empty output folder")
        self.go_on = QPushButton("C&ontinue")
        self.go_on.setToolTip(
            "go on with the next step of the training in the output folder, with its own settings"
        )
        self.pause = QPushButton("&Pause")
        self.pause.setToolTip("finish the step, write its checkpoint and stop; Continue goes on from there")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("finish the step and stop; the checkpoint is kept")
        self.use = QPushButton("&Use it")
        self.use.setToolTip(
            "choose the trained model where it is used: a denoiser in Denoise, a generator in Invariances"
        )
        row = QGridLayout()
        for place, button in enumerate((self.start, self.go_on, self.pause, self.cancel, self.use)):
            row.addWidget(button, place // 3, place % 3)
        self.add(row)
        self.bar = QProgressBar()
        self.bar.setToolTip("the finished share of the steps")
        self.line = _line()
        self.add(self.bar)
        self.add(self.line)
        for name in ("start", "go_on", "pause", "cancel", "use"):
            getattr(self, name).clicked.connect(self.guard(getattr(self.model, name)))

    def _connect(self) -> None:
        model = self.model
        for name in _BOUND:
            bind(model, name, self.layout_ if name == "layout" else getattr(self, name))
        for name in ("own_config", "data", "out", "own_denoiser"):
            getattr(self, name).bind(model, name)
        listen(self, model.events.what, self._on_what)
        listen(self, model.events.choices, self._on_choices)
        listen(self, model.events.split, self._on_split)
        for signal in (model.events.denoiser, model.events.own_denoiser):
            listen(self, signal, self._on_denoiser)
        listen(self, model.events.problem, self.say)
        listen(self, model.events.found, self._on_found)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(MEASURE_AFTER_MS)
        self._quiet.timeout.connect(self._measure)
        for name in ("data", *TrainModel.COSTS):
            listen(self, getattr(model.events, name), self._soon)
        measuring = model.measuring.events
        for signal in (model.events.estimate, measuring.state, measuring.text, measuring.message):
            listen(self, signal, self._on_estimate)
        for signal in (
            model.events.standing,
            model.events.left,
            model.events.bundle,
            model.activity.events.state,
        ):
            listen(self, signal, self._on_standing)
        activity = model.activity.events
        listen(self, activity.text, self._on_text)
        listen(self, activity.fraction, self._on_fraction)
        listen(self, activity.message, self._on_message)
        self._on_what(model.what)
        self._on_found(model.found)
        self._on_estimate()
        self._on_standing()

    def _on_what(self, what: str) -> None:
        generator = what == GENERATOR
        for field in (self.denoiser, self.own_denoiser.edit, self.tap, self.flow_steps, self.fibre_steps):
            field.visible = generator
        self.learning_rate.visible = not generator
        self._on_split(self.model.split)

    def _on_choices(self, choices: tuple[str, ...]) -> None:
        offer(self.config, choices)

    def _on_split(self, split: str) -> None:
        for field in (self.train_on, self.validate_on, self.test_on):
            field.visible = split == NAMED

    def _on_denoiser(self) -> None:
        offer(self.tap, self.model.taps)

    def _on_found(self, found: DataFound | None) -> None:
        self.pairs.setVisible(found is not None)
        self.pairs.setText("" if found is None else found_in_words(found))

    def _on_estimate(self) -> None:
        model = self.model
        text = model.measuring.text if model.measuring.running else model.measuring.message
        if model.estimate is not None:
            text = estimate_in_words(model.estimate)
        self.needs.setText(text or "what it will take is not known yet")
        self.needs.setVisible(True)

    def _soon(self) -> None:
        self._quiet.start()

    def _measure(self) -> None:
        """Measure by itself once data are chosen; what is wrong stands where the figures would."""
        if self.model.data is not None and not self.model.activity.running and self.isVisible():
            with suppress(CtinvError):
                self.model.measure()

    def _on_standing(self) -> None:
        model, state = self.model, self.model.activity.state
        idle = state == IDLE
        self.start.setEnabled(idle and model.standing is None)
        self.go_on.setEnabled(model.can_go_on)
        for button in (self.pause, self.cancel):
            button.setEnabled(state == "running")
        self.cancel.setText("Cancelling…" if state == CANCELLING else "Cancel")
        self.use.setEnabled(idle and model.bundle is not None)
        self.bar.setVisible(not idle)
        self.line.setVisible(not idle)
        text = "" if model.standing is None else standing_in_words(model.standing, model.left)
        self.lying.setVisible(bool(text) and idle)
        self.lying.setText(text)

    def _on_text(self, text: str) -> None:
        self.line.setText(text)

    def _on_fraction(self, fraction: float) -> None:
        self.bar.setValue(round(100 * fraction) if fraction == fraction else 0)

    def _on_message(self, message: str) -> None:
        if message:
            self.tell(message)


def _count(label: str, least: int, tooltip: str) -> SpinBox:
    return SpinBox(label=label, min=least, max=2**31 - 1, value=least, tooltip=tooltip)


def _line() -> QLabel:
    line = QLabel("")
    line.setWordWrap(True)
    line.setVisible(False)
    return line
