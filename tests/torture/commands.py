"""The commands on fakes, each in a child of its own that can be killed at any moment.

A child is forked from a process that has imported everything, so that hundreds of them take seconds.
"""

import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fakes import FakeEmbedder, FakeEngine, FakeModel

TRIES = int(os.environ.get("BAKEOFF_TRIES", "4"))
"""Per test; `make torture` sets more, each test says how many."""
PATIENCE = 120.0
"""Seconds after which a child counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a child ended; `code` is -9 where it was killed with SIGKILL."""

    code: int
    out: str
    err: str

    @property
    def refused(self):
        """Ended with 2 and a sentence."""
        return self.code == 2 and "Traceback" not in self.err and self.err.strip() != ""


@dataclass(frozen=True)
class Child:
    """A command that runs."""

    pid: int
    out: Path
    err: Path

    def wait(self, seconds=PATIENCE):
        """How it ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return Ended(code, self.out.read_text(errors="replace"), self.err.read_text(errors="replace"))
            time.sleep(0.002)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"it hangs: {self.err.read_text(errors='replace')[-2000:]}")

    def killed_after(self, seconds, number):
        """How it ended, with this signal sent after so many seconds unless it had ended by itself."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    break
            time.sleep(0.001)
        os.kill(self.pid, number)
        return self.wait()


@dataclass(frozen=True)
class Commands:
    """Starts commands in a folder, with a cache of their own."""

    work: Path
    cache: Path
    delay: float = 0.0
    """Seconds that the model takes for a batch."""

    def start(self, *arguments, before=None, delay=None):
        """Fork a child that runs `bakeoff` (or `advise`, where that is the first argument)."""
        self.work.mkdir(parents=True, exist_ok=True)
        number = len(list(self.work.glob("*.err")))
        out, err = self.work / f"{number}.out", self.work / f"{number}.err"
        err.touch()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _child([str(one) for one in arguments], self, (out, err), before, self.delay if delay is None else delay)
        return Child(pid, out, err)

    def call(self, *arguments, **how):
        """Run a command to its end."""
        return self.start(*arguments, **how).wait()


def _child(arguments, commands, files, before, delay):
    """Never returns."""
    code = 70
    try:
        code = _called(arguments, commands, files, before, delay)
    except KeyboardInterrupt:  # while the command itself was ending
        code = 130
    except BaseException:  # noqa: BLE001 - a child must not unwind into the parent's code
        with contextlib.suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
        code = 1
    finally:
        os._exit(code)


def _called(arguments, commands, files, before, delay):
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(commands.work)
    os.environ["BAKEOFF_CACHE"] = str(commands.cache)
    os.environ["BAKEOFF_DATA_DIR"] = str(commands.cache / "data")
    _use_fakes(delay)
    if before:
        before()
    # After `before`, which may put something else there.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    program, *rest = arguments if arguments[0] == "advise" else ("bakeoff", *arguments)
    sys.argv = [program, *rest]
    if program == "advise":
        from advisor.cli.main import main
    else:
        from harness.cli.main import main
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever was done in the process that this was forked from
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    else:
        code = 0
    with contextlib.suppress(OSError):  # it was said, or nobody reads it
        sys.stdout.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


def _use_fakes(delay):
    from harness import api

    def slow(prompts):
        time.sleep(delay)

    own = partial(
        api.prepare,
        engine_for=lambda name: FakeEngine(FakeModel(before_batch=slow)),
        load_embedder=lambda name: FakeEmbedder(),
    )
    api.prepare = own
    api.SentenceEmbedder = lambda name: FakeEmbedder()


MODULES = (
    "advisor.api",
    "advisor.cli.advise",
    "advisor.cli.main",
    "advisor.render.document",
    "harness.api",
    "harness.cli.main",
    "harness.cli.progress",
    "harness.cli.report",
    "harness.cli.run",
    "harness.cli.score",
    "harness.cli.show",
    "harness.models.local",
    "harness.publish.html",
    "harness.publish.markdown",
    "torch",  # a run asks it for the device; Ctrl-C while it is imported aborts in its C++
)


def import_everything():
    """So that children need not; a command that is killed is killed at its work."""
    for name in MODULES:
        importlib.import_module(name)
