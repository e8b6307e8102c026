"""Several runs at once on a cluster: preparing and answering are done there, everything else here, as ever.

The cluster fills run folders, and the main flow then goes on with them as with runs that were stopped: it times single
requests on this machine alone, runs the experiments and draws the verdict. What the cluster could not do is done here.
Only this process writes a run folder.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from harness.arms.bench import Bench
from harness.arms.registry import arm
from harness.engines.adapters import is_whole
from harness.engines.answering import Batch
from harness.engines.local import LocalEngine
from harness.engines.ray_cluster import Cluster, Failed, Shared, Unit, cluster
from harness.errors import UserError
from harness.experiment import cluster_work
from harness.experiment.budget import Tally, keep_over_budget, over_budget
from harness.experiment.cluster_work import Answered, Kit, Made, Settled
from harness.experiment.experiments import pending
from harness.experiment.many import Asked, sharing_weights, told
from harness.experiment.options import Watcher
from harness.experiment.probes.answer import slug
from harness.experiment.probes.base import tuned_among
from harness.experiment.probes.seeds import SeedsProbe, condition_of, seeds_wanted
from harness.experiment.retry import kept
from harness.experiment.run import (
    Finished,
    Opened,
    complete,
    look_back,
    note_duration,
    opened,
    remembered,
)
from harness.experiment.setup_record import write_setup
from harness.experiment.split import split_dev
from harness.generation.prompts import Framing
from harness.models.base import ModelDescription, TextModel
from harness.publish import numbers
from harness.records import Choice, Prediction, Recipe
from harness.retrieval.choose import ChosenRetrieval
from harness.store import RunFolder

FEWEST_CASES = 32
"""Cases of a share, at least: it builds the prompts of all cases to know the batches."""
SHARES_A_WORKER = 2
SETTLE, TUNE, PREPARE, ANSWER = 3, 2, 1, 0
"""Urgency: what others wait for first, then what takes longest."""
WORK: dict[str, Callable[..., object]] = {
    "settle": cluster_work.settle,
    "prepare": cluster_work.prepare,
    "answer": cluster_work.answer,
}


def refuse_on_cluster(asked: Asked) -> None:
    """Say what a cluster is not for.

    Raises:
        UserError: the run stops arms early, its model answers behind an endpoint, or several processes are to tune it.
    """
    scenario = asked.ready.scenario
    if scenario.experiments.stop_early:
        raise UserError(
            "--stop-early looks at the answers between shares of the cases, one after the other, which --engine ray "
            "answers at once. Leave one of the two out."
        )
    if scenario.endpoint is not None:
        raise UserError(
            "--engine ray is for weights on the cluster's machines; a model behind an endpoint is asked many things "
            "at once from here. Leave --engine ray out."
        )
    if scenario.tuning.processes not in (None, 1):
        raise UserError(
            f"processes = {scenario.tuning.processes} under [tuning] has several GPUs of one machine share a model, "
            "and a worker of --engine ray has one. Leave one of the two out."
        )


def run_on_cluster(runs: Sequence[Asked], *, address: str | None, watcher: Watcher) -> list[Finished | Exception]:
    """Every run's verdict, or why there is none; one that fails does not stop the others.

    Raises:
        UserError: there is no Ray, or no cluster.
    """
    found: dict[int, Finished | Exception] = {}
    with contextlib.ExitStack() as held:
        fillings: dict[int, _Filling] = {}
        for number, one in enumerate(sharing_weights(runs)):
            begun = told(partial(_opened, one, held, watcher))
            if isinstance(begun, Exception):
                found[number] = begun
            else:
                fillings[number] = _Filling(one, begun)
        open_ = [one for one in fillings.values() if not one.begun.settled]
        if open_:
            with cluster(address) as workers:
                _fill(open_, workers, watcher)
        for number, filling in fillings.items():
            found[number] = told(partial(_completed, filling, watcher)) if filling.ended is None else filling.ended
    return [found[number] for number in range(len(runs))]


def _opened(one: Asked, held: contextlib.ExitStack, watcher: Watcher) -> Opened:
    refuse_on_cluster(one)
    return held.enter_context(opened(one.ready, options=one.options, watcher=watcher))


def _completed(one: _Filling, watcher: Watcher) -> Finished:
    look_back(one.begun, one.asked.ready, one.asked.options)
    # What the cluster did took none of this machine's time: it must not teach later plans.
    finished = complete(replace(one.begun, resumed=True), one.asked.ready, options=one.asked.options, watcher=watcher)
    return remembered(finished, options=one.asked.options, watcher=watcher)


def _fill(fillings: Sequence[_Filling], workers: Cluster, watcher: Watcher) -> None:
    many = f"{numbers.counted(len(fillings), 'run')} on {numbers.counted(len(workers.workers), 'Ray worker')}"
    watcher.stage("cluster", many)
    start = time.perf_counter()
    board = _Board(watcher)
    try:
        workers.run([unit for one in fillings for unit in one.begin(workers, board)])
    finally:
        for one in fillings:
            if one.ended is None and one.folder.has("provenance.json"):
                note_duration(one.folder, time.perf_counter() - start)
    if workers.lost:
        watcher.note(
            f"{numbers.counted(workers.lost, 'task')} went down with a worker of the cluster and was made again."
        )


@dataclass
class _Board:
    """How far all runs are together."""

    watcher: Watcher
    done: int = 0
    total: int = 0

    def more(self, *, done: int = 0, total: int = 0) -> None:
        self.done, self.total = self.done + done, self.total + total
        self.watcher.progress(self.done, self.total)


@dataclass(frozen=True)
class _Place:
    """An arm of a run, or one of its further training seeds, and where its answers go."""

    folder: RunFolder
    arm: str
    seed: int
    tally: Tally | None = None
    """Of the main run's arms."""
    passages: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


