"""Section: a titled block of a tab that can be folded, and how it tells what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from magicgui.widgets import Container
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLayout,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ctinv.errors import CtinvError

if TYPE_CHECKING:
    from napari_ctinv.session import Session


class Section(QWidget):
    """A block of a tab.

    To make one: name `title`, and in ``__init__`` call `add` with what belongs into it.

    Args:
        session: The session of the viewer.

    Attributes:
        title: Heading, also the name by which `napari_ctinv.dock.show` finds it.
        unfolded: Whether it is open at first.
    """

    title: ClassVar[str]
    unfolded: ClassVar[bool] = True

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._head = QToolButton()
        self._head.setText(self.title)
        self._head.setCheckable(True)
        self._head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._head.setAutoRaise(True)
        self._head.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._head.setToolTip(f"show or hide: {self.title.lower()}")
        self._head.toggled.connect(self._fold)
        self._body = QWidget()
        self._inner = QVBoxLayout(self._body)
        self._inner.setContentsMargins(6, 0, 6, 4)
        self._said = QLabel("")
        self._said.setWordWrap(True)
        self._said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._said.setVisible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        outer.addWidget(self._head)
        outer.addWidget(self._body)
        self._inner.addWidget(self._said)
        self._head.setChecked(self.unfolded)
        self._fold(self.unfolded)

    def add(self, part: QWidget | QLayout | Container) -> None:
        """Put a widget, layout or magicgui form below what is there."""
        place = self._inner.count() - 1
        if isinstance(part, Container):
            _prepare(part)
            part.native.layout().setContentsMargins(0, 0, 0, 0)
            part.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
            self._inner.insertWidget(place, part.native)
        elif isinstance(part, QLayout):
            self._inner.insertLayout(place, part)
        else:
            self._inner.insertWidget(place, part)

    def unfold(self, on: bool = True) -> None:
        """Open or close it."""
        self._head.setChecked(on)

    def say(self, sentence: str) -> None:
        """A sentence at the foot of the section; an empty one takes it away."""
        self._said.setText(sentence)
        self._said.setVisible(bool(sentence))

    def tell(self, sentence: str) -> None:
        """The same for what went wrong, also as napari's notification."""
        self.say(sentence)
        show_error(sentence)

    def guard(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call as a slot that tells what this package refuses."""

        def slot(*_arguments: Any) -> Any:
            self.say("")
            try:
                return call()
            except CtinvError as error:
                self.tell(str(error))
                return None

        return slot

    def reveal(self, part: QWidget) -> None:
        """Scroll until something is seen that has come into being here, unless the user has left the section."""
        if not self._head.visibleRegion().isEmpty():
            scroll_to(part)

    def _fold(self, on: bool) -> None:
        self._head.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self._body.setVisible(on)


def scroll_to(part: QWidget) -> None:
    """Scroll the tab until a part of it is seen, once the layout has made room for it."""

    def scroll() -> None:
        above = part.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if above is not None:
            above.ensureWidgetVisible(part, 0, 0)

    soon = QTimer(part)  # goes with the part, should that be gone first
    soon.setSingleShot(True)
    soon.timeout.connect(scroll)
    soon.timeout.connect(soon.deleteLater)
    soon.start(0)


def _prepare(form: Container) -> None:
    """A long layer name must not make the form wider than its column, and the number beside a slider is explained, too."""
    for part in form:
        if isinstance(part.native, QComboBox):
            part.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            part.native.setMinimumContentsLength(8)
        for number in part.native.findChildren(QAbstractSpinBox):
            number.setToolTip(str(part.tooltip or ""))
