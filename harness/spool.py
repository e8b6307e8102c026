"""Many records kept on disk and read as if they were a tuple, so that memory does not grow with their number.

A spool is a file of JSON lines beside a file of offsets, in the cache folder, named by the digest of what it holds: two
runs over the same documents share it. It is read with positioned reads, not mapped, so that what was read does not
count as memory of the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import filelock
import msgspec

from harness.disk import cache_folder
from harness.errors import UserError
from harness.holds import Held, share, taken
from harness.lines import Lines, OnDemand

MANY = 20_000
"""Records up to which they are held in memory, as long as they are not larger than ..."""
LARGE = 64 * 2**20
"""... so many bytes, as JSON."""

T = TypeVar("T")


class Spooled(OnDemand[T]):
    """Records in a spool; iterating reads them in order, a part of the file at a time."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path, self.kind = path, kind
        self._decoder = msgspec.json.Decoder(kind)
        try:
            self._held = Held(path)
            self._offsets = array("Q", offsets_of(path).read_bytes())
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}); it holds texts of this run. Begin the same command again: "
                "it is made anew (machines that share a run need one BAKEOFF_CACHE that all of them see)."
            ) from error

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the records, as `digest_of` gives it."""
        return self.path.stem

    def __reduce__(self) -> tuple[type[Spooled[T]], tuple[Path, type[T]]]:
        return type(self), (self.path, self.kind)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def _read(self, place: int) -> T:
        start = self._offsets[place]
        return self._decoder.decode(os.pread(self._held.number, self._offsets[place + 1] - start, start))

    def __iter__(self) -> Iterator[T]:
        at = 0
        while lines := os.pread(self._held.number, 2**20, at):
            whole = lines[: lines.rfind(b"\n") + 1] or self._line(at)
            at += len(whole)
            yield from map(self._decoder.decode, whole.splitlines())

    def _line(self, start: int) -> bytes:
        """A line that is longer than what is read at once."""
        place = self._offsets.index(start)
        return os.pread(self._held.number, self._offsets[place + 1] - start, start)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Spooled) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<{len(self):,} {self.kind.__name__} records in {self.path.name}>"


def kept(records: Iterable[T], kind: type[T], *, key: str = "") -> Sequence[T]:
    """These records: a tuple, or, where they are many or large, a `Spooled`.

    With a key (a digest of what they are made from) they are not made again where the cache has them.

    Raises:
        UserError: they are too many to be held in memory, and the cache folder cannot be written.
    """
    named = folder() / f"{key}.name"
    known = _known(named, kind) if key else None
    if known is not None:
        return known
    held: list[T] = []
    size = 0
    rest = iter(records)
    for record in rest:
        held.append(record)
        size += len(msgspec.json.encode(record))
        if len(held) > MANY or size > LARGE:
            break
    else:
        return tuple(held)
    made = _written(held, rest, kind)
    if key:
        with contextlib.suppress(OSError):
            named.write_text(made.path.name)
    return made


def for_now(records: Iterable[T], kind: type[T]) -> Lines[T]:
    """These records on disk, gone when nobody reads them any more.

    Raises:
        UserError: the cache folder cannot be written.
    """
    with _named_trouble():
        folder().mkdir(parents=True, exist_ok=True)
        with _begun() as stream:
            try:
                found, at = Lines(Path(stream.name), kind), 0
                for record in records:
                    line = msgspec.json.encode(record)
                    found.add(at, len(line))
                    at += stream.write(line + b"\n")
                stream.flush()
            finally:
                Path(stream.name).unlink(missing_ok=True)
    return found


def folder() -> Path:
    """Where spools lie."""
    return cache_folder() / "spool"


def digest_of(records: Sequence[object]) -> str:
    """SHA-256 (hex) of the records' JSON, as one list: the same for a tuple and for its spool."""
    if isinstance(records, Spooled):
        return str(records.digest)
    found = _Hashed()
    for record in records:
        found.add(msgspec.json.encode(record))
    return found.digest()


class _Hashed:
    """The digest of a JSON list whose items come one by one."""

    def __init__(self) -> None:
        self._sha, self._first = hashlib.sha256(b"["), True

    def add(self, item: bytes) -> None:
        self._sha.update(item if self._first else b"," + item)
        self._first = False

    def digest(self) -> str:
        sha = self._sha.copy()
        sha.update(b"]")
        return sha.hexdigest()


