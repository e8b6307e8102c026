"""An adapter counts as whole only where every one of its files is as it was when the tuning ended."""

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines.adapters import DIGESTS, is_whole
from harness.engines.local import LocalTuner
from harness.records import Recipe
from harness.scenario import TuningWish
from harness.tuning.checkpoint import FOLDER
from harness.tuning.examples import TrainingText

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

EXAMPLES = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(12)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))


def tuned(tiny, folder, *, use_cache=True):
    tuner = LocalTuner(tiny, folder, False, 0, TuningWish(epochs=1, rank=2, learning_rate=1e-3), use_cache)
    return tuner("lora", EXAMPLES, dev=(), notify=lambda *_: None)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", DIGESTS])
@pytest.mark.parametrize("taken", [False, True], ids=["trained", "taken from an earlier run"])
def test_one_with_any_file_changed_or_lost_is_not_whole(tiny, tmp_path, name, taken):
    if taken:
        tuned(tiny, tmp_path / "before")
    recipe = tuned(tiny, tmp_path / "run")
    assert is_whole(tmp_path / "run", recipe)
    file = tmp_path / "run" / recipe.adapter / name
    data = file.read_bytes()
    for damaged in (data[:-1], data.replace(b"2", b"4", 1)):
        file.write_bytes(damaged)
        assert not is_whole(tmp_path / "run", recipe)
    file.unlink()
    assert is_whole(tmp_path / "run", recipe) is (name == DIGESTS)


def test_where_an_adapter_is_taken_from_an_earlier_run_no_checkpoint_stays(tiny, tmp_path):
    tuned(tiny, tmp_path / "before")
    left = tmp_path / "run" / "adapters" / "lora" / FOLDER
    left.mkdir(parents=True)
    assert is_whole(tmp_path / "run", tuned(tiny, tmp_path / "run"))
    assert not left.exists()


def test_a_recipe_without_an_adapter_has_nothing_to_lose(tmp_path):
    assert is_whole(tmp_path, Recipe("prompt"))


def test_a_folder_of_an_earlier_version_is_judged_by_its_weights(tiny, tmp_path):
    recipe = tuned(tiny, tmp_path)
    (tmp_path / recipe.adapter / DIGESTS).unlink()
    assert is_whole(tmp_path, recipe)
    (tmp_path / recipe.adapter / "adapter_model.safetensors").write_bytes(b"x")
    assert not is_whole(tmp_path, recipe)
