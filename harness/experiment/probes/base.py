"""What an experiment is: variants of arms that answer beside the main run, and a finding read from their answers.

An experiment never changes a prediction of the main run. Its variants are answered into folders of their own
(`experiments/NAME/VARIANT/`, made like a run folder), so they can be stopped and continued, and its finding is
computed from what lies there without a model, each time a verdict is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.arms.base import Arm
from harness.arms.bench import Bench
from harness.arms.registry import arm as arm_named
from harness.engines.local import Engine
from harness.errors import BakeoffError
from harness.experiment.options import RunOptions, Watcher
from harness.experiment.probes.read import Evidence
from harness.records import CONTROL, Finding, Recipe
from harness.scenario import Case, Scenario
from harness.store import RunFolder


class PartlyAnswered(BakeoffError):
    """Some of an experiment's answers could not be had; the others are kept, and the next run asks for the rest."""


QUICK_CASES = 40
"""Most eval cases of an experiment that does not decide, in a quick run."""


@dataclass(frozen=True)
class Ground:
    """What an experiment stands on: the main run, its bench and its settled arms."""

    folder: RunFolder
    bench: Bench
    engine: Engine
    recipes: dict[str, Recipe]
    options: RunOptions
    watcher: Watcher

    @property
    def scenario(self) -> Scenario:
        """The scenario of the run."""
        return self.bench.scenario

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms of the main run, without the control."""
        return tuple(name for name in self.recipes if name != CONTROL)

    @property
    def tuned(self) -> tuple[str, ...]:
        """Arms that have an adapter."""
        return tuple(name for name in self.arms if self.recipes[name].adapter)

    @property
    def cases(self) -> Sequence[Case]:
        """The eval cases that experiments answer: all, or as many as the scenario allows, drawn with the seed."""
        return some_cases(self.scenario, quick=self.options.quick)

    def as_run(self, arm: str, condition: str, *, cases: Sequence[Case], bench: Bench | None = None) -> Variant:
        """The arm as the main run settled it, under a condition."""
        return Variant(arm, condition, arm_named(arm), cases, bench or self.bench, recipe=self.recipes[arm])


def some_cases(scenario: Scenario, *, quick: bool) -> Sequence[Case]:
    """At most `[experiments] cases` (40 in a quick run), in eval order."""
    most = min(scenario.experiments.cases, QUICK_CASES) if quick else scenario.experiments.cases
    if len(scenario.cases) <= most:
        return scenario.cases
    chosen = set(random.Random(scenario.seed).sample(range(len(scenario.cases)), most))
    return tuple(case for place, case in enumerate(scenario.cases) if place in chosen)


@dataclass(frozen=True)
class Variant:
    """One arm under one condition."""

    arm: str
    condition: str
    how: Arm
    cases: Sequence[Case]
    bench: Bench
    recipe: Recipe | None = None
    """As settled in the main run; None: prepared, and tuned, for this condition."""
    seed: int = 0
    """Training seed, where it is tuned for this condition."""
    size: float = 0.0
    """The condition as a number, such as training examples."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What an experiment takes, in units of the main run: a training of a tuned arm, and an arm's answers to all
    cases."""

    trainings: float = 0.0
    answers: float = 0.0
    what: str = ""


class Probe(Protocol):
    """One experiment."""

    name: str
    question: str
    """What it asks, as a heading."""

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Why it cannot be run on this scenario with these arms; None where it can."""

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """What it will take."""

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """What is answered; made one by one, so that each is answered before the next is prepared."""

    def finding(self, evidence: Evidence) -> Finding:
        """What the answers say. No model."""


TUNED = ("lora", "rag_lora")


def tuned_among(arms: tuple[str, ...]) -> tuple[str, ...]:
    """Arms that are tuned."""
    return tuple(name for name in arms if name in TUNED)


def share_of_cases(scenario: Scenario, *, quick: bool) -> float:
    """Share of the eval cases that experiments answer."""
    return len(some_cases(scenario, quick=quick)) / max(1, len(scenario.cases))
