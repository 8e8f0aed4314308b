"""What runs in the computing process: generator functions ``(request, report) -> Iterator[item]``, one file per kind.

Requests and items are plain data (`napari_ctinv.engine.codec`). Modules here import torch only inside their functions, as
the viewer's process imports them for their requests.
"""
