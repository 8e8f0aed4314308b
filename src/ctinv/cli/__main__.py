"""``python -m ctinv.cli`` is ``ctinv``."""

from ctinv.cli import main

main()
