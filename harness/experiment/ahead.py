"""Eval cases in batches: what arms will ask an endpoint is sent before they ask it, an arm a batch, all at once.

The answers lie in the run's ledger afterwards, where the arms find them as they find answers of a run that was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.arms.registry import arm
from harness.engines.answering import open_prompts
from harness.engines.endpoint import EndpointEngine
from harness.experiment.probes.base import Ground
from harness.experiment.retry import kept
from harness.lines import in_parts
from harness.models.batch_server import MOST_REQUESTS
from harness.models.endpoint import EndpointJob
from harness.records import Recipe
from harness.scenario import Case


def ask_ahead(ground: Ground, recipes: Iterable[Recipe], cases: Sequence[Case], *, last: bool) -> None:
    """Send the open cases of these arms and wait for what comes; nothing happens where batches are not wanted.

    Args:
        last: no further cases will come.

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
    batches.gives_up = retry
    arms, told = {recipe.arm: recipe for recipe in recipes}, False
    to_ask = dict.fromkeys(arms, False)
    while to_ask:
        for _ in _added(ground, engine, [(arms[name], alone) for name, alone in to_ask.items()], cases):
            if batches.busy and not told:
                told = True
                ground.watcher.stage("batches")
            batches.send(ground.watcher, cases=len(ground.bench.scenario.cases))
        if batches.busy:
            batches.settle(ground.watcher, last=last)
        again = batches.again
        to_ask, batches.again = {name: again[name] for name in arms if name in again}, {}


def _added(
    ground: Ground, engine: EndpointEngine, asked: Iterable[tuple[Recipe, bool]], cases: Sequence[Case]
) -> Iterator[None]:
    """Add these arms' open prompts part by part; none is held longer than until it is sent."""
    predictions = ground.folder.predictions()
    for recipe, alone in asked:
        known = kept(predictions.get(recipe.arm, {}), retry=ground.options.retry_errors)
        for part in in_parts(cases, MOST_REQUESTS):
            done = frozenset(case.id for case in part if case.id in known)
            if len(done) < len(part):
                _add(ground, engine, recipe, part, done=done, alone=alone)
            yield


def _add(
    ground: Ground, engine: EndpointEngine, recipe: Recipe, cases: Sequence[Case], *, done: frozenset[str], alone: bool
) -> None:
    with engine.adapted(ground.folder.path / recipe.adapter if recipe.adapter else None):
        found = open_prompts(arm(recipe.arm), recipe, cases, bench=ground.bench, done=done)
        if found is not None and isinstance(found[0], EndpointJob):
            engine.batches.add(recipe.arm, found[0], found[1], alone=alone)
