"""From a scenario to a workbench."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from fakes import FakeEmbedder, FakeModel, FakeWatcher, tiny_bench, tiny_scenario

from harness.arms.registry import ARMS
from harness.errors import MissingModel, UserError
from harness.experiment.options import RunOptions, Silent
from harness.experiment.setup import (
    FEWEST_TO_TUNE,
    LONGEST_ANSWER,
    LONGEST_UNSEEN,
    audited,
    build_bench,
    choose_framing,
    embedder_for,
    lineup,
    longest_answer,
)
from harness.generation.prompts import Framing
from harness.scenario import Case, Kind
from harness.store import RunFolder

# the line-up


def reasons(scenario, **options):
    return {left.arm: left.reason for left in lineup(scenario, **options).left_out}


def test_with_everything_there_all_arms_take_part_control_first_then_the_ladder():
    assert lineup(tiny_scenario()).arms == tuple(ARMS)
    assert lineup(tiny_scenario()).left_out == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"documents": False}, {"rag_lora": "no documents"}),
        (
            {"train": 0},
            dict.fromkeys(["few_shot", "nearest_shots", "lora", "rag_lora"], r"no training examples \(train.jsonl\)"),
        ),
        ({"train": FEWEST_TO_TUNE - 1}, dict.fromkeys(["lora", "rag_lora"], "9 training examples.*at least 10")),
        (
            {"train": 0, "documents": False},
            dict.fromkeys(["few_shot", "nearest_shots", "lora", "rag_lora"], "no training examples")
            | {"rag": "nothing to retrieve from"},
        ),
    ],
    ids=["no documents", "no train", "little train", "only eval"],
)
def test_an_arm_without_what_it_needs_is_left_out_with_the_reason(changes, expected):
    found = reasons(tiny_scenario(**changes))
    assert set(found) == set(expected)
    for name, pattern in expected.items():
        assert re.search(pattern, found[name])


def test_a_model_that_cannot_be_tuned_leaves_the_tuned_arms_out():
    assert reasons(tiny_scenario(), can_tune=False) == dict.fromkeys(
        ["lora", "rag_lora"], "this model cannot be tuned here"
    )


def test_arms_that_were_not_asked_for_are_not_mentioned_and_the_control_always_takes_part():
    places = lineup(tiny_scenario(arms=("rag_lora", "prompt"), documents=False))
    assert places.arms == ("dummy", "prompt")
    assert [left.arm for left in places.left_out] == ["rag_lora"]


def test_arms_stand_in_ladder_order_however_they_were_named():
    assert lineup(tiny_scenario(arms=("lora", "prompt", "dummy", "rag"))).arms == ("dummy", "prompt", "rag", "lora")


def test_an_unknown_arm_is_the_users_mistake():
    with pytest.raises(UserError, match="no arm 'bag'"):
        lineup(tiny_scenario(arms=("bag",)))


# leaks


def test_training_rows_that_are_eval_cases_are_removed_and_counted_and_eval_stays():
    scenario = tiny_scenario()
    leaked = replace(scenario, train=(*scenario.train, Case("leak", scenario.cases[0].input.upper(), "x")))
    for embedder in (None, FakeEmbedder()):
        found, report = audited(leaked, embedder)
        assert found.train == scenario.train
        assert found.cases == scenario.cases
        assert [(row.train_id, row.eval_id) for row in found.removed] == [("leak", "e0")]
        assert report.n_train == len(leaked.train)


# the embedder


@pytest.mark.parametrize("arms", [("dummy", "prompt", "lora"), ()])
def test_a_missing_embedder_is_no_obstacle_where_no_arm_retrieves(arms, tmp_path):
    watcher = FakeWatcher()
    assert embedder_for(tiny_scenario(embedder=str(tmp_path)), arms, watcher=watcher) is None
    assert "Near duplicates" in watcher.notes[0]


def test_a_missing_embedder_is_named_where_an_arm_needs_it(tmp_path):
    with pytest.raises(MissingModel, match="safetensors"):
        embedder_for(tiny_scenario(embedder=str(tmp_path)), ("prompt", "rag"), watcher=Silent())


# the longest answer


@pytest.mark.parametrize(
    ("outputs", "said", "expected"),
    [
        (["one two"] * 20, None, 11),
        (["w " * 1000] * 20, None, LONGEST_ANSWER),
        (["w"] * 99 + ["w " * 500], None, 10),
        (["w"] * 20, 77, 77),
    ],
    ids=["a quarter and 8 more", "at most 256", "an outlier does not count", "the scenario decides"],
)
def test_how_long_an_answer_may_be(outputs, said, expected):
    train = tuple(Case(f"t{n}", "x", output) for n, output in enumerate(outputs))
    assert longest_answer(replace(tiny_scenario(max_new_tokens=said), train=train), FakeModel()) == expected


def test_json_may_take_twice_its_length():
    train = tuple(Case(f"t{n}", "x", "one two") for n in range(20))
    scenario = replace(tiny_scenario(max_new_tokens=None, kind=Kind.JSON), train=train)
    assert longest_answer(scenario, FakeModel()) == 2 * 2 + 8


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("output", ["one", "w " * 1000], ids=["short", "long"])
def test_without_training_rows_the_kind_says_how_long_an_answer_may_be_never_the_eval_outputs(kind, output):
    scenario = replace(tiny_scenario(max_new_tokens=None, train=0, kind=kind), cases=(Case("e", "x", output),))
    assert longest_answer(scenario, FakeModel()) == LONGEST_UNSEEN[kind] <= LONGEST_ANSWER


@pytest.mark.parametrize("output", ["yes", "w " * 1000], ids=["short", "long"])
def test_without_training_rows_the_labels_say_how_long_an_answer_may_be(output):
    scenario = tiny_scenario(max_new_tokens=None, train=0, kind=Kind.LABELS, labels=("yes", "no", "not at all sure"))
    assert longest_answer(replace(scenario, cases=(Case("e", "x", output),)), FakeModel()) == 5 + 8


# the framing


class Marked(FakeModel):
    """Right only where the input is marked."""

    def reply(self, prompt):
        number = prompt.rsplit("Landia", 1)[1].split("?")[0]
        return f"City{number}" if "Input: " in prompt else "unknown"


def test_the_framing_that_serves_the_plain_prompt_best_on_dev_is_taken():
    choice = choose_framing(tiny_bench(model=Marked()))
    assert choice.chosen == Framing.MARKED
    assert {trial.value: trial.score for trial in choice.tried} == {"system": 0, "user": 0, "marked": 1}


def test_between_equal_framings_the_first_is_taken():
    assert choose_framing(tiny_bench()).chosen == Framing.SYSTEM


def test_without_dev_rows_the_first_framing_is_taken_untried():
    bench = replace(tiny_bench(), dev=())
    assert choose_framing(bench).chosen == Framing.SYSTEM
    assert bench.model.answered == []


@pytest.mark.usefixtures("own_cache")
def test_the_bench_holds_dev_rows_out_and_uses_the_chosen_framing(tmp_path):
    scenario = tiny_scenario()
    bench = build_bench(
        scenario,
        model=Marked(),
        embedder=FakeEmbedder(),
        folder=RunFolder(tmp_path),
        options=RunOptions(use_cache=False),
        watcher=Silent(),
    )
    assert bench.framing is Framing.MARKED
    assert bench.framing_choice[0].setting == "framing"
    assert len(bench.dev) == 8
    assert set(bench.train) | set(bench.dev) == set(scenario.train)
    shown = " ".join(prompt for batch in bench.model.answered for prompt in batch)
    assert not any(case.input in shown for case in scenario.cases), "no eval case is looked at"


def test_a_model_that_fails_on_one_dev_prompt_still_gets_a_framing():
    bench = tiny_bench()
    bench.model.fails_on = (bench.dev[0].input,)
    assert choose_framing(bench).chosen == Framing.SYSTEM


@pytest.mark.parametrize("module", ["harness.experiment.setup", "harness.experiment.run", "harness.engines.local"])
def test_importing_loads_no_model_library(module):
    heavy = ("torch", "transformers", "peft", "sentence_transformers", "faiss")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "[]"
