"""Eval cases in batches: what arms will ask an endpoint is sent before they ask it, an arm a batch, all at once.

The answers lie in the run's ledger afterwards, where the arms find them as they find answers of a run that was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.arms.registry import arm
from harness.engines.answering import open_prompts
from harness.engines.endpoint import EndpointEngine
from harness.experiment.probes.base import Ground
from harness.experiment.retry import kept
from harness.models.endpoint import EndpointJob
from harness.records import Recipe
from harness.scenario import Case


def ask_ahead(ground: Ground, recipes: Iterable[Recipe], cases: Sequence[Case]) -> None:
    """Send the open cases of these arms and wait for what comes; nothing happens where batches are not wanted.

    Raises:
        RunStopped: the budget is spent, a batch expired, or the endpoint is not heard of any more.
    """
    engine, retry = ground.engine, ground.options.retry_errors
    if not isinstance(engine, EndpointEngine):
        return
    batches = engine.batches
    if retry:
        engine.model.state.failed.clear()
    if batches.idle:
        return
    predictions = ground.folder.predictions()
    for recipe in recipes:
        known = kept(predictions.get(recipe.arm, {}), retry=retry)
        done = frozenset(case.id for case in cases if case.id in known)
        with engine.adapted(ground.folder.path / recipe.adapter if recipe.adapter else None):
            found = open_prompts(arm(recipe.arm), recipe, cases, bench=ground.bench, done=done)
            if found is not None and isinstance(found[0], EndpointJob):
                batches.add(recipe.arm, found[0], found[1])
    if batches.busy:
        ground.watcher.stage("batches")
        batches.settle(ground.watcher)
