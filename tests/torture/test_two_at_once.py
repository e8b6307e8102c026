"""Two commands at the same time: refused on one run folder, harmless on one cache.

BAKEOFF_TRIES is the number of tries (4 makes 1; 200 for docs/reliability.md makes 25).
"""

import os
import random
import signal
import time

import msgspec
import pytest
from bakeoffs import answers, made, verdict
from commands import PATIENCE, TRIES

from harness.generation.cache import AnswerCache
from harness.models.base import Completion

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FEW = max(3, TRIES // 8)


@pytest.fixture(scope="module")
def bakeoff(tmp_path_factory):
    return made(tmp_path_factory.mktemp("two"), delay=0.005)


def but_earlier_looks(out):
    """The verdict but for what it says of earlier verdicts: which of two came first depends on the clock."""
    return {key: value for key, value in verdict(out).items() if key not in ("cautions", "checksum")}


def begun(out, seconds=PATIENCE):
    """Wait until a run writes its answers."""
    deadline = time.monotonic() + seconds
    while not (out / "predictions.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_second_on_the_same_folder_is_refused_and_after_a_kill_goes_on(bakeoff, tmp_path):
    rng = random.Random(30)
    for number in range(FEW):
        out = tmp_path / str(number)
        first = bakeoff.commands.start(*bakeoff.run(out), delay=0.1)
        begun(out)
        second = bakeoff.commands.call(*bakeoff.run(out))
        assert second.refused, second.err[-2000:]
        assert f"Another bakeoff is writing to {out}. Wait for it, or name another folder" in second.err
        time.sleep(rng.uniform(0, 0.3))
        assert first.killed_after(0, signal.SIGKILL).code == -signal.SIGKILL
        assert (out / ".lock").exists(), "what the killed one left does not count"
        assert bakeoff.commands.call(*bakeoff.run(out), delay=0.0).code == 0
        assert bakeoff.agrees(out)


def test_a_report_of_a_folder_that_is_written_says_that_it_is_not_finished(bakeoff, tmp_path):
    first = bakeoff.commands.start(*bakeoff.run(tmp_path / "run"), delay=0.05)
    begun(tmp_path / "run")
    report = bakeoff.commands.call("report", tmp_path / "run")
    assert report.refused, report.err[-2000:]
    assert "is not finished: " in report.err
    assert first.wait().code == 0
    assert bakeoff.agrees(tmp_path / "run")


def test_two_at_once_on_one_cache_end_as_each_alone(bakeoff, tmp_path):
    for number in range(FEW):
        outs = [tmp_path / f"{number}{side}" for side in "ab"]
        children = []
        for seed, out in enumerate(outs):  # another seed: another run, with other and with the same prompts
            arguments = [one for one in bakeoff.run(out) if one != "--no-cache"]
            children.append(bakeoff.commands.start(*arguments, "--seed", seed + 10 * number, delay=0.002))
        for child in children:
            ended = child.wait()
            assert ended.code == 0, ended.err[-2000:]
        for seed, out in enumerate(outs):
            alone = tmp_path / f"{number}{seed}alone"
            assert bakeoff.commands.call(*bakeoff.run(alone), "--seed", seed + 10 * number, delay=0.0).code == 0
            assert answers(out) == answers(alone)
            assert but_earlier_looks(out) == but_earlier_looks(alone)


def test_a_cache_that_many_write_at_once_keeps_every_answer(tmp_path):
    path, writers, each = tmp_path / "answers.sqlite", 4, 50
    children = []
    for writer in range(writers):
        pid = os.fork()
        if pid == 0:
            kept = AnswerCache(path)
            for number in range(each):
                kept.put({f"{writer}-{number}": Completion(f"answer {number}", 1, 1, "stop")})
                kept.get([f"{other}-{number}" for other in range(writers)])
            os._exit(0)
        children.append(pid)
    assert {os.waitpid(pid, 0)[1] for pid in children} == {0}
    keys = [f"{writer}-{number}" for writer in range(writers) for number in range(each)]
    assert set(AnswerCache(path).get(keys)) == set(keys)


def test_the_list_of_finished_runs_is_whole_after_many_wrote_it_at_once(bakeoff, tmp_path):
    children = [bakeoff.commands.start(*bakeoff.run(tmp_path / str(n)), "--seed", n) for n in range(3)]
    assert {child.wait().code for child in children} == {0}
    listed = msgspec.json.decode((bakeoff.commands.cache / "runs.json").read_bytes(), type=dict[str, str])
    assert listed
