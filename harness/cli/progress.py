"""What a run is doing, while it does it: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

PLAIN_EVERY = 15.0
"""Seconds between plain lines of one stage."""

TITLES = {
    "audit": "Reading and checking the data",
    "load": "Loading, choosing the framing",
    "latency": "Timing single requests",
    "verdict": "Drawing the verdict",
    "prepare": "Preparing",
    "answer": "Answering",
    "batches": "Waiting for batches",
    "cluster": "Preparing and answering",
}


def title_of(stage: str, detail: str) -> str:
    """A stage's name for people: `answer lora` -> `Answering: LoRA`."""
    from harness.report.names import arm_name, experiment_title

    if stage.startswith("experiment "):
        arm, _, condition = detail.partition(", ")
        return f"{experiment_title(stage.removeprefix('experiment '))}: {arm_name(arm)}, {condition}"
    word, _, arm = stage.partition(" ")
    title = TITLES.get(word, word)
    shown = arm_name(arm) if arm else detail
    return f"{title}: {shown}" if shown else title


class LiveWatcher:
    """A progress bar a stage."""

    def __init__(self, out: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(max_width=34, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[far]}", table_column=Column(min_width=9, no_wrap=True)),
            TextColumn("{task.fields[score]}", table_column=Column(min_width=8, no_wrap=True)),
            TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
            TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
            console=out,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> LiveWatcher:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._progress.stop()

    def stage(self, name: str, detail: str = "") -> None:
        """A bar for a new stage; the last one is left as done."""
        self._close()
        self._task = self._progress.add_task(escape(title_of(name, detail)), total=None, score="", far="")

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        """Move the bar."""
        if self._task is not None:
            shown = f"score {score * 100:.0f}" if score is not None else ""
            self._progress.update(self._task, completed=done, total=total, score=shown, far=f"{done}/{total}")

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._progress.console.print(escape(text))

    def _close(self) -> None:
        if self._task is not None:
            task = next(t for t in self._progress.tasks if t.id == self._task)
            total = task.total or 1
            self._progress.update(self._task, total=total, completed=total)
            self._progress.stop_task(self._task)


class PlainWatcher:
    """A line when a stage begins, and one now and then while it lasts."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._start = time.monotonic()
        self._last = self._start
        self._title, self._percent = "", False
        self._began = self._start
        self._first: int | None = None

    def __enter__(self) -> PlainWatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def stage(self, name: str, detail: str = "") -> None:
        """Say what begins."""
        self._title, self._percent = title_of(name, detail), not name.startswith("answer")
        self._began, self._first = time.monotonic(), None
        self._say(self._title)

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        """Say how far it is, every few seconds and at the end."""
        self._first = done if self._first is None else self._first
        ended = score is not None and done == total
        if not ended and time.monotonic() - self._last < PLAIN_EVERY:
            return
        shown = f", score {score * 100:.0f}" if score is not None else ""
        far = f"{done / max(1, total):.0%}" if self._percent else f"{done} of {total}"
        self._say(f"{self._title}: {far}{shown}{self._left(done, total)}")

    def _left(self, done: int, total: int) -> str:
        """Time left in this stage at the pace so far."""
        made = done - (self._first or 0)
        if made <= 0 or done >= total:
            return ""
        seconds = (time.monotonic() - self._began) / made * (total - done)
        return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"

    def note(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        elapsed = int(self._last - self._start)
        self._out.print(f"[{elapsed // 60:d}:{elapsed % 60:02d}] {text}", markup=False)


def watcher_for(out: Console) -> LiveWatcher | PlainWatcher:
    """Live on a terminal, plain elsewhere."""
    return LiveWatcher(out) if out.is_terminal else PlainWatcher(out)