def _written(held: list[T], rest: Iterable[T], kind: type[T]) -> Spooled[T]:
    """Write these records, those held and those still to come, under the digest of them all."""
    with _named_trouble():
        folder().mkdir(parents=True, exist_ok=True)
        with _begun() as stream:
            try:
                return Spooled(_write(held, rest, stream=stream), kind)
            finally:  # what is whole has its own name by now
                for left in (Path(stream.name), _offsets_beside(stream.name)):
                    left.unlink(missing_ok=True)


@contextlib.contextmanager
def _named_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"There are too many texts to be held in memory, and they cannot be kept in {folder()} "
            f"({error.strerror or error}). Make room there, or name another folder with BAKEOFF_CACHE."
        ) from error


def _begun() -> tempfile._TemporaryFileWrapper[bytes]:
    """A new file, held until it is closed; what processes that are gone left half written is removed."""
    with settling():
        for left in folder().glob("*.tmp"):
            with taken(left) as free:
                if free:
                    left.unlink(missing_ok=True)
        for left in folder().glob("*.tmp.offsets"):
            if not left.with_suffix("").exists():
                left.unlink(missing_ok=True)
        stream = tempfile.NamedTemporaryFile(dir=folder(), suffix=".tmp", delete=False)  # noqa: SIM115 - closed by who writes
        share(stream.fileno())
    return stream


def settling() -> filelock.BaseFileLock:
    """The lock under which files get their names, and lose them."""
    return filelock.FileLock(folder() / ".lock")


def _write(held: list[T], rest: Iterable[T], *, stream: tempfile._TemporaryFileWrapper[bytes]) -> Path:
    offsets, found, at = array("Q", [0]), _Hashed(), 0
    while held:
        for record in held:
            line = msgspec.json.encode(record)
            found.add(line)
            at += stream.write(line + b"\n")
            offsets.append(at)
        held.clear()
        for record in rest:
            held.append(record)
            if len(held) == 1_000:
                break
    stream.flush()
    path = folder() / f"{found.digest()}.jsonl"
    beside = _offsets_beside(stream.name)
    beside.write_bytes(offsets.tobytes())
    with settling():
        beside.replace(offsets_of(path))
        Path(stream.name).replace(path)
    return path


def _offsets_beside(name: str) -> Path:
    return Path(f"{name}.offsets")


def offsets_of(path: Path) -> Path:
    """Where the records of a spool begin: the file beside it."""
    return path.with_suffix(".offsets")


def _known(named: Path, kind: type[T]) -> Spooled[T] | None:
    """The spool that a key names, where it is there and as it was written."""
    try:
        path = named.with_name(named.read_text())
        spooled = Spooled(path, kind)
        return spooled if _is_whole(spooled) else None
    except (OSError, UserError, ValueError):
        return None


def _is_whole(spooled: Spooled[T]) -> bool:
    found, ends, at = _Hashed(), iter(spooled._offsets[1:]), 0
    with spooled.path.open("rb") as stream:
        for line in stream:
            found.add(line.removesuffix(b"\n"))
            at += len(line)
            if next(ends, None) != at:
                return False
    return next(ends, None) is None and found.digest() == spooled.digest


class Firsts:
    """Where each name stood first: a dictionary, or, from `MANY` names on, a table on disk that is gone afterwards."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}
        self._table: sqlite3.Connection | None = None

    def setdefault(self, name: str, place: str) -> str:
        """The place that was given with this name first.

        Raises:
            UserError: the names are too many to be held in memory, and the temporary folder cannot take them.
        """
        if self._table is None:
            first = self._held.setdefault(name, place)
            if len(self._held) > MANY:
                with _temporary():
                    self._move()
            return first
        with _temporary():
            new = self._table.execute("INSERT OR IGNORE INTO firsts VALUES (?, ?)", (name, place)).rowcount
            if new:
                return place
            return str(self._table.execute("SELECT place FROM firsts WHERE name = ?", (name,)).fetchone()[0])

    def _move(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)  # SQLite's own temporary file
        self._table.execute("PRAGMA cache_size = -8000")
        self._table.execute("CREATE TABLE firsts (name TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID")
        self._table.execute("BEGIN")
        self._table.executemany("INSERT INTO firsts VALUES (?, ?)", self._held.items())
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._table is not None:
            self._table.close()


@contextlib.contextmanager
def _temporary() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UserError(
            f"There are too many names to be held in memory, and they cannot be kept in the temporary folder "
            f"({error}). Make room there, or name another folder with TMPDIR."
        ) from error
