"""One writer at a time on other storage: a file `.lease` there, renewed while somebody writes.

On one machine the working copy has a lock. Between machines there is only this file: made with a conditional put where
the storage has one, renewed by a thread of its own for as long as it is held, read again before each file is sent, and
free once it was not renewed for five minutes.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from harness.disk import cache_folder, write_whole
from harness.errors import RemoteError
from harness.generation.isolation import attempt
from harness.remote.storage import Storage

NAME = ".lease"
LASTS = 300.0
"""Seconds after which a lease that was not renewed is free."""
BEAT = 60.0
"""Seconds between two renewals."""
BEAT_AGAIN = 10.0
"""The same after one that failed."""
SETTLES = 1.0
"""Seconds after which whoever took an old lease looks whether another did so at the same moment."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`.lease`: who writes."""

    host: str
    pid: int
    machine: str
    """Which cache folder. Whoever takes a lease holds the lock in it, so one of its own host and folder is dead."""
    token: str
    time: float
    """Seconds since 1970, by the holder's clock."""


class LeaseLost(RemoteError):
    """Another has taken over, so nothing may be written any more."""


class Writer:
    """The right to write to a folder on other storage; safe to use from several threads.

    `tell` hears once that it was lost.
    """

    def __init__(self, storage: Storage, tell: Callable[[LeaseLost], None] = lambda lost: None) -> None:
        self._storage, self._tell = storage, tell
        self._token = secrets.token_hex(8)
        self._turn = threading.RLock()
        self._renewed = 0.0
        self.lost: LeaseLost | None = None
        """Why it is held no longer."""

    def take(self) -> None:
        """Take the lease.

        Raises:
            RemoteError: another holds it, or the storage cannot be reached.
        """
        held = self._read()
        if held is not None:
            age = time.time() - held.time
            if not _own_machines(held) and age < LASTS:
                raise RemoteError(self._busy(held, age))
            self._storage.delete(NAME)
        if not self._storage.create(NAME, self._own()):
            other = self._read()
            raise RemoteError(self._busy(other, 0.0) if other else f"{self._storage.url} is busy. Try again.")
        if held is not None and not _own_machines(held):
            time.sleep(SETTLES)
        self.check()
        self._renewed = time.time()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew it from a thread all the while."""
        end = threading.Event()
        thread = threading.Thread(target=self._beat, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _beat(self, end: threading.Event) -> None:
        wait = BEAT
        while not end.wait(wait) and self.lost is None:
            wait = BEAT if attempt(self.renew) is None else min(BEAT, BEAT_AGAIN)

    def renew(self) -> None:
        """Keep it.

        Raises:
            LeaseLost: another has it.
            RemoteError: the storage cannot be reached.
        """
        with self._turn:
            self.check()
            now = time.time()
            self._storage.put(NAME, self._own())
            self._renewed = now

    def require(self) -> None:
        """Make sure that no other can have it; the storage is asked only where the last renewal is too long ago.

        Raises:
            LeaseLost: another has it.
            RemoteError: nobody can tell, for the storage cannot be reached.
        """
        if self.lost is None and self._is_fresh():  # without waiting for a renewal that hangs
            return
        with self._turn:
            if self.lost is not None:
                raise self.lost
            if not self._is_fresh():
                self.renew()

    def _is_fresh(self) -> bool:
        return 0 <= time.time() - self._renewed < LASTS

    def give_back(self) -> None:
        """Free it, if it is still held."""
        held = self._read()
        if held is not None and held.token == self._token:
            self._storage.delete(NAME)

    def check(self) -> None:
        """See that it is still held.

        Raises:
            LeaseLost: another has it.
            RemoteError: the storage cannot be reached.
        """
        with self._turn:
            held = self._read() if self.lost is None else None
            if self.lost is None and (held is None or held.token != self._token):
                self.lost = LeaseLost(self._taken(held))
                self._tell(self.lost)
            if self.lost is not None:
                raise self.lost

    def _taken(self, held: Lease | None) -> str:
        what = (
            f"Another bakeoff ({held.host}, process {held.pid}) has taken over {self._storage.url}"
            if held
            else f"{self._storage.url}/{NAME} was deleted, so another bakeoff may be writing there"
        )
        return f"{what}; nothing more is uploaded from here."

    def _own(self) -> bytes:
        return msgspec.json.encode(Lease(platform.node(), os.getpid(), machine(), self._token, time.time()))

    def _read(self) -> Lease | None:
        content = self._storage.read(NAME)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=Lease)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RemoteError(
                f"{self._storage.url}/{NAME} says who writes there and cannot be read. Try again in a minute; if "
                "nobody writes there, delete it."
            ) from error

    def _busy(self, held: Lease, age: float) -> str:
        return (
            f"Another bakeoff ({held.host}, process {held.pid}) is writing to {self._storage.url}; its last sign of "
            f"life was {max(0, age):.0f} s ago. Wait for it, or name another folder. If it is dead, the same command "
            f"takes over {LASTS / 60:.0f} minutes after that, or at once when {NAME} there is deleted."
        )


def _own_machines(held: Lease) -> bool:
    return (held.host, held.machine) == (platform.node(), machine())


def machine() -> str:
    """A name of this machine's cache folder that no other has."""
    path = cache_folder() / "remote" / "machine"
    if not path.exists():
        write_whole(path, secrets.token_hex(8).encode(), private=True)
    return path.read_text(encoding="utf-8")
