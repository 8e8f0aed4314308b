"""The question whether a network may run code, with all that it would run."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ctinv.session.network import ALWAYS, NEVER, ONCE
from napari_ctinv.work.network import TrustQuestion

_TIPS = {
    NEVER: "nothing of it runs (Escape or Enter)",
    ONCE: "it may run in a child process without files and network, until you choose another network",
    ALWAYS: "the same, and its sha256 is remembered; a changed file is asked about again",
}
_SIZE = (620, 440)


class TrustDialog(QDialog):
    """Escape, Enter and the window's cross load nothing.

    Args:
        question: What would run.
        parent: Widget it belongs to.

    Signals:
        answered(str): One of the answers of `napari_ctinv.session.network`.
    """

    answered = Signal(str)

    def __init__(self, question: TrustQuestion, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("May this network run code?")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        head = QLabel(
            f"{_plain(question.name)} is no plain file of weights: it is a {question.kind}, and loading it runs code of its "
            "author. Trust it only if you know where it comes from."
        )
        head.setTextFormat(Qt.TextFormat.PlainText)
        head.setWordWrap(True)
        sha256 = QLabel(f"sha256 {question.sha256}")
        sha256.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.listing = QPlainTextEdit("\n".join(question.lines) or "it names nothing")
        self.listing.setReadOnly(True)
        self.listing.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.listing.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.listing.setToolTip("targets and expressions of a config, names in pickles, and code")
        self.listing.setTabChangesFocus(True)
        layout = QVBoxLayout(self)
        for part in (
            head,
            sha256,
            QLabel("It would run, as far as can be seen without running it:"),
            self.listing,
        ):
            layout.addWidget(part)
        if not question.complete:
            more = QLabel("Some of it cannot be followed: it may do more than is listed here.")
            more.setWordWrap(True)
            layout.addWidget(more)
        layout.addLayout(self._buttons())
        self.resize(*_SIZE)

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.buttons: dict[str, QPushButton] = {}
        for choice in (NEVER, ONCE, ALWAYS):
            button = QPushButton(choice.capitalize())
            button.setToolTip(_TIPS[choice])
            button.setAutoDefault(choice == NEVER)
            button.setDefault(choice == NEVER)
            button.clicked.connect(lambda _checked=False, choice=choice: self._choose(choice))
            row.addWidget(button)
            self.buttons[choice] = button
        self.buttons[NEVER].setFocus()
        return row

    def _choose(self, choice: str) -> None:
        self.answered.emit(choice)
        self.answered.disconnect()
        self.accept()

    def reject(self) -> None:
        """Escape and the window's cross: nothing is loaded."""
        self.answered.emit(NEVER)
        super().reject()


def _plain(name: str) -> str:
    """A name without characters that could pass for something else."""
    return "".join(one if one.isprintable() else "?" for one in name)[:80]
