"""The seam between an approach and everything it shares with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.records import Passage, Recipe
from harness.scenario import Case

if TYPE_CHECKING:
    from harness.arms.bench import Bench


@dataclass(frozen=True, slots=True)
class Request:
    """What an arm brings to one case; the bench makes the prompt of it."""

    shots: tuple[Case, ...] = ()
    passages: tuple[Passage, ...] = ()
    fixed: str | None = None
    """An answer that needs no model."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an arm cannot do without."""

    train: bool = False
    documents: bool = False
    embedder: bool = False
    tuning: bool = False


class Arm(Protocol):
    """One approach. It settles everything on dev (`prepare`), then says what each case's prompt holds (`requests`)."""

    name: str
    needs: Needs

    def prepare(self, bench: Bench) -> Recipe:
        """Choose settings on dev, tune where the arm tunes. Never sees an eval case."""

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """What to put into each case's prompt; `fresh` bypasses caches, so that the real work can be timed."""
