"""The finder finds: each word in each form in which it could have leaked, and nothing in bytes that hold none."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import canaries
import numpy as np
import pytest
import zarr
from finder import files_below, found_in, leaks
from matplotlib.figure import Figure
from numcodecs import zstd
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def _zip(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.txt", text)
    return stream.getvalue()


def _png(text: str, *, packed: bool, international: bool) -> bytes:
    info, stream = PngInfo(), io.BytesIO()
    if international:
        info.add_itxt("Comment", text, zip=packed)
    else:
        info.add_text("Comment", text.encode("utf-8").decode("latin-1"), zip=packed)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(stream, "png", pnginfo=info)
    return stream.getvalue()


def _page(text: str) -> bytes:
    """A picture in a page, as the report has it."""
    stream = io.BytesIO()
    Figure().savefig(stream, format="png", metadata={"Comment": text.encode("utf-8").decode("latin-1")})
    return b"<img src='data:image/png;base64," + base64.b64encode(stream.getvalue()) + b"'>"


FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: f"name: {text}.".encode(),
    "other case": lambda text: text.swapcase().encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16 big endian": lambda text: text.encode("utf-16-be"),
    "backwards": lambda text: text[::-1].encode(),
    "JSON": lambda text: json.dumps(text).encode(),
    "base64": lambda text: base64.b64encode(f"a: {text} is there".encode()),
    "base64 amid text": lambda text: b"token:" + base64.urlsafe_b64encode(f"ab {text}".encode()),
    "hexadecimal": lambda text: f"raw {text}".encode().hex().encode(),
    "URL": lambda text: quote(f"{text} x", safe="").encode(),
    "zlib": lambda text: b"head" + zlib.compress(f"a {text} b".encode()),
    "gzip": lambda text: gzip.compress(f"a {text} b".encode()),
    "zip": _zip,
    "zstd": lambda text: zstd.compress(f"{'abcdefgh' * 40} {text} {text}".encode(), 19),
    "PNG tEXt": lambda text: _png(text, packed=False, international=False),
    "PNG zTXt": lambda text: _png(text, packed=True, international=False),
    "PNG iTXt": lambda text: _png(text, packed=True, international=True),
    "PNG in a page": _page,
    "spaced": lambda text: " ".join(text).encode(),
    "gzip in base64": lambda text: base64.b64encode(gzip.compress(f"some {text} text".encode())),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_word_is_found_in_each_form(form: str) -> None:
    alone = FORMS[form](canaries.PLACES["family name"])
    assert found_in(alone, canaries.PLACES) == {"family name"}
    together = FORMS[form](" | ".join(canaries.PLACES.values()))
    assert found_in(together, canaries.PLACES) == set(canaries.PLACES)


def test_other_ways_to_write_a_date_a_uid_and_a_hash() -> None:
    for text in ("1947-03-11", "11.03.1947", "03/11/1947"):
        assert found_in(text.encode(), canaries.PLACES) == {"birth date"}
    assert found_in(canaries.number("study UID").encode(), canaries.PLACES) == {"study UID"}
    guessed = hashlib.sha256(canaries.PLACES["patient ID"].encode()).hexdigest()[:16]
    assert found_in(guessed.encode(), canaries.PLACES) == {"patient ID"}


def test_words_are_found_in_the_chunks_of_an_array_and_in_the_names_of_files(tmp_path: Path) -> None:
    text = canaries.PLACES["family name"]
    letters = np.frombuffer(text.encode(), np.uint8)
    zarr.create_array(tmp_path / "a.zarr", data=np.tile(letters, 400), chunks=(4000,))
    (tmp_path / canaries.word("folder")).mkdir()
    (tmp_path / "link").symlink_to(canaries.word("link target"))
    assert set.union(*leaks(files_below(tmp_path), canaries.PLACES).values()) == {
        "family name",
        "folder",
        "link target",
    }


def test_nothing_is_found_where_nothing_is() -> None:
    noise = np.random.default_rng(0).bytes(2**18)
    assert found_in(noise + base64.b64encode(noise) + gzip.compress(noise), canaries.PLACES) == set()


def test_the_scan_holds_every_word_of_its_own(tmp_path: Path) -> None:
    hu = np.zeros((2, 8, 8), np.float32)
    canaries.write_series(tmp_path / "scan", hu)
    canaries.write_nifti(tmp_path / f"{canaries.word('nifti file')}.nii.gz", hu)
    canaries.write_nrrd(tmp_path / "a.nrrd", hu)
    canaries.write_mha(tmp_path / "a.mha", hu)
    (tmp_path / canaries.word("array file")).touch()
    found = set.union(*leaks(files_below(tmp_path), canaries.PLACES).values())
    assert found == set(canaries.PLACES)
    assert len(found) >= 36
