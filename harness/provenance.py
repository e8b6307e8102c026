"""Where and with what a run was made: versions, machine, load, digests, revision."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "bakeoff-advisor",
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "faiss-cpu",
    "tokenizers",
    "numpy",
    "scipy",
    "statsmodels",
    "scikit-learn",
    "sacrebleu",
    "rouge-score",
)


def versions() -> dict[str, str]:
    """Installed versions of what determines the numbers; a package that is missing is left out."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def now() -> str:
    """The time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def load_average() -> float:
    """One-minute load average; 0.0 where the system has none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


@cache
def code_digest(*packages: str) -> str:
    """SHA-256 (hex) over the harness's own source files, or those of these packages only."""
    total = hashlib.sha256()
    root = Path(__file__).parent
    folders = [root / package for package in packages] or [root]
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def git_revision(folder: Path) -> str:
    """The revision of the repository that holds a folder, `+changes` where it is not clean; empty outside one."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


def command_line() -> str:
    """The command as it can be typed again, program name only."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def python_version() -> str:
    """Such as `3.11.7`."""
    return platform.python_version()


def system() -> str:
    """Such as `Linux-6.1-x86_64`."""
    return platform.platform(terse=True)


def size_of_machine() -> tuple[int, int]:
    """Physical cores and MiB of memory."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1, psutil.virtual_memory().total // 2**20


class PeakMemory:
    """The largest resident memory of this process while it is watched, in MiB."""

    def __init__(self) -> None:
        self.mb = 0.0

    def look(self) -> None:
        """Take one reading."""
        self.mb = max(self.mb, psutil.Process().memory_info().rss / 2**20)


@contextlib.contextmanager
def watched_memory(*, every: float = 0.1) -> Iterator[PeakMemory]:
    """Watch this process's memory from a thread."""
    peak, stop = PeakMemory(), threading.Event()
    peak.look()

    def watch() -> None:
        while not stop.wait(every):
            peak.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
        peak.look()
