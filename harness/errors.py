"""What can go wrong, as one tree.

BakeoffError                  anything this product raises on purpose
  UserError                   the user's to mend: shown as a sentence, no traceback, exit code 2
    InputProblems             every problem found in the input files, at once
    MissingModel              a model, embedder or package that is not on this machine
    RunStopped                a run that cannot go on until the user decides; what is answered is kept
    RunFolderError            a run folder that is missing, damaged, busy or belongs to another rule
    RemoteError               a folder on other storage that cannot be reached or is busy
  ArmFailed                   an arm that cannot answer at all; recorded in the run, never the end of it
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.scenario import Problem


class BakeoffError(Exception):
    """Root of everything raised on purpose."""


class UserError(BakeoffError):
    """The user can mend this: one clear sentence, exit code 2."""


class InputProblems(UserError):
    """The input files have problems; all of them are listed at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingModel(UserError):
    """A model, an embedder or a package is not on this machine."""


class RunFolderError(UserError):
    """The run folder is missing, damaged, busy or was made under another rule."""


class RemoteError(UserError):
    """A folder on other storage cannot be reached, is busy, or is behind what lies here."""


class RunStopped(UserError):
    """The run cannot go on until the user decides. Never a failure of one case: it is passed on, not counted."""


class ArmFailed(BakeoffError):
    """An arm could not be prepared or could not answer anything."""


MEMORY = ("can't start new thread", "failed to map segment", "annot allocate memory", "not enough memory")
"""What libraries and the loader say where the system gives them no more memory ..."""
MEMORY_OF_DEVICE = ("can't allocate memory", "CUDA out of memory", "MPS backend out of memory")
"""... and what torch says."""
DISK = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full")
"""What a library that reports the system's errors as its own, and SQLite, say where the disk is full."""


def shortage(error: BaseException) -> Literal["memory", "disk", ""]:
    """What ran out, whatever the error's class; empty: it means something else."""
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in MEMORY + MEMORY_OF_DEVICE):
        return "memory"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk" if full or any(words in text for words in DISK) else ""


def stop_where_short(error: BaseException, doing: str) -> None:
    """Whether an error that costs only an arm means that the whole run is short of something.

    Raises:
        RunStopped: memory or disk ran out.
    """
    what = shortage(error)
    if what == "disk":
        raise RunStopped(f"The disk is full ({doing}). Make room; what is done is kept, and the same command goes on.")
    if what == "memory":
        raise RunStopped(
            f"There was not enough memory ({doing}). Close other programs, take a smaller model or bits = 4 under "
            "[tuning], or leave that arm out; what is done is kept, and the same command goes on."
        )


MADE_OF_AN_INTERRUPT = (
    MemoryError,
    ImportError,
    RuntimeError,
    ValueError,
    SystemError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)
"""Errors that a library's C code may make of a Ctrl-C that came while it ran."""


def end_unread(stdout: IO[str]) -> None:
    """End with 0 where Click gave up on a broken pipe, for which it puts another stream in place of the output, and the
    pipe was the output: nobody reads it any more, as `| head` does not. Of any other pipe a sentence is left behind."""
    if sys.stdout is stdout:
        return
    if is_unread(stdout):
        leave_unread(stdout)
        sys.exit(0)
    sys.stderr.write("A pipe or a connection was closed by the other side. What was done is kept; try again.\n")


def is_unread(stream: IO[str]) -> bool:
    """Whether the stream is a pipe or socket that nobody reads any more; False where the system does not say."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no file, or a system without poll
        looked = select.poll()
        looked.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in looked.poll(0))
    return False


def leave_unread(stream: IO[str]) -> None:
    """What is still written there goes nowhere, and breaks nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def noted_interrupts() -> list[int]:
    """Ctrl-C raises `KeyboardInterrupt` as ever, and is noted in this list: an error after it may be made of it."""
    seen: list[int] = []

    def noted(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, noted)
    return seen
