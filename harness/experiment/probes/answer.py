"""Answering an experiment's variants, each into its own folder; continued where it was stopped."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

from harness import provenance
from harness.engines.answering import answer_cases
from harness.experiment.probes.base import Ground, Probe, Variant
from harness.experiment.probes.read import VariantRecord
from harness.generation.isolation import attempt, said
from harness.models.bundled import file_digest
from harness.records import Recipe, Usage
from harness.store import RunFolder

LARGE = ("full_tuning",)
"""Arms whose weights are a whole model: they are deleted once they have answered."""

ADAPTER_FILE = "adapter_model.safetensors"


def answer_probe(probe: Probe, ground: Ground) -> str:
    """Answer every variant of an experiment; a sentence where the experiment itself broke, else empty.

    A variant that cannot be prepared is recorded with its reason and costs only itself.
    """
    home = ground.folder.path / "experiments" / probe.name
    broken = attempt(lambda: _answer_all(probe, ground, home))
    return said(broken) if isinstance(broken, Exception) else ""


def _answer_all(probe: Probe, ground: Ground, home: Path) -> None:
    for number, variant in enumerate(probe.variants(ground)):
        ground.watcher.stage(f"experiment {probe.name}", f"{variant.arm}, {variant.condition}")
        answer_variant(variant, ground, RunFolder(home / _slug(variant)), number=number)


def _slug(variant: Variant) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{variant.arm} {variant.condition}".casefold()).strip("-")[:60]


def answer_variant(variant: Variant, ground: Ground, place: RunFolder, *, number: int) -> None:
    """Prepare where needed, then answer what is not answered yet."""
    place.path.mkdir(parents=True, exist_ok=True)
    place.mend()
    record = VariantRecord(variant.arm, variant.condition, number, variant.seed, variant.size)
    recipe = _recipe(variant, ground, place)
    if isinstance(recipe, Exception):
        place.write("variant.json", replace(record, failed=said(recipe)))
        return
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
    with ground.engine.adapted(adapter), provenance.watched_memory() as memory:
        for batch in answer_cases(variant.how, recipe, variant.cases, bench=variant.bench, done=done):
            made = [replace(p, arm=variant.arm) for p in batch.predictions]
            place.append("passages.jsonl", [p for p in batch.passages if p.id not in known])
            known.update(p.id for p in batch.passages)
            place.append("predictions.jsonl", made)
            count += len(made)
            ground.watcher.progress(count, total)
    seconds = time.perf_counter() - start
    place.append("usage.jsonl", [Usage(variant.arm, "answer", seconds, round(memory.mb, 1))])


def _recipe(variant: Variant, ground: Ground, place: RunFolder) -> Recipe | Exception:
    """What the arm settled: in the main run, earlier in this folder, or now."""
    if variant.recipe is not None:
        place.write(f"recipes/{variant.arm}.json", variant.recipe)
        return variant.recipe
    kept = place.recipe(variant.arm)
    answered = len(place.predictions().get(variant.arm, {})) == len(variant.cases)
    if kept is not None and (answered or _is_whole(place, kept)):
        return kept
    options, scenario = ground.options, variant.bench.scenario
    tuner = ground.engine.tuner(
        place.path, quick=options.quick, seed=variant.seed, wish=scenario.tuning, use_cache=options.use_cache
    )
    bench = replace(variant.bench, tuner=tuner)
    start = time.perf_counter()
    with provenance.watched_memory() as memory:
        made = attempt(lambda: variant.how.prepare(bench))
    place.append("usage.jsonl", [Usage(variant.arm, "prepare", time.perf_counter() - start, round(memory.mb, 1))])
    if not isinstance(made, Exception):
        place.write(f"recipes/{variant.arm}.json", made)
    return made


def _is_whole(place: RunFolder, recipe: Recipe) -> bool:
    if recipe.adapter is None:
        return True
    weights = place.path / recipe.adapter / ADAPTER_FILE
    return weights.is_file() and file_digest(weights) == recipe.adapter_digest
