"""The experiments of a run: which are on, what they take, answering them, and what they found."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import msgspec

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

    cannot: str = ""
    """What it lacks on this scenario; empty where it could be run."""
    broken: str = ""
    """Why it could not go on, such as an endpoint that was down: it is tried again by the next run."""
    added_later: bool = False
    """It was asked for when a verdict was there already."""
    inputs: str = ""
    """Digest of what it reads beside the main run's input."""


def wanted(scenario: Scenario, arms: Sequence[str], *, quick: bool) -> tuple[str, ...]:
    """Experiments that are on: seeds where arms are tuned more than once, then those asked for."""
    seeds = seeds_wanted(scenario, quick=quick) > 1 and bool(tuned_among(tuple(arms)))
    return (*((SeedsProbe.name,) if seeds else ()), *scenario.experiments.run)


def inputs_of(name: str, scenario: Scenario) -> str:
    """Digest of what an experiment reads that is no part of the main run's key."""
    asked = scenario.experiments
    parts: dict[str, object] = {
        "learning_curve": (),
        "facts_change": scenario.after,
        "harm": (asked.cases, _general()),
        "consistency": (asked.cases, scenario.rewordings),
        "retrieval": asked.cases,
        "form": (asked.cases, scenario.schema, scenario.keys),
        "judge": (asked.cases, asked.judge, scenario.human_labels),
    }
    return hashlib.sha256(msgspec.json.encode(parts.get(name, ()))).hexdigest()[:32]


def _general() -> str:
    data = files("harness.experiment.probes").joinpath("general.jsonl").read_bytes()
    return hashlib.sha256(data).hexdigest()


def pending(folder: RunFolder, ready: Prepared, options: RunOptions) -> tuple[str, ...]:
    """Experiments that are on and not done yet, or done on other input, or broke."""
    names = wanted(ready.scenario, ready.places.arms, quick=options.quick)
    return tuple(name for name in names if not _stands(folder, name, ready.scenario))


def _stands(folder: RunFolder, name: str, scenario: Scenario) -> bool:
    if not _is_done(folder, name):
        return False
    done = folder.read(f"experiments/{name}/done.json", Done)
    return not done.broken and done.inputs == inputs_of(name, scenario)


def run_experiments(ground: Ground) -> None:
    """Answer every experiment that is on; one that breaks costs only itself."""
    folder, scenario = ground.folder, ground.scenario
    later = folder.has("verdict.json") or bool(folder.provenance().taken_from)
    stored = folder.scenario()
    names = wanted(scenario, stored.arms, quick=ground.options.quick)
    known = (*stored.experiments, *(name for name in names if name not in stored.experiments))
    if known != stored.experiments:
        folder.write("scenario.json", replace(stored, experiments=known))
    for name in names:
        if not _stands(folder, name, scenario):
            _run_one(name, ground, later=later)


def _run_one(name: str, ground: Ground, *, later: bool) -> None:
    folder, one = ground.folder, probe(name)
    place, inputs = f"experiments/{name}", inputs_of(name, ground.scenario)
    begun = folder.read(f"{place}/begun.json", str) if folder.has(f"{place}/begun.json") else inputs
    if begun != inputs:  # answers to other input are no part of this
        shutil.rmtree(folder.path / place)
    folder.write(f"{place}/begun.json", inputs)
    cannot = one.missing(ground.scenario, tuple(ground.recipes)) or ""
    broken = "" if cannot else answer_probe(one, ground)
    folder.write(f"{place}/done.json", Done(cannot, broken, later and name != SeedsProbe.name, inputs))


def findings(folder: RunFolder) -> tuple[Finding, ...]:
    """What the run's experiments found, from their answers; no model."""
    return tuple(_finding(folder, name) for name in folder.scenario().experiments if _is_done(folder, name))


def _is_done(folder: RunFolder, name: str) -> bool:
    return folder.has(f"experiments/{name}/done.json")


def _finding(folder: RunFolder, name: str) -> Finding:
    done = folder.read(f"experiments/{name}/done.json", Done)
    why = done.cannot or done.broken
    if why:
        return Finding(name, (f"It could not be run: {why}",), could_not=why)
    found = probe(name).finding(Evidence(folder, name))
    return replace(found, added_later=done.added_later)
