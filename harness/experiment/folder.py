"""Which folder a run is in: its key, a new folder or the one to go on with, and what is written first."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict

import msgspec

from harness import provenance
from harness.errors import RunFolderError
from harness.experiment.options import RunOptions
from harness.experiment.prepared import Prepared
from harness.experiment.probes.base import tuned_among
from harness.experiment.probes.seeds import seeds_wanted
from harness.generation.cache import CODE_VERSION
from harness.scenario import EndpointWish, Scenario, TuningWish
from harness.spool import digest_of
from harness.store import RunFolder, RunKey, StoredRule

OF_ENDPOINT = ("window", "length_field")
"""What is cut to fit a prompt, and what the server is told of the longest answer."""


def run_key(ready: Prepared, options: RunOptions) -> RunKey:
    """What this run is; two runs with the same key would make the same predictions."""
    scenario = ready.scenario
    parts = {
        "eval cases": digest_of(scenario.cases),
        "training examples": _digest(scenario.train),
        "documents": digest_of(scenario.documents),
        "instruction": scenario.instruction,
        "kind": scenario.kind.value,
        "labels": _digest(scenario.labels),
        "decision rule": scenario.rule.digest,
        "arms": ", ".join(ready.places.arms),
        "longest answer": str(scenario.max_new_tokens),
        "seed": str(scenario.seed),
        "quick": str(options.quick),
        "bakeoff's version": f"{provenance.versions().get('bakeoff-advisor', '')}, answers {CODE_VERSION}",
        "model": ready.engine.identity.digest,
        "embedder": ready.embedder.digest if ready.embedder else "",
    }
    parts |= {name: value for name, value in _wishes(scenario).items() if value}
    parts |= _of_endpoint(scenario.endpoint)
    if scenario.tuning != TuningWish():
        # Runs from before there were processes keep their key.
        said = asdict(scenario.tuning)
        parts["tuning"] = _digest({name: value for name, value in said.items() if name != "processes" or value})
    if scenario.held_to_schema:
        parts["held to schema"] = scenario.schema or "inferred"
    if scenario.repair or scenario.held_to_schema:
        parts["keys"] = _digest(scenario.keys)
    seeds = seeds_wanted(scenario, quick=options.quick)
    if seeds > 1 and tuned_among(ready.places.arms):
        parts["training seeds"] = str(seeds)
    if scenario.experiments.stop_early:
        parts["early stopping"] = "yes"
    if scenario.advice:
        parts["advice"] = scenario.advice.digest
    return RunKey(_digest(parts), parts, scenario.name, provenance.now(), str(scenario.folder.resolve()))


def _wishes(scenario: Scenario) -> dict[str, str | None]:
    """What is part of the key only where it is wished for, so that keys of runs without it stay what they were."""
    return {
        "held to labels": "yes" if scenario.held_to_labels else None,
        "repair": "yes" if scenario.repair else None,
        "reranker": scenario.reranker,
        "vector store": scenario.vector_store,
    }


def _of_endpoint(wish: EndpointWish | None) -> dict[str, str]:
    """Settings of an endpoint that change answers and are not in the model's digest, where they are not the usual ones;
    so a run that says nothing of them is one with the usual ones."""
    if wish is None:
        return {}
    usual = EndpointWish(wish.url, wish.model)
    settings = {name: (getattr(wish, name), getattr(usual, name)) for name in OF_ENDPOINT}
    return {f"{name} of the endpoint": str(value) for name, (value, default) in settings.items() if value != default}


def _digest(record: object) -> str:
    return hashlib.sha256(msgspec.json.encode(record)).hexdigest()


def folder_for(key: RunKey, scenario: Scenario, options: RunOptions) -> RunFolder:
    """The named folder, else the latest unfinished run of the same key, else a new one."""
    if options.out is not None:
        return RunFolder(options.out)
    for path in sorted(options.runs_folder.glob("*/run.json"), reverse=True):
        folder = RunFolder(path.parent)
        if not folder.has("verdict.json") and _has_key(folder, key):
            return folder
    stamp = key.created.replace("-", "").replace(":", "").replace("T", "-")[:15]
    name, number = f"{_file_name(scenario.name)}-{stamp}", 2
    path = options.runs_folder / name
    while path.exists():
        path, number = options.runs_folder / f"{name}-{number}", number + 1
    return RunFolder(path)


def _has_key(folder: RunFolder, key: RunKey) -> bool:
    with contextlib.suppress(RunFolderError):  # a damaged run is not the one to go on with
        return folder.key().key == key.key
    return False


def _file_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")
    return kept[:60] or "run"


def begin(folder: RunFolder, key: RunKey, ready: Prepared) -> None:
    """Write what this run is, or check that the folder is of the same run.

    Raises:
        RunFolderError: the folder holds something else.
    """
    if folder.has("run.json"):
        _same_run(folder, key)
        folder.mend()
    else:
        others = [p.name for p in folder.path.iterdir() if not p.name.startswith(".")]
        if others:
            raise RunFolderError(
                f"{folder.path} is not empty and holds no run (found {others[0]}). Name a new folder with --out."
            )
        folder.write("run.json", key)
    rule = ready.scenario.rule
    if not folder.has("rule.json"):
        folder.write("rule.json", StoredRule(rule, rule.digest))
    if not folder.has("cases.jsonl"):
        folder.write_lines("cases.jsonl", ready.scenario.cases)
    if ready.scenario.advice and not folder.has("advice.json"):
        folder.write("advice.json", ready.scenario.advice)
    if not folder.has("plan.json"):
        folder.write("plan.json", ready.plan)


def _same_run(folder: RunFolder, key: RunKey) -> None:
    old = folder.key()
    if old.key == key.key:
        return
    changed = [name for name in {**key.parts, **old.parts} if old.parts.get(name) != key.parts.get(name)]
    raise RunFolderError(
        f"{folder.path} holds another run: {', '.join(changed) or 'its key'} changed since it began. Name a new folder "
        "with --out, or put back what was changed."
    )
