"""The tuner's budget: what does not fit is cut and noted, what fits is left alone."""

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines import local
from harness.engines.local import LocalTuner
from harness.tuning.examples import TrainingText
from harness.tuning.lora import TuningResult

pytestmark = pytest.mark.model

PER_ROW = 40
"""Tokens of a row: one a byte, a stop token after the answer, no shared beginning."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def budget(monkeypatch):
    """Sets the tokens that tuning may take, on any device."""

    def set_to(tokens):
        for name in ("BUDGET_CPU", "BUDGET_CPU_QUICK", "BUDGET_GPU"):
            monkeypatch.setattr(local, name, tokens)

    return set_to


def examples(n):
    return [TrainingText(f"{k:03}".ljust(PER_ROW - 5, "."), "good") for k in range(n)]


def shared_examples(n):
    """The same, but for a beginning of 320 tokens that all prompts share."""
    return [TrainingText("x" * 320 + text.prompt, text.answer) for text in examples(n)]


class Recorded:
    """Stands for `tune`: notes down what it was asked to do and trains nothing."""

    def __call__(self, loaded, examples, *, dev, settings, out, progress, key):
        out.mkdir(parents=True, exist_ok=True)
        self.examples, self.settings = list(examples), settings
        return TuningResult(out, "d" * 64, settings.learning_rates[0], 1, (), (), 0, 0.0)


@pytest.fixture
def tuned(tiny, tmp_path, monkeypatch):
    """Calls the tuner; gives its recipe and what it asked for."""

    def call(rows, *, quick=False, seed=0):
        recorded = Recorded()
        monkeypatch.setattr(local, "tune", recorded)
        recipe = LocalTuner(tiny, tmp_path, quick, seed)("lora", rows, dev=(), notify=lambda *_: None)
        assert recipe.train_examples == len(recorded.examples)
        return recipe, recorded

    return call


def test_what_fits_is_not_cut_and_nothing_is_noted(tuned):
    recipe, asked = tuned(examples(50))
    assert recipe.notes == ()
    assert asked.examples == examples(50)
    assert (len(asked.settings.learning_rates), asked.settings.epochs) == (2, 4)


def test_a_budget_that_just_suffices_cuts_no_examples_and_no_passes(tuned, budget):
    budget(PER_ROW * 50 * 4)
    recipe, asked = tuned(examples(50))
    assert (len(asked.examples), asked.settings.epochs) == (50, 4)
    assert not [note for note in recipe.notes if "examples" in note]


@pytest.mark.parametrize(("passes", "epochs"), [(3.9, 3), (2.0, 2), (1.2, 1)])
def test_passes_are_cut_before_examples(tuned, budget, passes, epochs):
    budget(int(PER_ROW * 50 * passes))
    recipe, asked = tuned(examples(50))
    assert (len(asked.examples), asked.settings.epochs) == (50, epochs)
    said = "1 pass" if epochs == 1 else f"{epochs} passes"
    held = f"{PER_ROW * 50 * passes:,.0f}"
    assert recipe.notes[0] == f"At most {said} over the examples, to hold tuning to {held} tokens."


def test_examples_are_cut_where_one_pass_is_too_much_and_the_notes_say_to_how_many(tuned, budget):
    budget(PER_ROW * 30)
    recipe, asked = tuned(examples(50))
    assert (len(asked.examples), asked.settings.epochs) == (30, 1)
    assert set(asked.examples) < set(examples(50))
    assert recipe.notes[:2] == (
        "Tuned on 30 of 50 examples: on this machine tuning is held to 1,200 tokens.",
        "At most 1 pass over the examples, to hold tuning to 1,200 tokens.",
    )


def test_the_examples_that_are_kept_are_drawn_by_the_seed(tuned, budget):
    budget(PER_ROW * 30)
    drawn = [tuned(examples(50), seed=seed)[1].examples for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_one_step_is_always_left(tuned, budget):
    budget(1)
    _, asked = tuned(examples(50))
    assert (len(asked.examples), asked.settings.epochs) == (16, 1)


def test_a_beginning_that_all_prompts_share_counts_once_a_step(tuned, budget):
    budget(50 * (PER_ROW + 320 // 16) * 4)
    recipe, asked = tuned(shared_examples(50))
    assert (len(asked.examples), asked.settings.epochs) == (50, 4)
    assert not [note for note in recipe.notes if "examples" in note]


def test_a_second_learning_rate_is_tried_only_where_it_takes_little_of_the_budget(tuned, budget):
    trials = 2 * 20 * 16 * PER_ROW
    for tokens, rates in ((3 * trials + 3, 2), (3 * trials, 1)):
        budget(tokens)
        recipe, asked = tuned(examples(50))
        assert len(asked.settings.learning_rates) == rates
        assert ["learning rate" in note for note in recipe.notes] == [True] * (rates == 1)


def test_a_quick_run_has_a_budget_of_its_own_and_one_learning_rate(tuned, monkeypatch):
    monkeypatch.setattr(local, "BUDGET_CPU_QUICK", PER_ROW * 30)
    monkeypatch.setattr(local, "BUDGET_GPU", PER_ROW * 30)
    _, asked = tuned(examples(50), quick=True)
    assert (len(asked.examples), len(asked.settings.learning_rates), asked.settings.epochs) == (30, 1, 1)


def test_a_real_adapter_is_trained_within_the_budget_and_said_where_it_lies(tiny, tmp_path, budget):
    from harness.models.bundled import file_digest

    budget(PER_ROW * 20)
    recipe = LocalTuner(tiny, tmp_path, False, 0)("lora", examples(50), dev=examples(4), notify=lambda *_: None)
    assert (recipe.arm, recipe.adapter, recipe.train_examples) == ("lora", "adapters/lora", 20)
    assert file_digest(tmp_path / "adapters" / "lora" / "adapter_model.safetensors") == recipe.adapter_digest
    assert recipe.train_tokens == PER_ROW * 20
    assert recipe.notes[0].startswith("Tuned on 20 of 50 examples")
    assert not any("lora" in name for name, _ in tiny.network.named_parameters())
