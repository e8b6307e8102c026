"""The experiments of a run: which are on, what they take, answering them, and what they found."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import msgspec

from harness.engines.fine_tuning import NO_LIMIT
from harness.experiment.options import RunOptions
from harness.experiment.prepared import Prepared
from harness.experiment.probes.answer import answer_probe
from harness.experiment.probes.base import Ground, tuned_among
from harness.experiment.probes.read import Done, Evidence
from harness.experiment.probes.registry import probe
from harness.experiment.probes.seeds import SeedsProbe, seeds_wanted
from harness.experiment.probes.words import cause
from harness.generation.isolation import attempt, said
from harness.records import Finding
from harness.scenario import JudgeWish, Scenario
from harness.store import RunFolder


def wanted(scenario: Scenario, arms: Sequence[str], *, quick: bool) -> tuple[str, ...]:
    """Experiments that are on: seeds where arms are tuned more than once, then those asked for."""
    seeds = seeds_wanted(scenario, quick=quick) > 1 and bool(tuned_among(tuple(arms)))
    return (*((SeedsProbe.name,) if seeds else ()), *scenario.experiments.run)


NEED_WEIGHTS = ("documents_in_weights", "full_tuning", "seeds")
"""Experiments that train the model whatever the arms."""


def cannot_run(name: str, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
    """Why an experiment cannot be run on this scenario with these arms; None where it can."""
    if scenario.endpoint is not None and name in NEED_WEIGHTS:
        if name == SeedsProbe.name and scenario.endpoint.fine_tuning is not None:
            return NO_LIMIT if scenario.endpoint.max_cost is None else probe(name).missing(scenario, arms)
        return "it trains the model, and the model answers behind an endpoint: its weights are not here"
    return probe(name).missing(scenario, arms)


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
        "judge": (asked.cases, _who(asked.judge), scenario.human_labels),
    }
    return hashlib.sha256(msgspec.json.encode(parts.get(name, ()))).hexdigest()[:32]


def _who(judge: JudgeWish) -> dict[str, str | None]:
    """Who judges; what that costs is no part of it."""
    return {"model": judge.model, "endpoint": judge.endpoint, "key_variable": judge.key_variable}


def _general() -> str:
    data = files("harness.experiment.probes").joinpath("general.jsonl").read_bytes()
    return hashlib.sha256(data).hexdigest()


def pending(folder: RunFolder, ready: Prepared, options: RunOptions) -> tuple[str, ...]:
    """Experiments that are on and not done yet, or done on other input, or broke, if only in part."""
    names = wanted(ready.scenario, ready.places.arms, quick=options.quick)
    return tuple(name for name in names if not _is_settled(folder, name, inputs_of(name, ready.scenario)))


def stands(folder: RunFolder, name: str) -> bool:
    """Whether an experiment of this run could be run and was answered whole, on the input that it was begun with."""
    if name not in folder.scenario().experiments or not _is_done(folder, name):
        return False
    begun = f"experiments/{name}/begun.json"
    done = _done(folder, name)
    inputs = folder.read(begun, str) if folder.has(begun) else done.inputs
    return not done.cannot and _is_settled(folder, name, inputs)


def _is_settled(folder: RunFolder, name: str, inputs: str) -> bool:
    """Whether nothing is left to be run: it is done on this input, or known to be impossible."""
    if not _is_done(folder, name):
        return False
    done = _done(folder, name)
    return not done.broken and done.inputs == inputs


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
        if not _is_settled(folder, name, inputs_of(name, scenario)):
            _run_one(name, ground, later=later)


def _run_one(name: str, ground: Ground, *, later: bool) -> None:
    folder, one = ground.folder, probe(name)
    place, inputs = f"experiments/{name}", inputs_of(name, ground.scenario)
    begun = folder.read(f"{place}/begun.json", str) if folder.has(f"{place}/begun.json") else inputs
    if begun != inputs:  # answers to other input are no part of this
        shutil.rmtree(folder.path / place)
    folder.write(f"{place}/begun.json", inputs)
    # What broke and is tried again was asked for when it was first begun.
    later = _done(folder, name).added_later if _is_done(folder, name) else later and name != SeedsProbe.name
    cannot = cannot_run(name, ground.scenario, tuple(ground.recipes)) or ""
    done = Done(cannot) if cannot else answer_probe(one, ground)
    folder.write(f"{place}/done.json", replace(done, added_later=later, inputs=inputs))
    if done.broken:
        part = "Part of the experiment" if done.partly else "The experiment"
        ground.watcher.note(f"{part} {name} could not be run: {cause(done.broken)}. {AGAIN}")


def findings(folder: RunFolder) -> tuple[Finding, ...]:
    """What the run's experiments found, from their answers; no model."""
    return tuple(_finding(folder, name) for name in folder.scenario().experiments if _is_done(folder, name))


def _is_done(folder: RunFolder, name: str) -> bool:
    return folder.has(f"experiments/{name}/done.json")


def _done(folder: RunFolder, name: str) -> Done:
    return folder.read(f"experiments/{name}/done.json", Done)


AGAIN = "The same command tries it again."


def _finding(folder: RunFolder, name: str) -> Finding:
    """What it found; where that cannot be worked out, why. An experiment never costs more than itself."""
    done = _done(folder, name)
    # What broke off says nothing, but for seeds: what was answered of them is part of the verdict.
    why = done.cannot or ("" if done.partly or name == SeedsProbe.name else done.broken)
    if why:
        return Finding(name, (f"It could not be run: {why}",), could_not=why)
    found = attempt(lambda: probe(name).finding(Evidence(folder, name)))
    if isinstance(found, Exception):
        why = said(found)
        return Finding(name, (f"What it answered could not be worked out: {why}",), could_not=why)
    return replace(_as_far_as_run(found, done), added_later=done.added_later)


def _as_far_as_run(found: Finding, done: Done) -> Finding:
    """The finding, and that something is missing from it where that is so."""
    if not done.broken:
        return found
    if not found.readings:
        why = f"It could not be run: {done.broken}"
        return replace(found, sentences=(why, *found.bearing), could_not=done.broken)
    return replace(found, sentences=(*found.sentences, f"Not all of it could be run: {cause(done.broken)}. {AGAIN}"))
