"""What a bake-off can be told, beside the scenario's own files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.scenario import ErrorBudget
from harness.scenario_file.read import NO_OVERRIDES, Overrides


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run: what the command line's flags become."""

    out: Path | None = None
    """The run folder; None = a named one under `runs_folder`."""
    runs_folder: Path = Path("runs")
    quick: bool = False
    """Fewer things tried on dev, one learning rate, a smaller tuning budget, fewer timed requests."""
    overrides: Overrides = field(default=NO_OVERRIDES)
    use_cache: bool = True
    """Reuse answers from earlier runs where everything that determines them is the same."""
    remember: bool = True
    """Keep the verdict, as numbers, in the user's data directory (`harness.experiment.remember`)."""
    explore: bool = False
    """Go on although what decides was changed after the first eval prediction; the report says so."""
    retry_errors: bool = False
    """Make failed predictions of an existing run again, and arms that were stopped for their errors or could not be
    prepared."""
    max_errors: ErrorBudget | None = None
    """When an arm that keeps failing is stopped; None: as the scenario says."""
    command: str = ""


class Watcher(Protocol):
    """Told what a run is doing; the terminal's progress display is one, a test's list another."""

    def stage(self, name: str, detail: str = "") -> None:
        """A new stage begins: `load`, `prepare ARM`, `answer ARM`, `latency`, `experiment NAME`, `verdict`."""

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        """Cases done in this stage and the running mean of the rule's metric."""

    def note(self, text: str) -> None:
        """Something that the user should see."""


class Silent:
    """A watcher that shows nothing."""

    def stage(self, name: str, detail: str = "") -> None:
        """Nothing."""

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
