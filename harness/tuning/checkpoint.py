"""A tuning's way so far, kept in its folder so that an interrupted one goes on from there to the same weights.

One file holds everything: what learns and the optimizer's moments (float32), the best weights so far, the random
generator, and as metadata how far it has come. It is safetensors, so reading it runs no code, and its name is its
SHA-256, so a torn or damaged one is never taken. A new file is whole before the older one is deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness.disk import sync_folder
from harness.models.bundled import file_digest

FOLDER = ".checkpoint"

EVERY = 60.0
"""Seconds of steps after which one is written even within a pass."""

SHARE = 0.02
"""Most of a tuning's time that writing may take: after one, so much time passes that the next keeps within it."""

SPARE = 2
"""One is written only where so many times its size is free, so that it never takes the run's last room."""

NO_ROOM = "The disk had no room for the tuning's checkpoints: an interrupted tuning would have begun anew."
NOT_USED = "A checkpoint of an interrupted tuning was damaged or of another tuning, and was not used."


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a tuning has come."""

    trials: tuple[tuple[float, float], ...] = ()
    """(learning rate, dev loss) of each candidate that was tried."""
    losses: tuple[float, ...] = ()
    """On dev: before training, then after each pass; empty while rates are tried."""
    epoch: int = 0
    """Whole passes done."""
    step: int = 0
    """Steps done of the trial or pass under way."""
    best: int | None = None
    """Pass after which the dev loss was lowest so far; None: not one was better than none."""
    tokens: int = 0
    seconds: float = 0.0

    @property
    def begun(self) -> bool:
        """Whether weights have been changed in this trial or training."""
        return self.step > 0 or self.epoch > 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that was read."""

    reached: Reached
    tensors: Mapping[str, Any]


@dataclass
class Checkpoints:
    """The checkpoints of one tuning.

    Attributes:
        key: digest of everything that determines the tuning; empty: none are kept.
        notes: what the recipe should say of them.
        writing: seconds that writing took.
    """

    out: Path
    key: str = ""
    notes: list[str] = field(default_factory=list)
    writing: float = 0.0
    _last: float = field(default_factory=lambda: time.perf_counter())
    _cost: float = 0.0
    _count: int = 0

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.out / FOLDER

    def read(self) -> Kept | None:
        """The latest whole one of this tuning; others are deleted, and that is noted."""
        if not self.key:
            return None
        files = [file for file in self.folder.glob("*") if file.suffix == ".safetensors"]
        found = [(number, kept) for number, kept in map(self._whole, files) if kept is not None]
        if not found:
            if files:
                self.notes.append(NOT_USED)
            self.delete()
            return None
        self._count, kept = max(found, key=lambda pair: pair[0])
        return kept

    def _whole(self, file: Path) -> tuple[int, Kept | None]:
        from safetensors import SafetensorError, safe_open

        with contextlib.suppress(OSError, SafetensorError, ValueError, KeyError, msgspec.ValidationError):
            if file_digest(file) != file.stem:
                return 0, None
            with safe_open(file, framework="pt") as opened:
                said = json.loads(opened.metadata()["tuning"])
                if said["key"] != self.key:
                    return 0, None
                reached = msgspec.convert(said["reached"], type=Reached)
                # Copies: a file that is mapped into memory is not read through weeks of training.
                tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118 - no mapping
            return int(said["number"]), Kept(reached, tensors)
        return 0, None

    def due(self, *, at_end: bool) -> bool:
        """Whether one should be written now; `at_end`: a trial or a pass is over."""
        if not self.key:
            return False
        since = time.perf_counter() - self._last
        return since >= max(0.0 if at_end else EVERY, self._cost / SHARE)

    def write(self, reached: Reached, tensors: Callable[[], dict[str, Any]]) -> None:
        """Write one and delete the older one; a disk that does not take it is noted, once, and none is tried again."""
        start = time.perf_counter()
        try:
            self._write(reached, tensors())
        except OSError:
            self._give_up()
        self._last = time.perf_counter()
        self._cost = self._last - start
        self.writing += self._cost

    def _write(self, reached: Reached, tensors: dict[str, Any]) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        if shutil.disk_usage(self.folder).free < SPARE * size:
            raise OSError("no room")
        said = {"key": self.key, "number": self._count + 1, "reached": asdict(reached)}
        beside = self.folder / f"new-{os.getpid()}"
        try:
            save_file(tensors, beside, metadata={"tuning": json.dumps(said)})
        except SafetensorError as error:  # how the library reports what the system says
            raise OSError(str(error)) from error
        with beside.open("rb+") as stream:
            os.fsync(stream.fileno())
        named = beside.with_name(f"{file_digest(beside)}.safetensors")
        beside.replace(named)
        sync_folder(self.folder)
        self._count += 1
        for other in self.folder.iterdir():
            if other != named:
                other.unlink(missing_ok=True)

    def _give_up(self) -> None:
        """The last whole one stays: it is still the way so far."""
        self.key = ""
        self.notes.append(NO_ROOM)
        with contextlib.suppress(OSError):
            for part in self.folder.glob("new-*"):
                part.unlink(missing_ok=True)

    def delete(self) -> None:
        """The tuning is finished, or begins anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
