"""A scenario on its way into a run."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engines.local import Engine
from harness.experiment.plan import Plan
from harness.experiment.setup import Lineup
from harness.retrieval.embed import Embedder
from harness.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario that is ready to run: leaks out, arms lined up, planned."""

    scenario: Scenario
    places: Lineup
    plan: Plan
    engine: Engine
    embedder: Embedder | None
