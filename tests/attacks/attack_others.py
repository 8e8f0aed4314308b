"""Archives, arrays, cards and things that are no files."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from attack_bundles import OURS, bundle, state
from attack_pickles import Call
from attack_place import Place, attack


@attack("archive: a bundle as zip whose entries lead out")
def zipped(place: Place) -> Path:
    path = place.folder / "zoo.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zoo/configs/inference.json", json.dumps({"network_def": OURS}))
        archive.writestr(f"../../{place.mark.name}", b"x")
        archive.writestr(str(place.mark), b"x")
    return path


@attack("archive: a bundle as tar whose entries lead out")
def tarred(place: Place) -> Path:
    path = place.folder / "zoo.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in (f"../../{place.mark.name}", str(place.mark)):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return path


@attack("archive: a zip of a bundle under the name of weights")
def zip_as_weights(place: Place) -> Path:
    return zipped(place).rename(place.folder / "zoo.pt")


@attack("array: objects in .npy", naive="npy")
def array(place: Place) -> Path:
    path = place.folder / "net.npy"
    np.save(path, np.array([Call(exec, place.code)], dtype=object), allow_pickle=True)
    return path


@attack("array: objects in .npz under the name of weights", naive="npz")
def archive_of_arrays(place: Place) -> Path:
    path = place.folder / "net.npz"
    np.savez(path, w=np.array([Call(exec, place.code)], dtype=object), allow_pickle=True)
    return path.rename(place.folder / "net.pt")


@attack("array: objects in .npy as the weights of a bundle")
def array_in_bundle(place: Place) -> Path:
    folder = bundle(place, {"network_def": OURS}, weights=False)
    np.save(place.folder / "x.npy", np.array([Call(exec, place.code)], dtype=object), allow_pickle=True)
    (place.folder / "x.npy").rename(folder / "models" / "model.pt")
    return folder


@attack("Python: a file of code named as a network")
def python(place: Place) -> Path:
    path = place.folder / "net.py"
    path.write_text(place.code)
    return path


def carded(place: Place, card: str, ending: str = "toml") -> Path:
    torch.save(state(), place.folder / "net.pt")
    (place.folder / f"net.card.{ending}").write_text(card)
    return place.folder / "net.pt"


@attack("card: a factory as its class")
def factory(place: Place) -> Path:
    (place.folder / "evil.py").write_text(place.code)
    return carded(place, 'network = "evil:make"')


@attack("card: a function as its class")
def function(place: Place) -> Path:
    return carded(place, f'network = "os.system"\narguments = {{ command = "{place.shell}" }}')


@attack("card: an expression among its arguments")
def expression(place: Place) -> Path:
    return carded(
        place, json.dumps({"network": "CNN10", "arguments": {"channels": f"$exec({place.code!r})"}}), "json"
    )


@attack("card: a file macro among its arguments")
def macro(place: Place) -> Path:
    return carded(
        place, f'network = "CNN10"\narguments = {{ channels = "%../../outside/{place.secret.name}" }}'
    )


@attack("card: a URL and a file that no card has")
def unknown(place: Place) -> Path:
    return carded(place, f'weights = "{place.secret}"\nurl = "http://127.0.0.1:{place.port}/"')


@attack("card: a tag of Python")
def tag(place: Place) -> Path:
    return carded(place, f"!!python/object/apply:os.system ['{place.shell}']", "json")


@attack("card: a link to elsewhere")
def link(place: Place) -> Path:
    path = carded(place, "")
    (place.folder / "net.card.toml").unlink()
    (place.folder / "net.card.toml").symlink_to(place.secret)
    return path


@attack("card: nested without end")
def deep(place: Place) -> Path:
    return carded(place, '{"arguments": ' + '{"a":' * 50_000 + "1" + "}" * 50_001, "json")


@attack("no file: a pipe under the name of weights")
def pipe(place: Place) -> Path:
    os.mkfifo(place.folder / "net.pt")
    return place.folder / "net.pt"


@attack("no file: a pipe as the config of a bundle")
def pipe_in_bundle(place: Place) -> Path:
    folder = bundle(place, {}, name="train.json")
    os.mkfifo(folder / "configs" / "inference.json")
    return folder


@attack("no file: a device under the name of weights")
def device(place: Place) -> Path:
    (place.folder / "net.pt").symlink_to("/dev/zero")
    return place.folder / "net.pt"


@attack("no file: a link that leads to itself")
def itself(place: Place) -> Path:
    (place.folder / "net.pt").symlink_to(place.folder / "net.pt")
    return place.folder / "net.pt"
