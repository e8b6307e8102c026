"""Working copies of run folders in the cache, for `bakeoff cache`: what may go, and what lies nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import filelock

from harness.engines import cached
from harness.engines.cached import LEFT, Item, in_order
from harness.remote.record import changed_here, kept_record

COPIES = "working copies of run folders"
NOT_UPLOADED = "working copies, not all uploaded"
SET_ASIDE = "run folders set aside"
ASIDE = "set-aside"
_WORK = ".work"
_HALVES = ("-coming", "-compared", "-sent")


def _remote(folder: Path) -> Iterator[Item]:
    for home in in_order(folder):
        if home.is_dir():
            yield from _gone(home)
            yield from _aside(home) if home.name == ASIDE else _copies(home)


def _gone(home: Path) -> Iterator[Item]:
    """What could not be deleted to its end."""
    for path in in_order(home):
        if path.name.startswith(".gone-"):
            yield Item(LEFT, path, path)


def _aside(home: Path) -> Iterator[Item]:
    for path in _folders(home):
        yield Item(SET_ASIDE, path, path, lock=filelock.FileLock(path / ".lock"))


def _copies(home: Path) -> Iterator[Item]:
    for path in _folders(home):
        only = Unsent(path)
        yield Item(NOT_UPLOADED if only() else COPIES, path, path, (only.beside,), _lock(home, path.name), only)
    for path in in_order(home / _WORK):
        for end in _HALVES:
            if path.name.endswith(end):
                yield Item(LEFT, path, path, lock=_lock(home, path.name.removesuffix(end)))


def _folders(home: Path) -> Iterator[Path]:
    return (path for path in in_order(home) if path.is_dir() and not path.name.startswith("."))


def _lock(home: Path, name: str) -> filelock.BaseFileLock:
    return filelock.FileLock(home / f".{name}.lock")


class Unsent:
    """Whether something in a working copy was not uploaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.beside = folder.with_name(f".{folder.name}.json")
        """What is known of it."""

    def __call__(self) -> bool:
        """Look."""
        try:
            return bool(changed_here(self._folder, kept_record(self.beside)))
        except OSError:  # it is being written
            return True


FOLDERS: cached.Folders = {**cached.FOLDERS, "remote": _remote}
"""All folders of the cache."""
