"""A search for rank and learning rate, on dev only."""

import sys

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines.local import LocalTuner
from harness.errors import MissingModel
from harness.scenario import TuningWish
from harness.tuning.examples import TrainingText
from harness.tuning.lora import TuningSettings
from harness.tuning.sweep import RANKS, sweep

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

TRAIN = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(48)]
DEV = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(60, 72)]
SETTINGS = TuningSettings(rank=8, alpha=16, learning_rates=(1e-4,), rows=8, sweep=8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))


def test_the_pair_with_the_lowest_loss_goes_on_and_the_usual_one_is_among_those_tried(tiny):
    found = sweep(tiny, TRAIN, dev=DEV, settings=SETTINGS)
    assert len(found.tried) == 8
    assert found.settings.rank in RANKS
    assert found.settings.alpha == 2 * found.settings.rank
    assert found.tried[0][0] == f"rank {found.settings.rank}, rate {found.settings.learning_rates[0]:.2g}"
    losses = [loss for _, loss in found.tried]
    assert losses[1:] == sorted(losses[1:])
    assert losses[0] < losses[-1], "pairs differ, and the chosen one is among the good ones"
    assert "rank 8, rate 0.0001" in dict(found.tried)
    assert 0 < found.ended_early < 8


def test_the_same_seed_comes_to_the_same_pair_and_leaves_the_base_as_it_was(tiny):
    before = {name: tensor.clone() for name, tensor in tiny.network.named_parameters()}
    first, again = (sweep(tiny, TRAIN, dev=DEV, settings=SETTINGS) for _ in range(2))
    assert first == again
    assert all(bool((tensor == before[name]).all()) for name, tensor in tiny.network.named_parameters())


def test_a_tuned_arm_says_what_was_tried(tiny, tmp_path):
    tuner = LocalTuner(tiny, tmp_path, quick=True, seed=0, wish=TuningWish(sweep=6, epochs=1))
    recipe = tuner("lora", TRAIN, dev=DEV, notify=lambda *_: None)
    choice = next(one for one in recipe.choices if one.setting == "rank and learning rate")
    assert len(choice.tried) == 6
    assert choice.chosen == choice.tried[0].value
    assert choice.n == len(DEV)
    assert any(note.startswith("6 pairs of rank and learning rate were tried on dev") for note in recipe.notes)
    rank = int(choice.chosen.split(",")[0].removeprefix("rank "))
    config = (tmp_path / "adapters" / "lora" / "adapter_config.json").read_text()
    assert f'"r": {rank},' in config


def test_without_dev_rows_nothing_is_searched(tiny, tmp_path):
    tuner = LocalTuner(tiny, tmp_path, quick=True, seed=0, wish=TuningWish(sweep=6, epochs=1))
    recipe = tuner("lora", TRAIN[:16], dev=(), notify=lambda *_: None)
    assert [one.setting for one in recipe.choices] == ["learning rate", "epochs"]


def test_without_the_package_a_sentence_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingModel, match=r"bakeoff-advisor\[sweep\]"):
        sweep(tiny, TRAIN, dev=DEV, settings=SETTINGS)
