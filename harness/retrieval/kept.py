"""Indexes kept on disk: built once, beside their place and under a lock, and opened only as they were written."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import filelock
import msgspec

from harness.disk import cache_folder
from harness.errors import UserError
from harness.holds import Held

T = TypeVar("T")

ABOUT = "about.json"


class Opened(NamedTuple, Generic[T]):
    """An index of the cache."""

    folder: Path
    about: T
    held: Held
    """The folder stays as it is for as long as this is kept."""


class _Kept(msgspec.Struct):
    about: msgspec.Raw
    seals: dict[str, str]
    """File -> SHA-256 (hex)."""


def kept_index(name: str, kind: type[T], *, what: str, build: Callable[[Path], T]) -> Opened[T]:
    """An index in the cache and what is said of it; built where it is not there or was damaged.

    Two processes that want the same index build it once: the second waits for the first.

    Args:
        name: of everything that determines the index.
        kind: what `build` says of what it wrote into the folder that it is given.
        what: the index in words, for an error.

    Raises:
        UserError: it cannot be kept.
    """
    folder = cache_folder() / "indexes" / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with building(folder):
            about = _sound(folder, kind)
            if about is None:
                about = _built(folder, build)
            return Opened(folder, about, Held(folder / ABOUT))
    except (OSError, RuntimeError) as error:  # FAISS says RuntimeError where the disk is full
        why = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{what} cannot be kept in {folder.parent} ({why}). Make room there, or name another folder with "
            "BAKEOFF_CACHE."
        ) from error


def building(folder: Path) -> filelock.BaseFileLock:
    """The lock under which an index is built, opened and removed."""
    return filelock.FileLock(f"{folder}.lock")


def _sound(folder: Path, kind: type[T]) -> T | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode((folder / ABOUT).read_bytes(), type=_Kept)
        if all(_seal(folder / name) == seal for name, seal in kept.seals.items()):
            return msgspec.json.decode(kept.about, type=kind)
    return None


def _built(folder: Path, build: Callable[[Path], T]) -> T:
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as place:
        home = Path(place) / "index"
        home.mkdir()
        about = build(home)
        kept = _Kept(msgspec.Raw(msgspec.json.encode(about)), {path.name: _seal(path) for path in home.iterdir()})
        (home / ABOUT).write_bytes(msgspec.json.encode(kept))
        shutil.rmtree(folder, ignore_errors=True)
        home.rename(folder)
    return about


def _seal(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