@dataclass
class _Filling:
    """One run on its way through the cluster."""

    asked: Asked
    begun: Opened
    out: set[str] = field(default_factory=set)
    """Arms that the cluster leaves alone: stopped for their errors, or not to be prepared there."""
    ended: Exception | None = None
    """Why this run ended here, as with a disk that is full or a folder that is damaged; the others go on."""

    @property
    def folder(self) -> RunFolder:
        return self.begun.folder

    def begin(self, workers: Cluster, board: _Board) -> Sequence[Unit]:
        """What is done first: settling the bench, or, where it is settled, everything after it."""
        self._workers, self._board = workers, board
        return self._alone(self._units)

    def _alone(self, what: Callable[[], Iterable[Unit]]) -> Sequence[Unit]:
        """What is to be done next; an error in it ends this run and no other."""
        if self.ended is not None:
            return ()
        found = told(lambda: tuple(what()))
        if isinstance(found, Exception):
            self.ended = found
            return ()
        return found

    def _unit(
        self,
        what: str,
        args: tuple[object, ...],
        then: Callable[[Any], Iterable[Unit]],
        *,
        urgency: int,
        place: _Place | None = None,
    ) -> Unit:
        """A call for this run; neither made nor heard where the run has ended, or its arm was left out meanwhile."""

        def wanted() -> bool:
            return self.ended is None and (place is None or place.arm not in self.out)

        return Unit(
            WORK[what],
            args,
            lambda result: self._alone(partial(then, result)) if wanted() else (),
            urgency,
            wanted,
            f"{self.asked.ready.scenario.name}: {what}{f' {place.arm} {place.seed}' if place else ''}",
        )

    def _units(self) -> Iterator[Unit]:
        ready, options, key = self.asked.ready, self.asked.options, self.folder.key().key
        embedder = ready.embedder
        kit = Kit(
            key,
            ready.scenario,
            options,
            ready.engine,
            repr(ready.engine) if isinstance(ready.engine, LocalEngine) else key,
            embedder,
            ready.engine.identity.digest,
            embedder.digest if embedder else "",
        )
        self._kit: Shared = self._workers.share(f"{key} {self.folder.path}", kit)
        if not options.retry_errors:
            self.out = set(over_budget(self.folder))
        yield self._unit("settle", (self._kit, self._chosen()), self._settled, urgency=SETTLE)

    def _chosen(self) -> tuple[Choice | None, ChosenRetrieval | None]:
        """What an earlier sitting chose."""
        folder = self.folder
        framing = folder.read("framing.json", Choice) if folder.has("framing.json") else None
        return framing, folder.read("retrieval.json", ChosenRetrieval) if folder.has("retrieval.json") else None

    def _settled(self, found: Settled | Failed) -> Iterable[Unit]:
        if isinstance(found, Failed):
            return self._given_up("settling the run", found)
        self.folder.write("framing.json", found.framing)
        if found.retrieval is not None:
            self.folder.write("retrieval.json", found.retrieval)
        self._write_setup(found)
        self._known = self._workers.share(f"settled {self._kit.key}", found)
        ready, options = self.asked.ready, self.asked.options
        budget = options.max_errors or ready.scenario.max_errors
        units: list[Unit] = []
        for name in ready.places.arms:
            if name not in self.out:
                tally = Tally(name, budget, of=len(ready.scenario.cases))
                units += self._arm(_Place(self.folder, name, ready.scenario.seed, tally))
        if SeedsProbe.name in pending(self.folder, ready, options):
            seeds = (seed for name in tuned_among(ready.places.arms) for seed in self._seeds(name))
            units += [unit for seed in seeds if seed.arm not in self.out for unit in self._arm(seed)]
        return units

    def _write_setup(self, found: Settled) -> None:
        """As the main flow writes it, with what a worker saw of the model; then how it was answered."""
        ready, options = self.asked.ready, self.asked.options
        train, dev = split_dev(
            ready.scenario.train, kind=ready.scenario.kind, seed=ready.scenario.seed, quick=options.quick
        )
        bench = Bench(
            ready.scenario,
            train,
            dev,
            cast(TextModel, _Elsewhere(found.model)),
            None,
            max_new_tokens=found.max_new_tokens,
            folder=self.folder.path,
            framing=Framing(found.framing.chosen),
            quick=options.quick,
        )
        write_setup(self.folder, bench, ready, options)
        made = self.folder.provenance()
        workers = numbers.counted(len(self._workers.workers), "Ray worker")
        said = f"{found.device}, arms prepared and answered by {workers}"
        self.folder.write("provenance.json", replace(made, device=said, threads=self._workers.threads))

    def _arm(self, place: _Place) -> list[Unit]:
        """Prepare it, or go on where it is prepared."""
        self._board.more(total=len(self.asked.ready.scenario.cases))
        recipe = place.folder.recipe(place.arm)
        if recipe is not None and is_whole(place.folder.path, recipe):
            return self._shares(place, recipe)
        urgency = TUNE if arm(place.arm).needs.tuning else PREPARE
        args = (self._kit, self._known, place.arm, place.seed)
        return [self._unit("prepare", args, partial(self._prepared, place), urgency=urgency, place=place)]

    def _prepared(self, place: _Place, made: Made | Failed) -> Iterable[Unit]:
        if isinstance(made, Failed):
            if place.tally is not None:
                self._leave_out(place.arm)
            return self._given_up(f"preparing {place.arm}", made)
        place.folder.path.mkdir(parents=True, exist_ok=True)
        if made.recipe.adapter:
            cluster_work.write_files(made.files, place.folder.path / made.recipe.adapter)
        place.folder.append("usage.jsonl", [made.usage])
        place.folder.write(f"recipes/{place.arm}.json", made.recipe)
        return self._shares(place, made.recipe)

    def _seeds(self, arm: str) -> Iterator[_Place]:
        """The arm's further training seeds, as the experiment of that name keeps them."""
        ready, options = self.asked.ready, self.asked.options
        for number in range(1, seeds_wanted(ready.scenario, quick=options.quick)):
            seed = ready.scenario.seed + number
            home = self.folder.path / "experiments" / SeedsProbe.name / slug(arm, condition_of(seed))
            yield _Place(RunFolder(home), arm, seed)

    def _shares(self, place: _Place, recipe: Recipe) -> list[Unit]:
        """What is open of an arm, in shares of whole batches."""
        cases = self.asked.ready.scenario.cases
        place.folder.mend()
        retry = self.asked.options.retry_errors and place.tally is not None
        known = kept(place.folder.predictions().get(place.arm, {}), retry=retry)
        place.passages.update(place.folder.passages())
        place.answered.update(known)
        if place.tally is not None:
            place.tally.count(known.values())
        done = frozenset(known)
        self._board.more(done=len(done))
        if len(done) == len(cases):
            return []
        files = cluster_work.files_in(place.folder.path / recipe.adapter) if recipe.adapter else {}
        shared = self._workers.share(
            f"{self._kit.key} {place.arm} {place.seed} {recipe.adapter_digest}", (recipe, files)
        )
        of = shares_of(len(cases) - len(done), workers=len(self._workers.workers))
        args, then = (self._kit, self._known, shared), partial(self._answered, place)
        return [self._unit("answer", (*args, (done, (i, of))), then, urgency=ANSWER, place=place) for i in range(of)]

    def _answered(self, place: _Place, made: Answered | Failed) -> Iterable[Unit]:
        if isinstance(made, Failed):
            return self._given_up(f"answering {place.arm}", made)
        for batch in made.batches:
            self._append(place, batch)
        place.folder.append("usage.jsonl", [made.usage])
        return ()

    def _append(self, place: _Place, batch: Batch) -> None:
        new = [one for one in batch.predictions if one.case_id not in place.answered]
        place.folder.append("passages.jsonl", [p for p in batch.passages if p.id not in place.passages])
        place.passages.update(p.id for p in batch.passages)
        place.folder.append("predictions.jsonl", new)
        place.answered.update(one.case_id for one in new)
        self._board.more(done=len(new))
        self._count(place, new)

    def _count(self, place: _Place, made: Sequence[Prediction]) -> None:
        """Stop an arm that fails too often, and what was begun of its further seeds."""
        over = place.tally.count(made) if place.tally else None
        if over is None or place.arm in self.out:
            return
        keep_over_budget(self.folder, over_budget(self.folder) | {place.arm: over})
        self._leave_out(place.arm)
        self._board.watcher.note(f"{place.arm} was {over.reason}. The run goes on without it.")

    def _leave_out(self, arm: str) -> None:
        """Nothing more of this arm is asked of the cluster; what was begun of its further seeds goes."""
        self.out.add(arm)
        for seeded in self._seeds(arm):
            shutil.rmtree(seeded.folder.path, ignore_errors=True)

    def _given_up(self, what: str, failed: Failed) -> tuple[()]:
        name = self.asked.ready.scenario.name
        self._board.watcher.note(f"{name}: {what} failed on the cluster ({failed.why}); it is tried here.")
        return ()


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A model that only workers hold; here it is known what it is, which is all that a run's set-up says of it."""

    description: ModelDescription


def shares_of(cases: int, *, workers: int) -> int:
    """Shares that so many open cases are cut into: a few a worker, none very small."""
    return max(1, min(cases // FEWEST_CASES, workers * SHARES_A_WORKER))
