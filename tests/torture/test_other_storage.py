"""A run on other storage whose machine is gone: the same command on another one completes it, and nothing differs.

BAKEOFF_TRIES sets the number of kills (4 makes 2; 200 for docs/reliability.md makes 25). BAKEOFF_TEST_S3 may name an S3
folder (`s3://bucket/path`, with AWS_ENDPOINT_URL and keys in the environment) to do it there instead of in a folder.
"""

import os
import random
import signal
import time
import uuid

import pytest
from bakeoffs import ARGUMENTS, answers, made, verdict
from commands import TRIES, Commands

from harness.remote.storage import open_storage
from harness.remote.url import remote_url

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
pytest.importorskip("fsspec")

KILLS = max(2, TRIES // 8)


@pytest.fixture(scope="module")
def bakeoff(tmp_path_factory):
    return made(tmp_path_factory.mktemp("storage"), delay=0.005)


@pytest.fixture
def url(tmp_path):
    base = os.environ.get("BAKEOFF_TEST_S3") or f"file://{tmp_path / 'storage'}"
    return f"{base}/{uuid.uuid4().hex[:8]}"


def often():
    os.environ["BAKEOFF_UPLOAD_SECONDS"] = "0.02"


def machine(tmp_path, number):
    return Commands(tmp_path / f"work-{number}", tmp_path / f"cache-{number}", delay=0.005)


def copy_of(url, commands):
    """The run as a machine sees it that has nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BAKEOFF_CACHE", str(commands.cache))
        return remote_url(url).folder()


def begun(url):
    storage, deadline = open_storage(remote_url(url)), time.monotonic() + 60
    while "predictions.jsonl" not in storage.files():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_killed_at_random_moments_is_completed_on_another_machine(bakeoff, url, tmp_path):
    rng, killed, number = random.Random(50), 0, 0
    while killed < KILLS:
        number += 1
        out = f"{url}/{number}"
        command = ("run", bakeoff.scenario, *ARGUMENTS, "--out", out)
        child = machine(tmp_path, f"{number}a").start(*command, before=often)
        ended = child.killed_after(rng.uniform(0.1, 0.7) * bakeoff.seconds, signal.SIGKILL)
        assert ended.code in (0, -signal.SIGKILL), ended.err[-2000:]
        killed += ended.code != 0
        second = machine(tmp_path, f"{number}b")
        storage = open_storage(remote_url(out))
        if storage.read(".lease"):
            refused = second.call(*command)
            assert refused.refused, refused.err[-2000:]
            assert "is writing to" in refused.err
            storage.delete(".lease")  # what its message says; otherwise five minutes
        ended = second.call(*command, before=often, delay=0.0)
        assert ended.code == 0, ended.err[-2000:]
        assert "was changed elsewhere" not in ended.err + ended.out
        folder = copy_of(out, second)
        assert answers(folder) == answers(bakeoff.whole)
        assert verdict(folder) == verdict(bakeoff.whole)
        third = machine(tmp_path, f"{number}c")
        assert third.call("report", out).code == 0
        assert verdict(copy_of(out, third)) == verdict(bakeoff.whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_uploads_what_it_has(bakeoff, url, tmp_path, number, code):
    first, second = machine(tmp_path, "a"), machine(tmp_path, "b")
    command = ("run", bakeoff.scenario, *ARGUMENTS, "--out", url)
    child = first.start(*command, before=often, delay=0.1)
    begun(url)
    ended = child.killed_after(0.3, number)
    assert ended.code == code, ended.err[-2000:]
    storage = open_storage(remote_url(url))
    assert storage.read(".lease") is None
    local = copy_of(url, first)
    assert storage.read("predictions.jsonl") == (local / "predictions.jsonl").read_bytes()
    ended = second.call(*command, delay=0.0)
    assert ended.code == 0, ended.err[-2000:]
    assert answers(copy_of(url, second)) == answers(bakeoff.whole)
    assert verdict(copy_of(url, second)) == verdict(bakeoff.whole)


def test_the_first_machine_comes_back_after_the_second_has_finished(bakeoff, url, tmp_path):
    first, second = machine(tmp_path, "a"), machine(tmp_path, "b")
    command = ("run", bakeoff.scenario, *ARGUMENTS, "--out", url)
    child = first.start(*command, before=often, delay=0.1)
    begun(url)
    assert child.killed_after(0.1, signal.SIGKILL).code == -signal.SIGKILL
    open_storage(remote_url(url)).delete(".lease")
    local = copy_of(url, first)
    with (local / "usage.jsonl").open("ab") as stream:  # what the killed one had not uploaded
        stream.write((local / "usage.jsonl").read_bytes().splitlines(keepends=True)[0])
    assert second.call(*command, delay=0.0).code == 0
    ended = first.call(*command, delay=0.0)
    assert ended.code == 0, ended.err[-2000:]
    assert "what lies there counts now. What lay here is kept in" in " ".join(ended.out.split())
    assert answers(local) == answers(bakeoff.whole)
    assert list((first.cache / "remote" / "set-aside").iterdir())
