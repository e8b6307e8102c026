"""The cache folder, and writing files so that a crash, a power cut or a full disk leaves the old or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import platformdirs


def cache_folder() -> Path:
    """Where derived data is kept between runs: `BAKEOFF_CACHE`, or the user's cache directory."""
    named = os.environ.get("BAKEOFF_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("bakeoff", appauthor=False))


def write_whole(path: Path, data: bytes | Iterable[bytes], *, private: bool = False) -> None:
    """Write a file beside its place, have it on disk, and move it there; its folder is made where it is missing.

    `private`: nobody but its owner may read it. Raises OSError; nothing is left beside the place then.
    """
    with replaced(path, private=private) as stream:
        stream.writelines([data] if isinstance(data, bytes) else data)


@contextlib.contextmanager
def replaced(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """What `write_whole` does, for who writes into a stream: the file is in its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append(path: Path, data: bytes) -> None:
    """All of it is on disk afterwards, or, where that fails (OSError), nothing of it is in the file."""
    fresh = not path.exists()
    with path.open("ab", buffering=0) as stream:
        before = stream.seek(0, os.SEEK_END)
        try:
            left = memoryview(data)
            while left:
                left = left[stream.write(left) :]
            os.fsync(stream.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                stream.truncate(before)
            raise
    if fresh:
        sync_folder(path.parent)


def cut_torn_line(path: Path) -> None:
    """Truncate a file of lines after its last whole line."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        whole = _whole_lines(stream, end)
        if whole < end:
            stream.truncate(whole)
            os.fsync(stream.fileno())


def _whole_lines(stream: BinaryIO, end: int) -> int:
    """Bytes up to the last line break."""
    while end:
        start = max(0, end - 2**20)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def sync_folder(path: Path) -> None:
    """Have a new name on disk; not every system can."""
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
