"""The arrays of a study, each compared with the manifest when it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from ctinv.atomic import flush, replace_file
from ctinv.errors import StoreError
from ctinv.sampler import guard, manifest

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class StudyFiles(LocalStore):
    """A zarr store that replaces files durably and never makes the study's own folders again.

    zarr's own store makes whatever folder a path names: a study that was moved away while it is written would be begun
    again, empty, at its old place.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._chunk_bytes: dict[str, int] = {}

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """One file; of a chunk, after its claim was weighed.

        Raises:
            ValueError: It claims to unpack to something else than its place in the array.
        """
        self._weigh(key)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As `get_sync`."""
        await asyncio.to_thread(self._weigh, key)
        return await super().get(key, prototype, byte_range)

    def _weigh(self, key: str) -> None:
        name, _, inner = key.partition("/")
        if inner.startswith("c/"):
            if name not in self._chunk_bytes:
                self._chunk_bytes[name] = guard.check_array(self.root, name)
            guard.check_chunk(self.root / key, self._chunk_bytes[name])

    async def _open(self, **_: Any) -> None:
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root.name} does not exist")
        self._is_open = True

    def _ensure_open_sync(self) -> None:
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root.name} does not exist")
        self._is_open = True

    async def set(self, key: str, value: Buffer) -> None:
        """Replace one file."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Replace one file: temporary name, fsync, rename."""
        self._check_writable()
        array, *inner = key.split("/")[:-1]
        folder = self.root / array
        for name in inner:  # folders of chunks; that of the array is there, or the study is not
            folder = folder / name
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                flush(folder.parent)
        replace_file(self.root / key, bytes(value.as_buffer_like()))


@dataclass(frozen=True, eq=False)
class Planes:
    """The arrays of one study.

    Attributes:
        folder: The study.
        group: Its zarr group.
        meta: Its metadata, with the manifest.
        blank: What is given for arrays that are known to be damaged, while they are repaired.
    """

    folder: Path
    group: zarr.Group
    meta: dict[str, Any]
    blank: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, *, write: bool) -> Planes:
        """The arrays of a study.

        Raises:
            StoreError: There is no study, or its metadata were changed.
        """
        meta = manifest.read_root(folder)
        try:
            group = zarr.open_group(
                StudyFiles(folder, read_only=not write),
                mode="r+" if write else "r",
                zarr_format=3,
                use_consolidated=False,
            )
        except OSError:  # moved away since
            raise StoreError(f"there is no study {folder.name} any more; was it moved?") from None
        except (ValueError, TypeError, KeyError, zarr.errors.BaseZarrError) as error:
            raise StoreError(
                f"the metadata of {folder.name} are not those of a study that ctinv wrote; draw it anew."
            ) from error
        return cls(folder, group, meta)

    def array(self, name: str) -> zarr.Array[Any]:
        """One array.

        Raises:
            StoreError: It is not there, or its metadata are damaged.
        """
        try:
            metadata = f"{name}/{manifest.ROOT}"
            if not self._proven(metadata) and not self._grown(metadata):
                raise KeyError(name)
            guard.check_array(self.folder, name)
            found = self.group[name]
            if not isinstance(found, zarr.Array):
                raise KeyError(name)
            return found
        except (KeyError, ValueError, TypeError, OSError, zarr.errors.BaseZarrError) as error:
            raise StoreError(f"{name} of this study is damaged or lost; {self._remedy}.") from error

    def read(self, name: str) -> NDArray[Any]:
        """A small array in full.

        Raises:
            StoreError: Its bytes are not those that were written.
        """
        if name in self.blank:
            return self.blank[name]
        array = self.array(name)
        try:
            if not self._proven(f"{name}/{chunk_of(len(array.shape))}"):
                raise ValueError(name)
            return np.asarray(array[...])
        except (RuntimeError, ValueError, OSError) as error:
            raise StoreError(f"{name} of this study is damaged; {self._remedy}.") from error

    def _proven(self, file: str) -> bool:
        return manifest.fault_of(self.folder, self.meta, file) is None

    def _grown(self, file: str) -> bool:
        """Whether a writer has made room for more samples since this study was opened: its manifest tells, then.

        Raises:
            StoreError: The manifest was changed by somebody else, or the study is gone.
        """
        for _ in manifest.looks(self.folder):
            meta = manifest.read_root(self.folder)
            if meta["key"] != self.meta["key"]:
                return False
            if manifest.fault_of(self.folder, meta, file) is None:
                return True
        return False

    @property
    def _remedy(self) -> str:
        return f"`ctinv repair {self.folder.name}` says what can be done"


def chunk_of(ndim: int) -> str:
    """The one chunk of a small array, below its folder."""
    return "/".join(["c", *["0"] * ndim])
