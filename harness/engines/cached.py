"""What lies in the cache folder, and how it is removed: by kind, size and last use.

It follows from something else and is made again where it is missing; what does not is a kind of its own, or stays
(`Item.only`). The lists of finished runs and of durations are no part of it: what counts as a second look at the same
cases rests on them, and they stay.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock

from harness import spool
from harness.disk import cache_folder
from harness.generation import cache
from harness.holds import taken
from harness.retrieval.kept import ABOUT, building

ANSWERS = "answers"
LEFT = "left half made"
LEFT_AFTER = 86_400
"""Seconds after which something that is half made is nobody's any more."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be removed by itself."""

    kind: str
    path: Path
    """A file, or a folder."""
    marker: Path
    """The file or folder whose time says when it was used last, and by which it is held."""
    beside: tuple[Path, ...] = ()
    lock: filelock.BaseFileLock | None = None
    """Under which such a thing is made and opened."""
    only: Callable[[], bool] | None = None
    """Whether something in it lies nowhere else yet: it stays then."""

    @property
    def stays(self) -> bool:
        """Whether it must not be removed."""
        return self.only is not None and self.only()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(_size, (self.path, *self.beside)))

    @property
    def used(self) -> float:
        """Seconds since 1970."""
        return _time(self.marker)


@dataclass(frozen=True, slots=True)
class Shelf:
    """All things of one kind."""

    kind: str
    count: int
    size: int
    """Bytes."""
    used: float
    """The last use of any, seconds since 1970."""
    stays: bool = False
    """Nothing of it is removed: it lies nowhere else yet."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    count: int
    size: int
    """Bytes that are free now."""
    held: int
    """Things that another process was using: they stayed."""


Folders = Mapping[str, Callable[[Path], Iterator[Item]]]
"""Folders of the cache, and what lies in each."""


def overview(*, before: float | None = None, folders: Folders | None = None) -> tuple[Shelf, ...]:
    """What is in the cache, or what of it was not used since; kinds of which there is nothing are left out."""
    found: dict[tuple[str, bool], list[Item]] = {}
    for item in _items(folders):
        if before is None or _is_old(item, before):
            found.setdefault((item.kind, item.stays), []).append(item)
    shelves = [
        Shelf(kind, len(own), sum(one.size for one in own), max(one.used for one in own), stays)
        for (kind, stays), own in found.items()
    ]
    return (*shelves, *_answers(before))


def remove(*, before: float, folders: Folders | None = None) -> Removed:
    """Remove what was not used since this moment, except what a running process holds or what lies nowhere else yet.

    A thing goes whole or stays.
    """
    count = size = held = 0
    for item in _items(folders):
        if _is_old(item, before) and not item.stays:
            room = item.size
            gone = _removed(item, before)
            count, size, held = count + gone, size + room * gone, held + (not gone)
    _tidy()
    room = _size_of_answers()
    count += cache.forget(_answers_file(), before=before)
    return Removed(count, size + max(0, room - _size_of_answers()), held)


# What there is


def _items(folders: Folders | None) -> Iterator[Item]:
    for name, read in (FOLDERS if folders is None else folders).items():
        folder = cache_folder() / name
        if folder.is_dir() and not folder.is_symlink():  # a link leads to what is not only ours
            yield from read(folder)


def _spools(folder: Path) -> Iterator[Item]:
    for path in in_order(folder):
        if path.suffix == ".jsonl":
            yield Item("documents and passages", path, path, (spool.offsets_of(path),), spool.settling())
        elif ".tmp" in path.suffixes:
            yield Item(LEFT, path, path)


def _vectors(folder: Path) -> Iterator[Item]:
    for path in (path for own in in_order(folder) if own.is_dir() for path in in_order(own)):
        yield Item(LEFT if path.suffix == ".tmp" else "vectors", path, path)


def _indexes(folder: Path) -> Iterator[Item]:
    for path in in_order(folder):
        if (path / ABOUT).is_file():
            kind = "word indexes" if "-words-" in path.name else "vector indexes"
            yield Item(kind, path, path / ABOUT, lock=building(path))
        elif path.is_dir():
            yield Item(LEFT, path, path)


def _adapters(folder: Path) -> Iterator[Item]:
    for path in in_order(folder):
        yield Item(LEFT if path.name.startswith(".") else "adapters", path, path)


def _models(folder: Path) -> Iterator[Item]:
    for path in in_order(folder):
        half = path.name.startswith(".") or not (path / "config.json").is_file()
        yield Item(LEFT if half else "unpacked models", path, path if half else path / "config.json")


FOLDERS: Folders = {
    "spool": _spools,
    "vectors": _vectors,
    "indexes": _indexes,
    "adapters": _adapters,
    "models": _models,
}
"""Those that this layer knows of; `remote.kept` has one more."""


def in_order(folder: Path) -> list[Path]:
    """What lies in a folder, links aside; nothing where it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.is_symlink())
    except OSError:
        return []


def _answers_file() -> Path:
    return cache_folder() / "answers.sqlite"


def _answers(before: float | None) -> Iterator[Shelf]:
    """Answers share one file: what a part of them takes of it is reckoned by their number."""
    used = cache.last_used(_answers_file())
    own = [one for one in used if before is None or one < before]
    if own:
        yield Shelf(ANSWERS, len(own), _size_of_answers() * len(own) // len(used), max(own))


def _size_of_answers() -> int:
    return sum(_size(_answers_file().with_name(_answers_file().name + end)) for end in ("", "-wal", "-shm"))


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        if path.is_dir():
            return sum(_size(child) for child in in_order(path))
        return path.lstat().st_size
    return 0


def _time(path: Path) -> float:
    """When something was changed or used last, whatever is in it included."""
    with contextlib.suppress(OSError):
        own = path.stat().st_mtime
        return max([own, *map(_time, in_order(path))]) if path.is_dir() else own
    return 0.0


def _is_old(item: Item, before: float) -> bool:
    return item.used < (min(before, time.time() - LEFT_AFTER) if item.kind == LEFT else before)


# Removing


def _removed(item: Item, before: float) -> bool:
    """Whether it could be removed: nobody holds it, and nobody has used it in the meantime."""
    with contextlib.ExitStack() as locks:
        try:
            if item.lock is not None:
                locks.enter_context(item.lock.acquire(timeout=1))
            if item.marker.is_file() and not locks.enter_context(taken(item.marker)):
                return False
            if not _is_old(item, before) or item.stays:
                return False
            _delete(item)
        except (OSError, filelock.Timeout):
            return False
    return True


def _delete(item: Item) -> None:
    for path in (item.path, *item.beside):
        if path.is_dir():  # out of the way at once: nobody opens half a folder
            gone = path.rename(path.with_name(f".gone-{secrets.token_hex(4)}"))
            shutil.rmtree(gone, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _tidy() -> None:
    """Remove names of spools that are gone, and folders that are empty."""
    for name in (cache_folder() / "spool").glob("*.name"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if not (name.parent / name.read_text()).is_file():
                name.unlink()
    for folder in (cache_folder() / "vectors").glob("*"):
        with contextlib.suppress(OSError):
            folder.rmdir()
