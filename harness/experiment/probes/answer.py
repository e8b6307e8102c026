"""Answering an experiment's variants, each into its own folder; continued where it was stopped."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

from harness import provenance
from harness.engines.adapters import is_whole
from harness.engines.answering import answer_cases
from harness.errors import ArmFailed, stop_where_short
from harness.experiment.budget import Tally
from harness.experiment.probes.base import Ground, PartlyAnswered, Probe, Variant
from harness.experiment.probes.read import Done, VariantRecord
from harness.generation.isolation import attempt, said
from harness.records import Recipe, Usage
from harness.store import RunFolder

LARGE = ("full_tuning",)
"""Arms whose weights are a whole model: they are deleted once they have answered."""

MOST_CAUSES = 3
"""Different causes that are named where several variants fail."""


def answer_probe(probe: Probe, ground: Ground) -> Done:
    """Answer every variant of an experiment; how that ended.

    A variant that fails is recorded with its reason and costs only itself. The experiment then counts as broken in
    part: the next run keeps what is answered and tries the rest again.
    """
    home = ground.folder.path / "experiments" / probe.name
    failed = attempt(lambda: _answer_all(probe, ground, home))
    if isinstance(failed, PartlyAnswered):
        return Done(broken=str(failed), partly=True)
    if isinstance(failed, Exception):
        return Done(broken=said(failed))
    return Done(broken="; ".join(tuple(dict.fromkeys(failed))[:MOST_CAUSES]), partly=bool(failed))


def _answer_all(probe: Probe, ground: Ground, home: Path) -> list[str]:
    """Why each of the variants that failed did."""
    failed = []
    for number, variant in enumerate(probe.variants(ground)):
        ground.watcher.stage(f"experiment {probe.name}", f"{variant.arm}, {variant.condition}")
        failed.append(
            answer_variant(variant, ground, RunFolder(home / slug(variant.arm, variant.condition)), number=number)
        )
    return [why for why in failed if why]


def slug(arm: str, condition: str) -> str:
    """Name of the folder of an arm under a condition."""
    return re.sub(r"[^a-z0-9]+", "-", f"{arm} {condition}".casefold()).strip("-")[:60]


def answer_variant(variant: Variant, ground: Ground, place: RunFolder, *, number: int) -> str:
    """Prepare where needed, then answer what is not answered yet; why that failed, empty where it did not."""
    place.path.mkdir(parents=True, exist_ok=True)
    place.mend()
    record = VariantRecord(variant.arm, variant.condition, number, variant.seed, variant.size)
    failed = attempt(lambda: _prepare_and_answer(variant, ground, place, record))
    if not isinstance(failed, Exception):
        return ""
    place.write("variant.json", replace(record, failed=said(failed)))
    return said(failed)


def _prepare_and_answer(variant: Variant, ground: Ground, place: RunFolder, record: VariantRecord) -> None:
    recipe = _recipe(variant, ground, place)
    if not place.has("cases.jsonl"):
        place.write_lines("cases.jsonl", variant.cases)
    place.write("variant.json", record)
    done = place.predictions().get(variant.arm, {})
    if len(done) < len(variant.cases):
        root = ground.folder.path if variant.recipe is not None else place.path
        adapter = root / recipe.adapter if recipe.adapter else None
        _answer(variant, recipe, ground, place=place, adapter=adapter)
        if variant.recipe is None and adapter is not None and variant.arm in LARGE:
            shutil.rmtree(adapter, ignore_errors=True)


def _answer(variant: Variant, recipe: Recipe, ground: Ground, *, place: RunFolder, adapter: Path | None) -> None:
    done = frozenset(place.predictions().get(variant.arm, {}))
    start, count, total = time.perf_counter(), len(done), len(variant.cases)
    known = set(place.passages())
    tally = Tally(variant.arm, ground.options.max_errors or ground.scenario.max_errors, of=total - count)
    over = None
    with ground.engine.adapted(adapter), provenance.watched_memory() as memory:
        for batch in answer_cases(variant.how, recipe, variant.cases, bench=variant.bench, done=done):
            made = [replace(p, arm=variant.arm) for p in batch.predictions]
            place.append("passages.jsonl", [p for p in batch.passages if p.id not in known])
            known.update(p.id for p in batch.passages)
            place.append("predictions.jsonl", made)
            count += len(made)
            ground.watcher.progress(count, total)
            over = tally.count(made)
            if over is not None:
                break
    seconds = time.perf_counter() - start
    place.append("usage.jsonl", [Usage(variant.arm, "answer", seconds, round(memory.mb, 1))])
    if over is not None:
        raise ArmFailed(f"it was {over.reason}")


def _recipe(variant: Variant, ground: Ground, place: RunFolder) -> Recipe:
    """What the arm settled: in the main run, earlier in this folder, or now. What failed counts no time."""
    if variant.recipe is not None:
        place.write(f"recipes/{variant.arm}.json", variant.recipe)
        return variant.recipe
    kept = place.recipe(variant.arm)
    answered = len(place.predictions().get(variant.arm, {})) == len(variant.cases)
    if kept is not None and (answered or is_whole(place.path, kept)):
        return kept
    options, scenario = ground.options, variant.bench.scenario
    tuner = ground.engine.tuner(
        place.path, quick=options.quick, seed=variant.seed, wish=scenario.tuning, use_cache=options.use_cache
    )
    bench = replace(variant.bench, tuner=tuner)
    start = time.perf_counter()
    with provenance.watched_memory() as memory:
        made = attempt(lambda: variant.how.prepare(bench))
    if isinstance(made, Exception):
        stop_where_short(made, f"while {variant.arm} was prepared for an experiment")
        raise made
    place.append("usage.jsonl", [Usage(variant.arm, "prepare", time.perf_counter() - start, round(memory.mb, 1))])
    place.write(f"recipes/{variant.arm}.json", made)
    return made
