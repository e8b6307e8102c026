"""Calls on workers that are lost, of another version, or not wanted any more; Ray itself is faked."""

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from fake_ray import FakeRay, Handle, Remote, WorkerLost, cluster
from fakes import FakeModel, tiny_bench, tiny_scenario

from harness.arms.base import Needs, Request
from harness.engines.answering import answer_cases
from harness.engines.ray_cluster import MOST_TRIES, Cluster, Failed, Unit, Worker
from harness.errors import UserError
from harness.experiment.cluster_runs import refuse_on_cluster, shares_of
from harness.experiment.many import Asked
from harness.experiment.options import RunOptions
from harness.records import Recipe
from harness.scenario import EndpointWish, Experiments, TuningWish


def unit(*args, then=lambda result: (), work=lambda *args: args, **changes):
    return Unit(work, args, then, **changes)


def test_the_most_urgent_goes_first_what_follows_is_done_and_what_is_not_wanted_any_more_is_not():
    handle, results = Handle(), []
    follows = unit("b2", then=lambda result: results.append(result) or ())
    cluster(handle).run(
        [
            unit("a"),
            unit("b", then=lambda result: [follows], urgency=1),
            unit("c", urgency=2),
            unit("d", wanted=lambda: False),
        ]
    )
    assert handle.made == [("c",), ("b",), ("a",), ("b2",)]
    assert results == [("b2",)]


def test_a_call_that_goes_down_with_its_worker_is_made_by_another_one():
    results, first, second = [], Handle(deadly=[("x",)]), Handle()
    both = cluster(first, second)
    both.run([unit("x", then=lambda result: results.append(result) or ()), *[unit(n) for n in range(3)]])
    assert results == [("x",)]
    assert both.lost == 1


def test_a_call_that_every_worker_goes_down_with_is_given_up_and_the_others_are_made():
    results, handles = [], [Handle(deadly=[("x",)]) for _ in range(2)]
    cluster(*handles).run([unit("x", then=lambda result: results.append(result) or ()), unit("y")])
    made = Counter(args for handle in handles for args in handle.made)
    assert made == {("x",): MOST_TRIES, ("y",): 1}
    assert results == [Failed(f"{MOST_TRIES} workers were lost over it, the last with WorkerLost")]


def test_what_goes_wrong_in_a_call_is_its_result():
    def broken():
        raise ValueError("no such thing")

    results = []
    cluster(Handle()).run([unit(work=broken, then=lambda result: results.append(result) or ())])
    assert results == [Failed("ValueError: no such thing")]


def test_what_goes_wrong_around_a_call_is_its_result_too_and_the_others_are_made():
    """As where its result cannot be sent; the worker lives on."""
    results = []
    made = cluster(Handle(faulty=lambda work, args: args == ("x",)))
    made.run([unit(n, then=lambda result: results.append(result) or ()) for n in ("a", "x", "b")])
    assert results == [("a",), Failed("TypeError: its result cannot be sent"), ("b",)]
    assert made.lost == 0


def test_a_worker_that_cannot_say_its_version_is_one_sentence():
    with pytest.raises(UserError, match=r"does not work: ImportError: no harness\. Install the same version"):
        cluster(Handle(digest=ImportError("no harness"))).run([unit("a")])


def fallen(*args):
    """As Ray says it of an actor that could not be made: a traceback."""
    raise WorkerLost(
        "The actor died, ray::Worker.__init__()\n  File x, line 6\nModuleNotFoundError: No module named 'harness'\n"
    )


def test_workers_that_fall_over_as_they_are_started_end_the_wait_and_those_that_do_not_do_the_work():
    results, good, bad = [], Handle(), Handle()
    bad.ready = Remote(fallen)
    cluster(bad, good).run([unit(n, then=lambda result: results.append(result) or ()) for n in range(3)])
    assert results == [(0,), (1,), (2,)]
    with pytest.raises(UserError, match=r"No worker .* be started: ModuleNotFoundError: No module named 'harness'\. I"):
        cluster(bad, bad).run([unit("a")])


