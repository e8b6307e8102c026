"""What a process uses of the cache: marked as used, and held against removal for as long as it is used.

By shared locks on the files themselves (flock), which the system frees with the process, however that ends. Where there
are none (Windows, some network disks) files are marked, but not held.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


class Held:
    """A file of the cache that is in use; free again when this object is gone, or its process."""

    def __init__(self, path: Path) -> None:
        """Open it, and mark it as used now. Raises OSError: it is not there, cannot be read, or is being removed."""
        self.path = path
        self.number = os.open(path, os.O_RDONLY)
        share(self.number)
        if os.fstat(self.number).st_nlink == 0:
            raise FileNotFoundError(2, os.strerror(2), str(path))
        mark(path)

    def __reduce__(self) -> tuple[type[Held], tuple[Path]]:
        return Held, (self.path,)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self.number)


_ALWAYS: dict[Path, Held] = {}


def hold_always(path: Path) -> None:
    """Hold a file until this process ends. Raises OSError: as `Held`."""
    before = _ALWAYS.get(path)
    if before is None or os.fstat(before.number).st_nlink == 0:
        _ALWAYS[path] = Held(path)


def mark(path: Path) -> None:
    """Mark as used now; a folder that may only be read keeps its times."""
    with contextlib.suppress(OSError):
        os.utime(path)


def share(number: int) -> None:
    """Hold an open file. Raises FileNotFoundError: somebody is removing it."""
    if fcntl is None:
        return
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileNotFoundError(2, os.strerror(2)) from None
    except OSError:  # a disk that knows no locks
        return


@contextlib.contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Whether nobody holds this file; nobody can begin to while it is being removed in here."""
    if fcntl is None:
        yield False
        return
    try:
        number = os.open(path, os.O_RDWR)  # network disks lock exclusively only what may be written
    except FileNotFoundError:
        yield True
        return
    except OSError:
        yield False
        return
    try:
        yield _is_locked(number)
    finally:
        os.close(number)


def _is_locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
