"""Runs on a cluster of Ray's own nodes on this machine, on fakes: what comes out is what the local engine makes."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, prepared, tiny_scenario, write_scenario_files

from harness.errors import RunFolderError
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
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield cluster
        ray.shutdown()
        cluster.shutdown()


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
