"""A bake-off on fakes that is stopped, killed or damaged, and goes on with the same command."""

import shutil

import pytest
from fakes import ADAPTER_FILE, FakeEngine, FakeWatcher, fake_run, prepared
from run_builders import FEW_ARMS, eval_prompts, texts

from harness.experiment.options import RunOptions, Silent
from harness.experiment.run import run_prepared

pytestmark = pytest.mark.usefixtures("own_cache")


def interrupted_at(number):
    """A hook that stops the n-th batch, once."""
    state = {"left": number}

    def stop(prompts):
        state["left"] -= 1
        if state["left"] == 0:
            raise KeyboardInterrupt

    return stop


def stopped(scenario, out, *, engine, watcher=None):
    """Whether the run was stopped."""
    try:
        fake_run(scenario, out, engine=engine, watcher=watcher, quick=True, overrides=FEW_ARMS)
    except KeyboardInterrupt:
        return True
    return False


def test_stopped_before_any_batch_and_continued_gives_the_same_predictions_none_made_twice(scenario, tmp_path):
    fake_run(scenario, tmp_path / "whole", quick=True, overrides=FEW_ARMS)
    expected, stops = texts(tmp_path / "whole"), 0
    for number in range(1, 200):
        out, engine = tmp_path / f"run{number}", FakeEngine()
        engine.fake.before_batch = interrupted_at(number)
        if not stopped(scenario, out, engine=engine):
            break
        stops += 1
        assert not (out / "verdict.json").exists()
        assert not stopped(scenario, out, engine=engine)
        assert texts(out) == expected, f"stopped at batch {number}"
        assert eval_prompts(engine).total() == 30, "one model call a case and arm"
        shutil.rmtree(out)
    assert stops > 20


def test_stopped_after_any_report_and_continued_gives_the_same_predictions_none_made_twice(scenario, tmp_path):
    fake_run(scenario, tmp_path / "whole", quick=True, overrides=FEW_ARMS)
    expected, stops = texts(tmp_path / "whole"), 0
    for number in range(1, 200):
        out, engine = tmp_path / f"run{number}", FakeEngine()
        if not stopped(scenario, out, engine=engine, watcher=FakeWatcher(stop_at=number)):
            break
        stops += 1
        assert not stopped(scenario, out, engine=engine)
        assert texts(out) == expected, f"stopped at report {number}"
        assert eval_prompts(engine).total() == 30
        shutil.rmtree(out)
    assert stops > 10


def test_stopped_at_every_batch_in_turn_it_still_comes_to_its_end(scenario, tmp_path, out):
    """Each attempt gets two batches further than the one before."""
    fake_run(scenario, tmp_path / "whole", quick=True, overrides=FEW_ARMS)
    engine, attempts = FakeEngine(), 0
    for number in range(1, 200, 2):
        engine.fake.before_batch = interrupted_at(number)
        attempts += 1
        if not stopped(scenario, out, engine=engine):
            break
    assert attempts > 5
    assert texts(out) == texts(tmp_path / "whole")
    assert eval_prompts(engine).total() == 30


def stopped_while_answering(arm, scenario, out):
    """The engine of a run that was stopped at the first batch of this arm, with all arms prepared."""
    engine, watcher = FakeEngine(), FakeWatcher()
    stop = interrupted_at(1)
    engine.fake.before_batch = lambda prompts: stop(prompts) if f"answer {arm}" in watcher.stages else None
    assert stopped(scenario, out, engine=engine, watcher=watcher)
    engine.fake.before_batch = None
    return engine


def prepared_again(scenario, out, *, engine):
    """The arms that the continued run prepares."""
    watcher = FakeWatcher()
    assert not stopped(scenario, out, engine=engine, watcher=watcher)
    return [stage.removeprefix("prepare ") for stage in watcher.stages if stage.startswith("prepare")]


def test_an_arm_that_was_prepared_is_not_prepared_again(scenario, out):
    engine = stopped_while_answering("lora", scenario, out)
    assert prepared_again(scenario, out, engine=engine) == []
    assert [len(tuner.seen) for tuner in engine.tuners] == [1, 0]


def torn(path):
    path.write_bytes(path.read_bytes()[:-20])


def changed(path):
    path.write_bytes(path.read_bytes().replace(b"City", b"Town"))


def gone(path):
    path.unlink()


def gone_with_its_folder(path):
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("damage", [torn, changed, gone, gone_with_its_folder])
def test_an_adapter_that_is_not_as_it_was_trained_is_tuned_again(scenario, tmp_path, out, damage):
    fake_run(scenario, tmp_path / "whole", quick=True, overrides=FEW_ARMS)
    engine = stopped_while_answering("lora", scenario, out)
    adapter = out / "adapters" / "lora" / ADAPTER_FILE
    trained = adapter.read_bytes()
    damage(adapter)
    assert prepared_again(scenario, out, engine=engine) == ["lora"]
    assert [len(tuner.seen) for tuner in engine.tuners] == [1, 1]
    assert adapter.read_bytes() == trained
    assert texts(out) == texts(tmp_path / "whole")


def test_a_torn_last_line_is_answered_again(scenario, tmp_path, out):
    fake_run(scenario, tmp_path / "whole")
    fake_run(scenario, out)
    (out / "verdict.json").unlink()
    path = out / "predictions.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    fake_run(scenario, out)
    assert texts(out) == texts(tmp_path / "whole")


def test_without_a_folder_given_the_same_command_finds_its_unfinished_run(scenario, tmp_path):
    runs = tmp_path / "runs"
    options = RunOptions(runs_folder=runs, use_cache=False, quick=True, overrides=FEW_ARMS)
    engine = FakeEngine()
    engine.fake.before_batch = interrupted_at(15)
    with pytest.raises(KeyboardInterrupt):
        run_prepared(prepared(scenario, options=options, engine=engine), options=options, watcher=Silent())
    finished = run_prepared(prepared(scenario, options=options, engine=engine), options=options, watcher=Silent())
    assert [finished.folder.path] == list(runs.iterdir())


@pytest.mark.parametrize(
    "kept",
    [
        (),
        (".run.json-x",),
        ("run.json",),
        ("run.json", "rule.json", ".cases.jsonl-x"),
        ("run.json", "rule.json", "cases.jsonl"),
        ("run.json", "rule.json", "cases.jsonl", "plan.json"),
    ],
    ids=" ".join,
)
def test_a_run_killed_while_it_began_is_continued(scenario, tmp_path, out, kept):
    fake_run(scenario, tmp_path / "whole", quick=True, overrides=FEW_ARMS)
    out.mkdir()
    for name in (*kept, ".lock"):
        (out / name).write_bytes((tmp_path / "whole" / name).read_bytes() if name[0] != "." else b"")
    assert not stopped(scenario, out, engine=FakeEngine())


def test_a_damaged_run_beside_it_does_not_stop_a_new_one(scenario, tmp_path):
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "runs" / "old" / "run.json").write_text("{")
    options = RunOptions(runs_folder=tmp_path / "runs", use_cache=False, quick=True, overrides=FEW_ARMS)
    run_prepared(prepared(scenario, options=options), options=options, watcher=Silent())


@pytest.mark.parametrize("line", ["target = 1", "target = 0"])
def test_a_whole_number_in_the_rule_is_as_good_as_a_fraction(scenario, out, line):
    with (scenario / "scenario.toml").open("a") as stream:
        stream.write(f"{line}\n")
    fake_run(scenario, out, quick=True, overrides=FEW_ARMS)
