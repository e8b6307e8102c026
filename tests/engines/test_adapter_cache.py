"""Adapters are trained once for the same examples and settings, and never taken for others."""

from dataclasses import replace

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines import adapters
from harness.engines.local import LocalTuner
from harness.scenario import TuningWish
from harness.tuning.examples import TrainingText

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

EXAMPLES = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(12)]
WISH = TuningWish(epochs=1, rank=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))


def tuned(tiny, folder, *, examples=EXAMPLES, arm="lora", **changes):
    tuner = replace(LocalTuner(tiny, folder, False, 0, WISH, True), **changes)
    return tuner(arm, examples, dev=(), notify=lambda *_: None)


def weights(folder, arm="lora"):
    return (folder / "adapters" / arm / "adapter_model.safetensors").read_bytes()


def test_the_second_time_the_adapter_is_taken_from_the_first(tiny, tmp_path):
    made = tuned(tiny, tmp_path / "a")
    again = tuned(tiny, tmp_path / "b", arm="other")
    assert weights(tmp_path / "a") == weights(tmp_path / "b", "other")
    assert again == replace(made, arm="other", adapter="adapters/other", notes=(*made.notes, adapters.TAKEN))


@pytest.mark.parametrize(
    "change",
    [
        {"examples": EXAMPLES[:-1]},
        {"seed": 1},
        {"wish": replace(WISH, rank=4)},
        {"wish": replace(WISH, epochs=2)},
        {"wish": replace(WISH, learning_rate=2e-3)},
        {"use_cache": False},
    ],
    ids=str,
)
def test_another_training_is_made(tiny, tmp_path, change):
    tuned(tiny, tmp_path / "a")
    assert adapters.TAKEN not in tuned(tiny, tmp_path / "b", **change).notes


def test_a_damaged_adapter_is_trained_again(tiny, tmp_path, own_cache):
    made = tuned(tiny, tmp_path / "a")
    for file in (own_cache / "adapters").glob("*/adapter_model.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    again = tuned(tiny, tmp_path / "b")
    assert adapters.TAKEN not in again.notes
    assert again.adapter_digest == made.adapter_digest


@pytest.mark.parametrize("name", ["adapter_config.json", "recipe.json", adapters.DIGESTS])
def test_an_adapter_with_any_other_file_changed_is_trained_again(tiny, tmp_path, own_cache, name):
    tuned(tiny, tmp_path / "a")
    for file in (own_cache / "adapters").glob(f"*/{name}"):
        data = file.read_bytes()
        file.write_bytes(data.replace(b"2", b"4", 1) if b"2" in data else data + b" ")
    assert adapters.TAKEN not in tuned(tiny, tmp_path / "b").notes


def test_only_the_latest_are_kept(tiny, tmp_path, own_cache, monkeypatch):
    monkeypatch.setattr(adapters, "MOST", 2)
    for seed in range(4):
        tuned(tiny, tmp_path / str(seed), seed=seed)
    assert len(list((own_cache / "adapters").iterdir())) == 2


def test_what_the_scenario_settles_is_done(tiny, tmp_path):
    made = tuned(tiny, tmp_path / "a")
    chosen = {choice.setting: choice.chosen for choice in made.choices}
    assert chosen == {"learning rate": "0.001", "epochs": "1"}
    assert "as scenario.toml has it, at most 1" in made.notes[0]
