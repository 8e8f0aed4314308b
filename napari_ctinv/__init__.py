"""napari-ctinv: the napari plugin over the ctinv core. Importing it costs nothing."""

__version__ = "0.1.0"
