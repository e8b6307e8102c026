"""A run whose tuned arm a provider makes, killed at every stage of the job: the same command goes on with the same job.

The provider is a process of its own that kills the command itself, right before it does what it was asked for or right
after it has done it and before it says so. (The random kills of `test_interruptions.py` know no provider.)
"""

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import provider
import pytest
from bakeoffs import answers, verdict
from commands import Commands, import_everything
from fakes import tiny_scenario, write_scenario_files

pytest.importorskip("openai")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

KEY = "sk-MARKER-of-the-key-1d77"
TABLES = """
[endpoint]
url = "{url}"
model = "m"
key_variable = "BAKEOFF_KEY_OF_TEST"
price_in = 1.0
price_out = 1.0
max_cost = 50
retries = 0
[endpoint.fine_tuning]
price = 10.0
epochs = 2
"""
STAGES = [
    ("training", "after"),
    ("create", "before"),
    ("create", "after"),
    ("look", "after"),
    ("delete", "after"),
    *(
        pytest.param(stage, when, marks=pytest.mark.slow)
        for stage, when in (
            ("training", "before"),
            ("validation", "before"),
            ("validation", "after"),
            ("events", "before"),
            ("delete", "before"),
            ("tuned", "before"),
            ("tuned", "after"),
        )
    ),
]


@contextmanager
def serving():
    """A provider in a process of its own; gives its address."""
    command = [sys.executable, provider.__file__, str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def steer(address, **plan):
    """Change what the provider does; what it has seen."""
    request = urllib.request.Request(f"{address}/plan", data=json.dumps(plan).encode(), method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
        return json.load(reply)


@pytest.fixture
def address():
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    import_everything()
    return tmp_path_factory.mktemp("fine-tuning")


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BAKEOFF_KEY_OF_TEST", KEY)


def begun(home, address, name):
    """The scenario at this provider, and the commands."""
    folder = write_scenario_files(home / name / "capitals", tiny_scenario(cases=8, train=20, documents=False))
    with (folder / "scenario.toml").open("a") as stream:
        stream.write(TABLES.format(url=f"{address}/v1"))
    command = ("run", folder, "--arms", "prompt,lora", "--quick", "--no-cache", "--no-remember")
    return Commands(home / name / "work", home / name / "cache"), (*command, "--out", home / name / "run")


@pytest.fixture(scope="module")
def whole(home):
    """A run that nothing disturbed."""
    os.environ["BAKEOFF_KEY_OF_TEST"], os.environ["NO_PROXY"] = KEY, "127.0.0.1"
    with serving() as address:
        commands, command = begun(home, address, "whole")
        ended = commands.call(*command)
        assert ended.code == 0, ended.err[-2000:]
        return Path(command[-1])


def unsealed(out):
    """The verdict without its checksum, which is of the run, whose provider had another port."""
    return {name: value for name, value in verdict(out).items() if name != "checksum"}


@pytest.mark.parametrize(("stage", "when"), STAGES)
def test_killed_at_any_stage_the_same_command_goes_on_with_the_same_job(home, whole, address, stage, when):
    commands, command = begun(home, address, f"{stage}-{when}")
    child = commands.start(*command, before=lambda: steer(address, kill=[stage, when], pid=os.getpid()))
    assert child.wait().code == -9
    ended = commands.call(*command)
    assert ended.code == 0, ended.err[-2000:]
    seen, out = steer(address), Path(command[-1])
    assert len(seen["jobs"]) == 1, "one job, paid for once"
    assert len(seen["content"]) == 2, "each file was sent once"
    assert seen["files"] == {}, "and nothing of them is left there"
    lines = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    (last, *_) = [line for line in reversed(lines) if line["trained"] is not None]
    assert {line["request"] for line in lines if line["trained"] is not None} == {last["request"]}
    assert (last["trained"], last["counted"]) == (seen["jobs"][0]["trained_tokens"], True)
    assert answers(out) == answers(whole)
    assert unsealed(out) == unsealed(whole)
    assert not [path for path in out.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
