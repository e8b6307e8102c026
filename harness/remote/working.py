"""Where a command opens a run folder that lies on other storage: a folder here, kept the same as the one there.

    with working_copy(remote_url("s3://bucket/runs/one"), say=print) as folder:
        ...  # a run folder like any other

A thread sends what changed while the command works; the rest is sent when it ends, however that is. Before the command
begins something that costs money or cannot be taken back it has everything sent (`RunFolder.publish`), and it asks an
endpoint only as long as no other can have taken over (`RunFolder.require_held`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from types import FrameType

import filelock

from harness.errors import RemoteError, RunStopped, UserError
from harness.generation.isolation import attempt
from harness.holds import mark
from harness.remote.copy import Say, WorkingCopy
from harness.remote.lease import LASTS, LeaseLost, Writer
from harness.remote.storage import Storage, open_storage
from harness.remote.url import RemoteUrl
from harness.store import ELSEWHERE, HELD

EVERY = 10.0
"""Seconds between two uploads, and at least three times what the last one took."""
LONGEST_WAIT = 120.0
"""Seconds between two tries while the storage cannot be reached."""
AT_THE_END = (0.0, 1.0, 2.0, 4.0)
"""Seconds before each try to send the rest."""
WHEN_STOPPED = (0.0, 1.0)
AT_ONCE = (0.0, 1.0, 2.0)
"""The same before something is begun that costs money."""
LARGEST_BROUGHT = 16 * 2**20
"""Bytes of a record that is read without the rest of its run."""
TERMINATED = 128 + signal.SIGTERM


def upload_seconds() -> float:
    """`EVERY`, or what `BAKEOFF_UPLOAD_SECONDS` says.

    Raises:
        RemoteError: that is no number above 0.
    """
    wish = os.environ.get("BAKEOFF_UPLOAD_SECONDS")
    if wish is None:
        return EVERY
    with contextlib.suppress(ValueError):
        if 0 < float(wish) < threading.TIMEOUT_MAX:
            return float(wish)
    raise RemoteError(f"BAKEOFF_UPLOAD_SECONDS must be a number of seconds above 0; got {wish!r}.")


class Uploads:
    """Sends what changed, from a thread, until it is ended."""

    def __init__(self, copy: WorkingCopy, writer: Writer, *, every: float, say: Say) -> None:
        self._copy, self._writer, self._every, self._say = copy, writer, every, say
        self._end = threading.Event()
        self._behind = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        wait = self._every
        while not self._end.wait(wait) and self._writer.lost is None:
            start = time.monotonic()
            error = self._sent()
            took = time.monotonic() - start
            wait = max(self._every, 3 * took) if error is None else min(max(2 * wait, self._every), LONGEST_WAIT)

    def _sent(self) -> Exception | None:
        done = attempt(self._copy.send)
        if isinstance(done, LeaseLost):  # the writer has told so
            return done
        if isinstance(done, Exception):
            if not self._behind:
                self._say(f"The upload is behind: {done} The run goes on here, and the upload is tried again.")
            self._behind = True
        elif self._behind:
            self._behind = False
            self._say(f"{self._copy.storage.url} is up to date again.")
        return done if isinstance(done, Exception) else None

    def finish(self, pauses: tuple[float, ...]) -> Exception | None:
        """End the thread and send the rest; what went wrong."""
        self._end.set()
        self._thread.join()
        return self._tried(pauses)

    def _tried(self, pauses: tuple[float, ...]) -> Exception | None:
        """Send everything, with these pauses before each try; what went wrong."""
        trouble: Exception | None = self._writer.lost
        if trouble is not None:
            return trouble
        for pause in pauses:
            time.sleep(pause)
            done = attempt(lambda: self._copy.send(now=True))
            if done is True:
                return None
            trouble = done if isinstance(done, Exception) else RemoteError(f"{self._copy.folder} is being written.")
            if isinstance(trouble, LeaseLost):
                break
        return trouble

    def publish(self) -> None:
        """Send everything now.

        Raises:
            RunStopped: it could not be sent.
        """
        trouble = self._tried(AT_ONCE)
        if isinstance(trouble, LeaseLost):
            raise RunStopped(_not_paid(trouble)) from trouble
        if trouble is not None:
            raise RunStopped(
                f"{trouble} What the run is about to begin costs money or cannot be taken back, so it must be known "
                "there first; it was not begun. What is done is kept; the same command goes on."
            ) from trouble

    def require_held(self) -> None:
        """See that no other can have taken over.

        Raises:
            RunStopped: another has, or nobody can tell.
        """
        trouble = attempt(self._writer.require)
        if isinstance(trouble, LeaseLost):
            raise RunStopped(_not_paid(trouble)) from trouble
        if isinstance(trouble, Exception):
            raise RunStopped(
                f"{trouble} For more than {LASTS / 60:.0f} minutes nothing could be written there, so another may have "
                "taken over, and both would pay for the same answers: no more is asked of the endpoint. What was "
                "answered is kept; the same command goes on."
            ) from trouble


@contextlib.contextmanager
def working_copy(url: RemoteUrl, *, say: Say, writing: bool = True, new: bool = False) -> Iterator[Path]:
    """A folder here with what lies there; what is changed in it is sent there, unless it is only read.

    `new`: there may be nothing yet.

    Raises:
        RemoteError: the storage cannot be reached, another holds the folder, or the rest could not be sent.
    """
    every, storage = upload_seconds(), open_storage(url)
    with contextlib.ExitStack() as held:
        held.enter_context(_held_here(url))
        writer = held.enter_context(_written_by(url, say)) if writing else None
        copy = WorkingCopy(storage, writer, say)
        copy.bring_up_to_date()
        if writer is not None:
            writer.check()
        if not new:
            copy.require_something()
        copy.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark(copy.folder)
        if writer is not None:
            held.enter_context(_terminable())
            held.enter_context(_sending(copy, Uploads(copy, writer, every=every, say=say), say))
        yield copy.folder


@contextlib.contextmanager
def _written_by(url: RemoteUrl, say: Say) -> Iterator[Writer]:
    """Hold the lease."""

    def tell(lost: LeaseLost) -> None:
        say(f"{lost} The run goes on in {url.folder()} where it asks no endpoint.")

    writer = Writer(open_storage(url, shared=False), tell)
    writer.take()
    try:
        with writer.beating():
            yield writer
    finally:
        attempt(writer.give_back)  # where that fails it is free after a while


@contextlib.contextmanager
def _sending(copy: WorkingCopy, uploads: Uploads, say: Say) -> Iterator[None]:
    """Send what changes; the rest at the end."""
    whole, place = False, copy.folder.resolve()
    uploads.start()
    ELSEWHERE[place], HELD[place] = uploads.publish, uploads.require_held
    try:
        yield
        whole = True
    finally:
        del ELSEWHERE[place], HELD[place]
        trouble = uploads.finish(AT_THE_END if whole else WHEN_STOPPED)
        if trouble is not None and not whole:
            say(_left_here(copy, trouble))
    if trouble is not None:
        raise RemoteError(_left_here(copy, trouble)) from trouble


def _not_paid(lost: LeaseLost) -> str:
    return (
        f"{lost} The run stops before it asks for anything that costs money: both would pay for the same. What was "
        "answered is kept; the same command says which of the two counts."
    )


def _left_here(copy: WorkingCopy, trouble: Exception) -> str:
    if isinstance(trouble, LeaseLost):
        return f"{trouble} What was made here lies in {copy.folder}; the same command says which of the two counts."
    return (
        f"{trouble} Not everything was uploaded: the whole copy lies in {copy.folder}, and the same command uploads it."
    )


@contextlib.contextmanager
def _held_here(url: RemoteUrl) -> Iterator[None]:
    """Hold the working copy against other processes of this machine.

    Raises:
        RemoteError: another holds it, or there is no room for it.
    """
    home = url.home()
    lock = filelock.FileLock(home / f".{url.folder().name}.lock")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise RemoteError(f"Another bakeoff on this machine works on {url}. Wait for it, or name another.") from error
    except OSError as error:
        raise RemoteError(f"{home} cannot be written ({error.strerror or error}). Make room or allow it.") from error
    with held:
        yield


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the command as an exit does, so that the rest is sent; a second one ends it at once."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def ended(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def sent_to(url: RemoteUrl) -> Iterator[Path]:
    """An empty folder here; what is written into it is put there when the block ends without an error.

    Raises:
        RemoteError: the storage cannot be reached; what was written is then kept here and named.
        UserError: the folder here cannot be written.
    """
    storage = open_storage(url)
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-"))
    keep = False
    try:
        try:
            yield folder
        except UserError as error:
            if str(folder) not in str(error):
                raise
            raise UserError(
                f"What is to be sent to {url} cannot be written on this machine first ({folder}). Make room there, or "
                "name another temporary folder with TMPDIR."
            ) from error
        sent = attempt(lambda: _put_all(storage, folder))
        if isinstance(sent, Exception):
            keep = True
            raise RemoteError(
                f"{sent} What was to be written there lies in {folder}; a part of it may be there already."
            ) from sent
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def brought(url: RemoteUrl, names: Collection[str]) -> Iterator[Path]:
    """A folder here with the files of these names that the folders there hold, for as long as the block lasts.

    Folders that cannot be addressed and files of more than `LARGEST_BROUGHT` bytes are passed over.

    Raises:
        RemoteError: the storage cannot be reached or listed.
    """
    storage = open_storage(url)
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as here:
        for name, entry in storage.files(skip_odd=True).items():
            folder, _, file = name.partition("/")
            if file in names and entry.size <= LARGEST_BROUGHT and _can_be_addressed(url, folder):
                storage.get(name, Path(here, name))
        yield Path(here)


def _can_be_addressed(url: RemoteUrl, folder: str) -> bool:
    try:
        url.child(folder)
    except RemoteError:
        return False
    return True


def _put_all(storage: Storage, folder: Path) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        storage.put(path.relative_to(folder).as_posix(), path)
