"""The same run again: answers are taken over without a model, never where anything has changed."""

import json
from dataclasses import replace

import msgspec
import pytest
from fakes import ADAPTER_FILE, FakeEngine, FakeWatcher, prepared
from run_builders import FEW_ARMS, texts

from harness.experiment.options import RunOptions
from harness.experiment.run import run_prepared
from harness.records import Provenance

pytestmark = pytest.mark.usefixtures("own_cache")

UNTOUCHED = FakeEngine(model_is_there=False)


def run(scenario, out, *, engine=None, use_cache=True, overrides=FEW_ARMS):
    options = RunOptions(out=out, use_cache=use_cache, quick=True, overrides=overrides, remember=False)
    watcher = FakeWatcher()
    ready = prepared(scenario, options=options, engine=engine or FakeEngine())
    return run_prepared(ready, options=options, watcher=watcher), watcher


@pytest.fixture
def first(scenario, tmp_path):
    run(scenario, tmp_path / "first")
    return tmp_path / "first"


def test_a_repeated_run_has_the_same_answers_and_touches_no_model(scenario, first, tmp_path):
    finished, watcher = run(scenario, tmp_path / "second", engine=UNTOUCHED)
    assert texts(tmp_path / "second") == texts(first)
    assert (tmp_path / "second/verdict.json").read_text() == (first / "verdict.json").read_text()
    assert watcher.notes == [
        f"The same run was made before ({first}): its answers are used; --no-cache makes new ones."
    ]
    assert finished.folder.provenance().taken_from == str(first)


def test_what_was_taken_over_is_a_whole_run(scenario, first, tmp_path):
    run(scenario, tmp_path / "second", engine=UNTOUCHED)
    for name in ("predictions.jsonl", "latency.jsonl", "usage.jsonl", f"adapters/lora/{ADAPTER_FILE}"):
        assert (tmp_path / "second" / name).read_bytes() == (first / name).read_bytes()


def test_without_the_cache_everything_is_made_anew(scenario, first, tmp_path):
    engine = FakeEngine()
    finished, _ = run(scenario, tmp_path / "second", engine=engine, use_cache=False)
    assert engine.fake.answered
    assert finished.folder.provenance().taken_from == ""


def test_another_seed_is_another_run(scenario, first, tmp_path):
    engine = FakeEngine()
    run(scenario, tmp_path / "second", engine=engine, overrides=replace(FEW_ARMS, seed=5))
    assert engine.fake.answered


def rewritten(path, **changes):
    record = msgspec.json.decode((path / "provenance.json").read_bytes(), type=Provenance)
    (path / "provenance.json").write_bytes(msgspec.json.encode(replace(record, **changes)))


def with_a_failure(path):
    lines = [json.loads(line) for line in (path / "predictions.jsonl").read_text().splitlines()]
    lines[3]["error"] = "it broke"
    (path / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


CHANGES = {
    "the code": lambda path: rewritten(path, code_digest="0" * 64),
    "a library": lambda path: rewritten(path, versions={"torch": "0.1"}),
    "a failed case": with_a_failure,
    "no verdict": lambda path: (path / "verdict.json").unlink(),
    "an adapter": lambda path: (path / f"adapters/lora/{ADAPTER_FILE}").write_bytes(b"{}"),
    "a missing adapter": lambda path: (path / f"adapters/lora/{ADAPTER_FILE}").unlink(),
    "a damaged file": lambda path: (path / "provenance.json").write_bytes(b"{"),
    "the folder is gone": lambda path: path.rename(path.with_name("elsewhere")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_is_taken_from_a_run_that_is_not_what_this_one_would_be(scenario, first, tmp_path, change):
    change(first)
    engine = FakeEngine()
    finished, _ = run(scenario, tmp_path / "second", engine=engine)
    assert engine.fake.answered
    assert finished.folder.provenance().taken_from == ""


def test_nothing_is_taken_from_a_run_with_an_arm_that_could_not_be_prepared(scenario, tmp_path):
    run(scenario, tmp_path / "first", engine=FakeEngine(tuning_fails=True))
    engine = FakeEngine()
    run(scenario, tmp_path / "second", engine=engine)
    assert engine.fake.answered
    assert ("lora" in {arm for _, arm in texts(tmp_path / "second")}) is True


def test_nothing_is_taken_from_another_machine(scenario, first, tmp_path):
    rewritten(first, memory_total_mb=7)
    engine = FakeEngine()
    run(scenario, tmp_path / "second", engine=engine)
    assert engine.fake.answered


def test_a_copy_that_fails_leaves_nothing_behind_and_the_run_makes_its_own(scenario, first, tmp_path, monkeypatch):
    from harness.experiment import again

    whole, calls = again.write_whole, []

    def fails_late(path, data, **how):
        calls.append(path.name)
        if path.name == "latency.jsonl":
            raise OSError("no space left")
        whole(path, data, **how)

    monkeypatch.setattr(again, "write_whole", fails_late)
    engine = FakeEngine()
    finished, _ = run(scenario, tmp_path / "second", engine=engine)
    assert "latency.jsonl" in calls
    assert engine.fake.answered
    assert texts(tmp_path / "second") == texts(first)
    assert finished.folder.provenance().taken_from == ""


def test_what_is_said_of_the_input_is_this_runs_own(scenario, first, tmp_path):
    """A training row that was left out as a leak is taken out by the user: the same run, without the warning."""
    lines = (scenario / "eval.jsonl").read_text().splitlines()
    leak = json.loads(lines[0]) | {"id": "leak"}
    clean = (scenario / "train.jsonl").read_text()
    (scenario / "train.jsonl").write_text(clean + json.dumps(leak) + "\n")
    leaky, _ = run(scenario, tmp_path / "leaky", engine=UNTOUCHED)
    assert [row.train_id for row in leaky.folder.scenario().removed] == ["leak"]
    (scenario / "train.jsonl").write_text(clean)
    again, _ = run(scenario, tmp_path / "again", engine=UNTOUCHED)
    assert again.folder.scenario().removed == ()


def test_a_damaged_list_of_runs_is_passed_over(scenario, first, tmp_path, own_cache):
    (own_cache / "runs.json").write_bytes(b"\xff{")
    run(scenario, tmp_path / "second")
    assert texts(tmp_path / "second") == texts(first)
