"""The guide, in a window of its own and without a network: the pages travel beside the manifest."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QTextCursor, QTextDocument
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget

PAGE = "plugin.md"
_SIZE = (720, 640)


def guide_folder() -> Path:
    """Where the pages lie: in the installed package, or among the docs of a checkout.

    Raises:
        FileNotFoundError: They are in neither.
    """
    spec = find_spec("napari_ctinv_manifest")
    installed = [Path(folder) / "docs" for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in (*installed, Path(__file__).parent.parent / "docs"):
        if (folder / PAGE).is_file():
            return folder
    raise FileNotFoundError(PAGE)


class Guide(QWidget):
    """A window that shows the pages; their links lead from one to the other.

    Args:
        parent: The dock, which takes the window with it.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("CT Invariances: guide")
        self.resize(*_SIZE)
        self.browser = QTextBrowser()
        self.browser.setOpenLinks(False)
        self.browser.anchorClicked.connect(self.follow)
        self.back = QPushButton("&Back")
        self.back.setToolTip("the page before")
        self.back.setEnabled(False)
        self.back.clicked.connect(self.browser.backward)
        self.browser.backwardAvailable.connect(self.back.setEnabled)
        self.said = QLabel("")
        row = QHBoxLayout()
        row.addWidget(self.back)
        row.addWidget(self.said, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.browser)

    def show_page(self, page: str, heading: str = "") -> None:
        """Show a page, from a heading on.

        Args:
            page: Name of a file of the guide.
            heading: Its words; the top of the page where there is none of these words.
        """
        self.said.setText("")
        kind = QTextDocument.ResourceType.MarkdownResource
        self.browser.setSource(QUrl.fromLocalFile(str(guide_folder() / page)), kind)
        self._go_to(heading)

    def follow(self, link: QUrl) -> None:
        """Follow a link to another page of the guide; others are named, and left to the reader."""
        page, heading = Path(link.path()).name, link.fragment().replace("-", " ")
        if not page:
            self._go_to(heading)
        elif (guide_folder() / page).is_file() and page.endswith(".md"):
            self.show_page(page, heading)
        else:
            self.said.setText(f"{link.toString()} is not part of this guide.")

    def _go_to(self, heading: str) -> None:
        document = self.browser.document()
        block = document.begin() if document is not None else None
        while heading and block is not None and block.isValid():
            if block.blockFormat().headingLevel() and block.text().lower() == heading.lower():
                # From the end upwards, so that the heading comes to lie at the top.
                self.browser.moveCursor(QTextCursor.MoveOperation.End)
                self.browser.setTextCursor(QTextCursor(block))
                return
            block = block.next()
