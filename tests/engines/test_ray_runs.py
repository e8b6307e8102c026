"""Runs on a cluster of Ray's own nodes on this machine, on fakes: what comes out is what the local engine makes."""

import json
import os
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fake_ray import FakeRay, Handle, runs_go_to
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, prepared, tiny_scenario, write_scenario_files

from harness.engines.ray_cluster import Failed, Unit, cluster
from harness.errors import RunFolderError
from harness.experiment import cluster_work
from harness.experiment.cluster_runs import run_on_cluster
from harness.experiment.many import Asked
from harness.experiment.options import RunOptions
from harness.remote.url import remote_url
from harness.remote.working import working_copy
from harness.scenario_file.read import Overrides
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")

ARMS = ("prompt", "few_shot", "nearest_shots", "rag", "lora")


@pytest.fixture(scope="module")
def machine():
    """A cluster of one machine with one worker; others can be added."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    here = Path(__file__).resolve().parents[1]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join([str(here.parent), str(here)]))
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        before = signal.getsignal(signal.SIGTERM)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield cluster
        ray.shutdown()
        cluster.shutdown()
        signal.signal(signal.SIGTERM, before)  # a node that is started here sets it


def scenario(folder, *, cases, country="Landia"):
    """The tiny scenario, in countries of another name."""
    made = tiny_scenario(cases=cases, train=20)
    named = [
        tuple(replace(c, input=c.input.replace("Landia", country)) for c in some) for some in (made.cases, made.train)
    ]
    return write_scenario_files(folder, replace(made, cases=named[0], train=named[1]))


def asked(path, out, *, engine=None, **options):
    chosen = RunOptions(out=out, use_cache=False, remember=False, **options)
    return Asked(prepared(path, options=chosen, engine=engine), chosen)


def answers(folder):
    """All that was answered, in the main run and from every seed: place, arm and case -> text, error, passages, key."""
    found = {}
    for file in sorted(folder.rglob("predictions.jsonl")):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        place = file.parent.relative_to(folder).as_posix()
        made = {(place, r["arm"], r["case_id"]): (r["text"], r["error"], r["passages"], r["key"]) for r in rows}
        assert len(made) == len(rows), "made twice"
        found |= made
    return found


def verdict(folder):
    return json.loads((folder / "verdict.json").read_text())


@dataclass
class Killer(FakeWatcher):
    """Takes a machine away once so many cases are answered on the cluster."""

    kill: object = None
    at: int = 0
    killed: bool = False

    def progress(self, done, total, *, score=None):
        if self.stages[-1:] == ["cluster"] and done >= self.at and not self.killed:
            self.killed = True
            self.kill()


@pytest.mark.slow
def test_a_sweep_that_loses_a_machine_half_way_is_the_local_engines_to_the_letter(machine, tmp_path):
    second = machine.add_node(num_cpus=1)
    folders = [scenario(tmp_path / f"s{n}", cases=64 + n, country=f"Land{'abc'[n]}") for n in range(3)]
    wish = Overrides(arms=ARMS, seeds=3)
    watcher = Killer(kill=lambda: machine.remove_node(second, allow_graceful=False), at=300)
    runs = [asked(path, tmp_path / "there" / str(n), overrides=wish) for n, path in enumerate(folders)]
    run_on_cluster(runs, address=machine.address, watcher=watcher)
    assert watcher.killed
    assert any("went down with a worker" in note for note in watcher.notes), "it was working when it was lost"
    assert [note for note in watcher.notes if "tried here" in note] == [], "the other worker made it again"
    for n, path in enumerate(folders):
        there, here = tmp_path / "there" / str(n), tmp_path / "here" / str(n)
        fake_run(path, here, overrides=wish, remember=False)
        assert answers(there) == answers(here)
        assert len(answers(there)) == (64 + n) * (len(ARMS) + 1 + 2), "with the control and two further seeds"
        assert verdict(there) == verdict(here)
        assert "by 2 Ray workers" in RunFolder(there).provenance().device


def test_runs_at_once_end_as_the_local_engines_and_one_that_cannot_begin_stops_none(machine, tmp_path):
    (tmp_path / "file").write_text("no folder")
    wish = Overrides(arms=("prompt", "rag", "lora"), seeds=2)
    one = scenario(tmp_path / "one", cases=64)
    runs = [asked(one, tmp_path / "file", overrides=wish), asked(one, tmp_path / "there", overrides=wish)]
    # Its model fails on one case.
    engine = FakeEngine(FakeModel(fails_on=("Landib3?",)), name="failing")
    two = scenario(tmp_path / "two", cases=20, country="Landib")
    runs.append(asked(two, tmp_path / "failing", engine=engine, overrides=wish))
    watcher = FakeWatcher()
    failed, finished, failing = run_on_cluster(runs, address=machine.address, watcher=watcher)
    assert isinstance(failed, RunFolderError)
    fake_run(one, tmp_path / "here", overrides=wish, remember=False)
    assert answers(tmp_path / "there") == answers(tmp_path / "here")
    assert verdict(tmp_path / "there") == verdict(tmp_path / "here")
    assert finished.verdict.kind == "winner"
    fake_run(two, tmp_path / "alone", engine=engine, overrides=wish, remember=False)
    assert answers(tmp_path / "failing") == answers(tmp_path / "alone")
    assert sum(bool(error) for _, error, *_ in answers(tmp_path / "failing").values()) == 4, (
        "of each arm and of the other seed"
    )
    assert failing.verdict == RunFolder(tmp_path / "alone").verdict()
    assert "cluster" in watcher.stages
    assert not [stage for stage in watcher.stages if stage.startswith(("prepare", "answer"))], "all was done there"


def test_a_folder_on_other_storage_is_filled_as_one_here(machine, tmp_path):
    pytest.importorskip("fsspec")
    path = scenario(tmp_path / "capitals", cases=10)
    fake_run(path, tmp_path / "local", overrides=Overrides(arms=ARMS, seeds=1))
    url = remote_url(f"file://{tmp_path / 'storage' / 'run'}")
    with working_copy(url, say=print, new=True) as folder:
        (ended,) = run_on_cluster(
            [asked(path, folder, overrides=Overrides(arms=ARMS, seeds=1))],
            address=machine.address,
            watcher=FakeWatcher(),
        )
        assert not isinstance(ended, Exception), ended
    assert answers(tmp_path / "storage" / "run") == answers(tmp_path / "local")


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, lambda number, frame: None])
def test_what_sigterm_does_is_what_it_did_before(machine, before):
    def own(number, frame):
        raise SystemExit

    tests_own = signal.signal(signal.SIGTERM, before)
    try:
        with cluster(machine.address):
            assert not callable(before) or signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGTERM) == before
        with cluster(machine.address):
            signal.signal(signal.SIGTERM, own)
        assert signal.getsignal(signal.SIGTERM) is own, "who sets it meanwhile is heard"
    finally:
        signal.signal(signal.SIGTERM, tests_own)


def test_a_result_that_cannot_be_sent_is_that_calls_and_the_worker_goes_on(machine):
    results = []
    with cluster(machine.address) as there:
        calls = ((threading.Lock, ()), (len, ("abc",)))
        there.run([Unit(work, args, lambda result: results.append(result) or ()) for work, args in calls])
    failed, three = results
    assert isinstance(failed, Failed)
    assert "cannot pickle '_thread.lock'" in failed.why
    assert (three, there.lost) == (3, 0)


def of_run(name):
    """Whether a call is for this scenario."""
    return lambda args: args[0].box[0]().scenario.name == name


def test_an_error_around_a_call_of_one_run_is_handed_to_this_machine_and_the_others_are_made_there(
    tmp_path, monkeypatch
):
    wish = Overrides(arms=("prompt", "lora"), seeds=2)
    paths = [scenario(tmp_path / name, cases=20 + n, country=f"Land{name}") for n, name in enumerate("abc")]
    second = of_run("b")
    faulty = Handle(faulty=lambda work, args: work is cluster_work.answer and second(args))
    runs_go_to(monkeypatch, faulty, faulty)
    watcher = FakeWatcher()
    runs = [asked(path, tmp_path / "there" / path.name, overrides=wish) for path in paths]
    assert all(hasattr(one, "verdict") for one in run_on_cluster(runs, address=None, watcher=watcher))
    handed = [note for note in watcher.notes if "it is tried here" in note]
    assert len(handed) == 4, "control, prompt, lora and its other seed"
    assert all(note.startswith("b: answering") and "its result cannot be sent" in note for note in handed)
    for path in paths:
        fake_run(path, tmp_path / "here" / path.name, overrides=wish, remember=False)
        assert answers(tmp_path / "there" / path.name) == answers(tmp_path / "here" / path.name)
        assert verdict(tmp_path / "there" / path.name) == verdict(tmp_path / "here" / path.name)


def test_a_run_with_a_folder_in_the_way_of_its_answers_ends_alone(tmp_path, monkeypatch):
    wish = Overrides(arms=("prompt", "rag"), seeds=1)
    paths = [scenario(tmp_path / name, cases=20, country=f"Land{name}") for name in "ab"]
    first, asked_for = of_run("a"), []

    def in_the_way(work, args):
        if first(args):
            asked_for.append(work)
            (tmp_path / "out" / "a" / "predictions.jsonl").mkdir(exist_ok=True)

    runs_go_to(monkeypatch, Handle(faulty=in_the_way))
    runs = [asked(path, tmp_path / "out" / path.name, overrides=wish) for path in paths]
    ended, finished = run_on_cluster(runs, address=None, watcher=FakeWatcher())
    assert isinstance(ended, RunFolderError)
    assert "predictions.jsonl is no ordinary file" in str(ended)
    assert len(asked_for) < 7, "not everything more was asked of the cluster for it"
    assert not RunFolder(tmp_path / "out" / "a").has("verdict.json")
    fake_run(paths[1], tmp_path / "here", overrides=wish, remember=False)
    assert finished.verdict == RunFolder(tmp_path / "here").verdict()


def forgetful():
    """An engine whose model fails wherever it is tuned."""
    engine = FakeEngine(name="forgetful")

    def refuse(prompts):
        if engine.fake.memory:
            raise RuntimeError("tuned, and nothing comes")

    engine.fake.before_batch = refuse
    return engine


def test_a_seed_that_is_ready_after_its_arm_was_stopped_is_not_taken(tmp_path, monkeypatch):
    """The second worker prepares the other seed for as long as the first has anything to do."""
    path, wish = scenario(tmp_path / "s", cases=20), Overrides(arms=("prompt", "lora"), seeds=2)

    def late(work, args):
        return work is cluster_work.prepare and args[2:] == ("lora", 1)

    first, second = Handle(), Handle()
    runs_go_to(monkeypatch, first, second, ray=FakeRay(late))
    watcher = FakeWatcher()
    run_on_cluster([asked(path, tmp_path / "there", engine=forgetful(), overrides=wish)], address=None, watcher=watcher)
    assert any(args[2:] == ("lora", 1) for args in (*first.made, *second.made)), "it was prepared"
    assert any(note.startswith("lora was stopped") for note in watcher.notes)
    fake_run(path, tmp_path / "here", engine=forgetful(), overrides=wish, remember=False)
    there, here = answers(tmp_path / "there"), answers(tmp_path / "here")
    assert {place for place, *_ in there} == {place for place, *_ in here} == {"."}
    assert all(there[one] == here[one] for one in here), "of the stopped arm a whole share is there"
    beside = [
        {p.relative_to(out) for p in out.rglob("experiments/**/*")} for out in (tmp_path / "there", tmp_path / "here")
    ]
    assert beside[0] == beside[1], "nothing of the other seed is left"
