"""The experiments of a run: which are on, what they take, answering them, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.experiment.options import RunOptions
from harness.experiment.prepared import Prepared
from harness.experiment.probes.answer import answer_probe
from harness.experiment.probes.base import Ground, tuned_among
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.registry import probe
from harness.experiment.probes.seeds import SeedsProbe, seeds_wanted
from harness.records import Finding
from harness.scenario import Scenario
from harness.store import RunFolder


@dataclass(frozen=True, slots=True)
class Done:
    """An experiment's variants are answered, as far as they could be."""

    broken: str = ""
    """Why the experiment as a whole could not go on; empty where it could."""
    added_later: bool = False
    """It was asked for when a verdict was there already."""


def wanted(scenario: Scenario, arms: Sequence[str], *, quick: bool) -> tuple[str, ...]:
    """Experiments that are on: seeds where arms are tuned more than once, then those asked for."""
    seeds = seeds_wanted(scenario, quick=quick) > 1 and bool(tuned_among(tuple(arms)))
    return (*((SeedsProbe.name,) if seeds else ()), *scenario.experiments.run)


def pending(folder: RunFolder, ready: Prepared, options: RunOptions) -> tuple[str, ...]:
    """Experiments that are on and not done yet."""
    names = wanted(ready.scenario, ready.places.arms, quick=options.quick)
    return tuple(name for name in names if not folder.has(f"experiments/{name}/done.json"))


def run_experiments(ground: Ground) -> None:
    """Answer every experiment that is on; one that breaks costs only itself."""
    folder = ground.folder
    later = folder.has("verdict.json")
    stored = folder.scenario()
    names = wanted(ground.scenario, tuple(ground.recipes), quick=ground.options.quick)
    known = (*stored.experiments, *(name for name in names if name not in stored.experiments))
    if known != stored.experiments:
        folder.write("scenario.json", replace(stored, experiments=known))
    for name in names:
        if folder.has(f"experiments/{name}/done.json"):
            continue
        one = probe(name)
        why = one.missing(ground.scenario, tuple(ground.recipes))
        broken = why if why else answer_probe(one, ground)
        folder.write(f"experiments/{name}/done.json", Done(broken, later and name != SeedsProbe.name))


def findings(folder: RunFolder) -> tuple[Finding, ...]:
    """What the run's experiments found, from their answers; no model."""
    return tuple(_finding(folder, name) for name in folder.scenario().experiments if _is_done(folder, name))


def _is_done(folder: RunFolder, name: str) -> bool:
    return folder.has(f"experiments/{name}/done.json")


def _finding(folder: RunFolder, name: str) -> Finding:
    done = folder.read(f"experiments/{name}/done.json", Done)
    if done.broken:
        return Finding(name, (f"It could not be run: {done.broken}",), could_not=done.broken)
    return replace(probe(name).finding(Evidence(folder, name)), added_later=done.added_later)
