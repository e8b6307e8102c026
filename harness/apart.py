"""A second process for files that a library has to take apart: PDF, Word, HTML, Excel, Parquet.

A hostile file can make such a library turn for hours, fill the memory or fall over. There it takes only the helper with
it: the helper has a limit on seconds and memory, may not write any file, and is started anew for the next one.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from harness.errors import UserError

T = TypeVar("T")

SECONDS = 120.0
"""For one file, unless the environment variable says otherwise."""
SECONDS_VARIABLE = "BAKEOFF_READ_SECONDS"
MEMORY = 4 << 30
"""Bytes of address space."""

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from harness import apart; apart.serve()"


class Refused(ValueError):
    """A file that its reader cannot open; the message says why, as half a sentence."""


class Apart:
    """The helper, started with the first file and ended with the `with` block."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds or seconds_allowed()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def call(self, function: Callable[[Path], T], path: Path) -> T:
        """`function(path)`, worked out by the helper. The function is a module's, and its result can be pickled.

        Raises:
            Refused: by the function itself, or for a file that takes too long, too much memory, or ends the helper.
        """
        process = self._process or self._started()
        late = threading.Event()
        clock = threading.Timer(self._seconds, _stop, (process, late))
        clock.daemon = True
        clock.start()
        try:
            answer = _exchange(process, (function.__module__, function.__qualname__, str(path), self._seconds))
        except (EOFError, OSError, pickle.UnpicklingError):
            self._end()
            raise Refused(self._why(process, late=late.is_set())) from None
        finally:
            clock.cancel()
        done, value = answer
        if not done:
            raise Refused(value)
        return value  # type: ignore[no-any-return]

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-B", "-c", _START, json.dumps(import_places())]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise UserError(f"a helper that reads files cannot be started ({error.strerror or error})") from None
        return self._process

    def _why(self, process: subprocess.Popen[bytes], *, late: bool) -> str:
        if late:
            return (
                f"takes more than {self._seconds:g} seconds to read; split it, save it again or take it out "
                f"(or allow more with {SECONDS_VARIABLE})"
            )
        return f"makes its reader fall over (exit code {process.returncode}); save it again or take it out"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()


def import_places() -> list[str]:
    """Where the helper finds modules: as this process does, and this very package."""
    here = str(Path(__file__).resolve().parents[1])
    places = [place for place in sys.path if Path(place).is_absolute()]
    return places if here in places else [*places, here]


def seconds_allowed() -> float:
    """What the environment variable says; the usual where it says nothing that is a number above 0."""
    with contextlib.suppress(ValueError):
        said = float(os.environ.get(SECONDS_VARIABLE, ""))
        if 0 < said < 1e6:
            return said
    return SECONDS


def serve() -> None:
    """The helper's own loop: a question on standard input, its answer on standard output, until there are no more."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints does not get between the answers
    _limit_memory()
    while question := _received(questions):
        module, name, path, seconds = question
        _limit_time(seconds)
        out_of_memory = False
        try:
            answer = (True, getattr(importlib.import_module(module), name)(Path(path)))
        except Refused as refusal:
            answer = (False, str(refusal))
        except OSError as error:
            answer = (False, f"cannot be opened ({error.strerror or error}); mend it or take it out")
        except MemoryError:
            out_of_memory = True
            answer = (False, f"takes more than {MEMORY >> 30} GB of memory to read; split it or take it out")
        _send(answers, answer)
        if out_of_memory:
            return


def _exchange(process: subprocess.Popen[bytes], question: object) -> tuple[bool, Any]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    _send(process.stdin, question)
    answer: tuple[bool, Any] | None = _received(process.stdout)
    if answer is None:
        process.wait()
        raise EOFError
    return answer


def _send(stream: IO[bytes], message: object) -> None:
    pickle.dump(message, stream, protocol=5)
    stream.flush()


def _received(stream: IO[bytes]) -> Any | None:
    """The next message; None at the end. What comes is our own: it is written by this very file."""
    try:
        return pickle.load(stream)
    except EOFError:
        return None


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _limit_memory() -> None:
    """Memory, and no file of its own; systems without such limits (Windows) keep the time limit."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _limit_time(seconds: float) -> None:
    """Processor seconds, should the one who asked be gone and nobody look at the clock."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime + seconds) + 5
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
