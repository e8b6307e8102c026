"""`--retry-errors`: what failed is made again, and nothing else."""

import os
import random

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, prepared, tiny_scenario, write_scenario_files
from run_builders import FEW_ARMS, eval_prompts

from harness.errors import UserError
from harness.experiment.budget import over_budget
from harness.experiment.options import RunOptions, Silent
from harness.experiment.run import run_prepared
from harness.records import Prediction
from harness.scenario_file.read import Overrides
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")

TRIES = int(os.environ.get("BAKEOFF_TRIES", "4"))
"""The torture tier sets 200."""


def failing_on(*numbers):
    return FakeEngine(FakeModel(fails_on=tuple(f"capital of Landia{n}?<|end|>\n<|assistant|>\n" for n in numbers)))


def made(folder):
    return {
        (arm, name): (one.text, one.error)
        for arm, found in RunFolder(folder).predictions().items()
        for name, one in found.items()
    }


def lines(out):
    return [(one.arm, one.case_id, one.error) for one in RunFolder(out).lines("predictions.jsonl", Prediction)]


def run(scenario, out, **options):
    return fake_run(scenario, out, **({"quick": True, "overrides": FEW_ARMS} | options))


def test_only_what_failed_is_asked_again_and_the_run_is_as_if_nothing_had_failed(scenario, tmp_path, out):
    whole = run(scenario, tmp_path / "whole")
    run(scenario, out, engine=failing_on(2, 5))
    failed = [line for line in lines(out) if line[2]]
    assert len(failed) == 6
    engine = FakeEngine()
    again = run(scenario, out, engine=engine, retry_errors=True)
    assert made(out) == made(tmp_path / "whole")
    assert eval_prompts(engine).total() == 6, "not the others of their batches"
    assert sum(len(batch) for batch in engine.fake.answered) == 6
    assert again.verdict.scores == whole.verdict.scores
    assert [line for line in lines(out) if line[2]] == failed, "the old errors stay in the file"
    assert any("6 predictions that had failed were made again" in note for note in again.verdict.notes)


def test_the_old_error_stands_until_the_retry_has_succeeded(scenario, out):
    run(scenario, out, engine=failing_on(2, 5))
    before = made(out)
    again = run(scenario, out, engine=failing_on(2, 5), retry_errors=True)
    assert made(out) == before
    assert not any("made again" in note for note in again.verdict.notes)
    run(scenario, out, engine=failing_on(5), retry_errors=True)
    assert {case for (_, case), (_, error) in made(out).items() if error} == {"e5"}


def test_without_the_option_a_finished_run_stays_as_it_is(scenario, out):
    run(scenario, out, engine=failing_on(2))
    before = (out / "predictions.jsonl").read_bytes()
    run(scenario, out, engine=FakeEngine(model_is_there=False))
    assert (out / "predictions.jsonl").read_bytes() == before


def test_where_nothing_failed_no_model_is_touched(scenario, out):
    run(scenario, out)
    watcher = FakeWatcher()
    run(scenario, out, engine=FakeEngine(model_is_there=False), watcher=watcher, retry_errors=True)
    assert "Nothing failed in" in watcher.notes[0]


def test_an_arm_that_could_not_be_prepared_is_prepared_again_timed_and_takes_part(scenario, tmp_path, out):
    whole = run(scenario, tmp_path / "whole")
    first = run(scenario, out, engine=FakeEngine(tuning_fails=True))
    assert [one.arm for one in first.verdict.left_out] == ["lora"]
    watcher = FakeWatcher()
    again = run(scenario, out, watcher=watcher, retry_errors=True)
    assert [stage for stage in watcher.stages if stage.startswith(("prepare", "answer"))] == [
        "prepare lora",
        "answer lora",
    ]
    assert again.verdict.left_out == ()
    assert made(out) == made(tmp_path / "whole")
    assert {sample.arm for sample in again.folder.latency()} == {"dummy", "prompt", "few_shot", "lora"}
    assert len(again.folder.latency()) == len(whole.folder.latency())


@pytest.fixture
def many(tmp_path):
    return write_scenario_files(tmp_path / "many", tiny_scenario(cases=40, train=30))


def test_an_arm_that_was_stopped_for_its_errors_goes_on_and_takes_part(many, tmp_path, out):
    whole = run(many, tmp_path / "whole")
    first = run(many, out, engine=failing_on(*range(40)))
    assert {one.arm for one in first.verdict.left_out} == {"prompt", "few_shot", "lora"}
    assert first.verdict.kind == "could_not_compare"
    again = run(many, out, retry_errors=True)
    assert made(out) == made(tmp_path / "whole")
    assert (again.verdict.left_out, again.verdict.kind) == ((), whole.verdict.kind)
    assert over_budget(again.folder) == {}
    assert "takes no part" not in " ".join(again.verdict.sentences)


def test_an_arm_that_is_still_broken_is_stopped_again(many, out):
    run(many, out, engine=failing_on(*range(40)))
    again = run(many, out, engine=failing_on(*range(40)), retry_errors=True)
    assert len(again.verdict.left_out) == 3
    assert len(again.folder.predictions()["prompt"]) == 12


@pytest.mark.parametrize("number", range(TRIES))
def test_a_retry_that_is_interrupted_is_completed_by_the_next_one(many, tmp_path, number):
    out, draw = tmp_path / "run", random.Random(number)
    run(many, tmp_path / "whole")
    bad = draw.sample(range(40), draw.randint(1, 40))
    run(many, out, engine=failing_on(*bad))
    with pytest.raises(KeyboardInterrupt):
        run(many, out, watcher=FakeWatcher(stop_at=draw.randint(1, 4)), retry_errors=True)
    if draw.random() < 0.5:
        run(many, out)
    run(many, out, retry_errors=True)
    assert made(out) == made(tmp_path / "whole")


def test_with_no_folder_named_the_latest_run_of_the_same_key_is_retried(scenario, tmp_path):
    options = RunOptions(runs_folder=tmp_path / "runs", use_cache=False, quick=True, overrides=FEW_ARMS)
    engine = failing_on(2)
    first = run_prepared(prepared(scenario, options=options, engine=engine), options=options, watcher=Silent())
    retry = RunOptions(
        runs_folder=tmp_path / "runs", use_cache=False, quick=True, overrides=FEW_ARMS, retry_errors=True
    )
    again = run_prepared(prepared(scenario, options=retry), options=retry, watcher=Silent())
    assert again.folder.path == first.folder.path
    assert not any(error for _, error in made(again.folder.path).values())


def test_without_a_run_to_retry_the_user_is_told(scenario, tmp_path):
    with pytest.raises(UserError, match=r"and .*nothing is none \(no run.json\)"):
        run(scenario, tmp_path / "nothing", retry_errors=True)
    assert not (tmp_path / "nothing").exists()
    options = RunOptions(runs_folder=tmp_path / "runs", use_cache=False, retry_errors=True, overrides=FEW_ARMS)
    with pytest.raises(UserError, match="holds none of this scenario with these settings"):
        run_prepared(prepared(scenario, options=options), options=options, watcher=Silent())


def test_with_early_stopping_failed_predictions_are_made_again_too(many, tmp_path, out):
    toml = many / "scenario.toml"
    toml.write_text(toml.read_text() + "[experiments]\nstop_early = true\n")
    overrides = Overrides(arms=("prompt", "few_shot"))
    run(many, tmp_path / "whole", overrides=overrides)
    run(many, out, overrides=overrides, engine=failing_on(1, 7, 30))
    run(many, out, overrides=overrides, retry_errors=True)
    assert made(out) == made(tmp_path / "whole")