def test_a_worker_with_another_version_of_the_harness_is_refused():
    with pytest.raises(UserError, match="another version of bakeoff"):
        cluster(Handle(digest="other")).run([unit("a")])


def test_this_machines_worker_has_this_machines_version():
    from harness import provenance

    assert Worker().ready() == provenance.code_digest()


class HalfFixed:
    """Some answers need no model, and one case cannot be asked."""

    name = "half"
    needs = Needs()

    def prepare(self, bench):
        return Recipe("half")

    def requests(self, recipe, cases, *, bench, fresh=False):
        if any(case.id == "e7" for case in cases):
            raise ValueError("not this one")
        return [Request(fixed="known" if case.id in ("e1", "e2") else None) for case in cases]


@pytest.mark.parametrize("of", [1, 2, 3, 50])
@pytest.mark.parametrize("done", [frozenset(), frozenset({"e0", "e2", "e5", "e6", "e8"})])
def test_the_shares_of_an_arms_answers_are_the_whole_and_no_batch_is_in_two(of, done):
    scenario = tiny_scenario(cases=23)

    def made(share):
        bench = tiny_bench(scenario, model=FakeModel(fails_on=("Landia9?",)))
        found = answer_cases(HalfFixed(), Recipe("half"), scenario.cases, bench=bench, done=done, share=share)
        return [
            (p.case_id, p.text, p.finish, p.error, p.key) for batch in found for p in batch.predictions
        ], bench.model.answered

    whole, batches = made((0, 1))
    parts = [made((i, of)) for i in range(of)]
    assert sorted(row for rows, _ in parts for row in rows) == sorted(whole)
    assert sorted(batch for _, answered in parts for batch in answered) == sorted(batches)


@pytest.mark.parametrize(
    ("cases", "workers", "shares"), [(0, 2, 1), (40, 2, 1), (64, 2, 2), (2000, 2, 4), (2000, 512, 62)]
)
def test_shares_are_a_few_a_worker_and_none_is_small(cases, workers, shares):
    assert shares_of(cases, workers=workers) == shares


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"experiments": Experiments(stop_early=True)}, "--stop-early looks at the answers"),
        ({"endpoint": EndpointWish("http://localhost/v1", "some-model")}, "a model behind an endpoint"),
        ({"tuning": TuningWish(processes=2)}, r"processes = 2 under \[tuning\].*a worker of --engine ray has one"),
        ({"tuning": TuningWish(processes="auto")}, "processes = auto under"),
    ],
)
def test_what_a_cluster_is_not_for_is_refused(changes, words):
    ready = SimpleNamespace(scenario=tiny_scenario(**changes))
    with pytest.raises(UserError, match=words):
        refuse_on_cluster(Asked(ready, RunOptions()))


@pytest.mark.parametrize("processes", [None, 1])
def test_one_process_tunes_on_a_cluster(processes):
    ready = SimpleNamespace(scenario=tiny_scenario(tuning=TuningWish(processes=processes)))
    refuse_on_cluster(Asked(ready, RunOptions()))


def test_nothing_of_ray_is_imported_where_it_is_not_asked_for():
    code = "import sys, harness.api, harness.cli.run; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Pending:
    """A call that never ends."""


class Waiting(FakeRay):
    """Knows calls that never end."""

    def wait(self, refs, *, timeout):
        ended = [ref for ref in refs if not isinstance(ref, Pending)][:1]
        return ended, [ref for ref in refs if ref not in ended]


def test_workers_that_are_all_lost_and_not_replaced_end_the_wait_with_a_sentence(monkeypatch):
    monkeypatch.setattr("harness.engines.ray_cluster.NOBODY", 0.05)
    worker = Handle(deadly=[("a",)])
    worker.ready.options = lambda **_: SimpleNamespace(remote=Pending)
    made = Cluster(Waiting(), [worker], threads=1, gpus=0, digest="same")
    with pytest.raises(UserError, match="All workers of the cluster were lost"):
        made.run([unit("a")])
