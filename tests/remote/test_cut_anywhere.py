"""Wherever uploads end, another machine completes the run from what lies there, and nothing differs.

BAKEOFF_TRIES is the number of cuts (4; 200 for docs/reliability.md).
"""

import json
import os
import random
import uuid

import pytest
from fakes import FakeWatcher, fake_run, tiny_scenario, write_scenario_files
from machines import Machine

from harness.remote.storage import Storage
from harness.remote.url import remote_url
from harness.scenario_file.read import Overrides
from harness.store import open_run

TRIES = int(os.environ.get("BAKEOFF_TRIES", "4"))
OVERRIDES = Overrides(arms=("prompt", "rag", "lora"), seeds=2, experiments=("retrieval",))


class Cut(BaseException):
    """The machine is gone."""


class Sending(FakeWatcher):
    """Sends at each sign of progress, as the thread might."""

    def __init__(self, copy):
        super().__init__()
        self.copy = copy

    def stage(self, name, detail=""):
        assert self.copy.send()

    def progress(self, done, total, *, score=None):
        assert self.copy.send()


def answers(folder):
    found = {}
    for path in sorted(folder.rglob("predictions.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert len({(row["case_id"], row["arm"]) for row in rows}) == len(rows), "made twice"
        found[str(path.relative_to(folder))] = sorted((row["case_id"], row["arm"], row["text"]) for row in rows)
    return found


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return write_scenario_files(tmp_path_factory.mktemp("cut") / "capitals", tiny_scenario(cases=10))


@pytest.fixture(scope="module")
def undisturbed(scenario, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    fake_run(scenario, out, overrides=OVERRIDES)
    return answers(out), json.loads((out / "verdict.json").read_text())


def made(scenario, folder, **how):
    fake_run(scenario, folder, overrides=OVERRIDES, **how)


def made_and_sent(scenario, copy):
    made(scenario, copy.folder, watcher=Sending(copy))
    assert copy.send()


def counting(patched, limit):
    done = []

    def counted(real):
        def call(self, name, *given):
            if name != ".lease":
                done.append(name)
                if len(done) > limit:
                    raise Cut
            return real(self, name, *given)

        return call

    for name in ("put", "delete"):
        patched.setattr(Storage, name, counted(getattr(Storage, name)))
    return done


def test_a_run_whose_uploads_end_anywhere_is_completed_on_another_machine(scenario, undisturbed, tmp_path):
    url = remote_url(f"memory://{uuid.uuid4().hex}/whole")
    one = Machine(tmp_path / "one")
    with pytest.MonkeyPatch.context() as patched, one.dies(url) as copy:
        done = counting(patched, 10**9)
        made_and_sent(scenario, copy)
        total = len(done)
    assert total > 50
    rng = random.Random(40)
    for number in range(TRIES):
        url = remote_url(f"memory://{uuid.uuid4().hex}/run")
        limit = rng.randrange(total)
        first, second = Machine(tmp_path / f"{number}a"), Machine(tmp_path / f"{number}b")
        with first.dies(url) as copy, pytest.MonkeyPatch.context() as patched:
            counting(patched, limit)
            with pytest.raises(Cut):
                made_and_sent(scenario, copy)
        with second.open(url) as folder:
            made(scenario, folder)
        assert (answers(folder), json.loads((folder / "verdict.json").read_text())) == undisturbed, limit
        assert second.said == []
        with Machine(tmp_path / f"{number}c").open(url, new=False, writing=False) as folder:
            assert answers(folder) == undisturbed[0]
            open_run(folder)
