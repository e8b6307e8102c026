"""What a worker of a cluster does for a run: settles its bench, prepares an arm, answers a share of an arm's cases.

Nothing here writes into a run folder, and nothing is decided here that the local engine would decide otherwise: these
are its own functions, called in another process. Weights and indexes are kept for the next call.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from harness import provenance
from harness.arms.bench import Bench
from harness.arms.registry import arm
from harness.engines.answering import Batch, Share, answer_cases
from harness.engines.local import Engine
from harness.errors import UserError
from harness.experiment.options import RunOptions, Silent
from harness.experiment.setup import build_bench
from harness.models.base import ModelDescription
from harness.models.device import machine
from harness.records import Choice, Recipe, Usage
from harness.retrieval.choose import ChosenRetrieval
from harness.retrieval.embed import Embedder
from harness.scenario import Scenario
from harness.store import RunFolder

MOST_BENCHES = 4
"""Benches that a worker keeps, the latest ones: each has its documents' index."""

_ENGINES: dict[str, Engine] = {}
_BENCHES: dict[str, Bench] = {}


@dataclass(frozen=True, slots=True)
class Kit:
    """All that a worker needs of a run."""

    key: str
    scenario: Scenario
    options: RunOptions
    engine: Engine
    engine_key: str
    """The same for runs that may share the engine, weights and all."""
    embedder: Embedder | None
    model_digest: str
    embedder_digest: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What is chosen before any arm is prepared, and what was seen of the model."""

    framing: Choice
    retrieval: ChosenRetrieval | None
    max_new_tokens: int
    model: ModelDescription
    device: str


@dataclass(frozen=True, slots=True)
class Made:
    """A prepared arm, with its adapter's files: name -> content."""

    recipe: Recipe
    usage: Usage
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Answered:
    """A share of an arm's answers."""

    batches: tuple[Batch, ...]
    usage: Usage


Chosen = tuple[Choice | None, ChosenRetrieval | None]
"""Framing and retrieval, as far as they were chosen earlier."""


def settle(kit: Kit, known: Chosen) -> Settled:
    """Choose the framing and the retrieval."""
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place))
        bench = _built(kit, folder, known)
        found = folder.read("retrieval.json", ChosenRetrieval) if folder.has("retrieval.json") else None
        framing = folder.read("framing.json", Choice)
    here = machine()
    return Settled(framing, found, bench.max_new_tokens, bench.model.description, f"{here.device} ({here.device_name})")


def prepare(kit: Kit, chosen: Settled, name: str, seed: int) -> Made:
    """Settle an arm on dev, and train it where it is trained."""
    bench = _bench(kit, chosen)
    with tempfile.TemporaryDirectory() as place:
        tuner = _engine(kit).tuner(
            Path(place),
            quick=kit.options.quick,
            seed=seed,
            wish=kit.scenario.tuning,
            use_cache=kit.options.use_cache,
        )
        start = time.perf_counter()
        with provenance.watched_memory() as memory:
            recipe = arm(name).prepare(replace(bench, tuner=tuner))
        usage = Usage(name, "prepare", time.perf_counter() - start, round(memory.mb, 1))
        return Made(recipe, usage, files_in(Path(place) / recipe.adapter) if recipe.adapter else {})


def answer(
    kit: Kit, chosen: Settled, prepared: tuple[Recipe, dict[str, bytes]], asked: tuple[frozenset[str], Share]
) -> Answered:
    """Answer a share of what is not done.

    Args:
        prepared: the arm's recipe and its adapter's files.
        asked: cases that are done, and which share of the others.
    """
    bench, (recipe, files), (done, share) = _bench(kit, chosen), prepared, asked
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        write_files(files, Path(place))
        adapter = Path(place) if recipe.adapter else None
        with _engine(kit).adapted(adapter), provenance.watched_memory() as memory:
            batches = tuple(
                answer_cases(
                    arm(recipe.arm),
                    recipe,
                    kit.scenario.cases,
                    bench=bench,
                    done=done,
                    alone=kit.options.retry_errors,
                    share=share,
                )
            )
    return Answered(batches, Usage(recipe.arm, "answer", time.perf_counter() - start, round(memory.mb, 1)))


def _engine(kit: Kit) -> Engine:
    """The engine of a run, loaded once for all runs on the same weights.

    Raises:
        UserError: other weights lie here under the model's name.
    """
    if kit.engine_key not in _ENGINES:
        if kit.engine.identity.digest != kit.model_digest:
            raise UserError(f"Under the name {kit.engine.identity.name} a worker has other weights than the driver.")
        _ENGINES[kit.engine_key] = kit.engine
    return _ENGINES[kit.engine_key]


def _bench(kit: Kit, chosen: Settled) -> Bench:
    """The bench with what was chosen; made once a worker."""
    if kit.key not in _BENCHES:
        with tempfile.TemporaryDirectory() as place:
            _BENCHES[kit.key] = _built(kit, RunFolder(Path(place)), (chosen.framing, chosen.retrieval))
        for old in list(_BENCHES)[:-MOST_BENCHES]:
            del _BENCHES[old]
    return _BENCHES[kit.key]


def _built(kit: Kit, folder: RunFolder, known: Chosen) -> Bench:
    for name, choice in zip(("framing.json", "retrieval.json"), known, strict=True):
        if choice is not None:
            folder.write(name, choice)
    if kit.embedder is not None and kit.embedder.digest != kit.embedder_digest:
        raise UserError(f"Under the name {kit.embedder.name} a worker has another embedder than the driver.")
    return build_bench(
        kit.scenario,
        model=_engine(kit).model,
        embedder=kit.embedder,
        folder=folder,
        options=kit.options,
        watcher=Silent(),
    )


def files_in(folder: Path) -> dict[str, bytes]:
    """An adapter's files: name -> content."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Put an adapter's files into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
