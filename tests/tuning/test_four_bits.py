"""Weights in four bits: they load, answer, are tuned beside and answered beside, and come out as they were."""

import hashlib

import pytest
from tiny_llama import save_tiny_llama

from harness.engines.local import LocalEngine, LocalTuner, held_in
from harness.errors import ArmFailed, MissingModel
from harness.generation import attention
from harness.generation.decode import LocalTextModel
from harness.models.local import in_four_bits, load_model
from harness.scenario import TuningWish
from harness.tuning.examples import TrainingText
from harness.tuning.full import tune_all_weights
from harness.tuning.lora import TuningSettings, tune

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

SETTINGS = TuningSettings(rank=4, alpha=8, learning_rates=(5e-3,), epochs=3, rows=8)
TRAIN = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(32)]
DEV = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(40, 48)]
PROMPTS = [text.prompt for text in DEV]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def four(folder):
    pytest.importorskip("bitsandbytes")
    return load_model(str(folder), bits=4)


def digest(loaded):
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(loaded.network.named_parameters()):
        total.update(name.encode() + tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def texts(loaded):
    job = LocalTextModel(loaded).start(PROMPTS, max_new_tokens=8)
    return [done.text for batch in job.batches for done in job.answer(batch)]


def test_it_is_another_model_and_counts_its_parameters_as_before(folder, four):
    plain = load_model(str(folder))
    assert in_four_bits(four.network)
    assert not in_four_bits(plain.network)
    assert four.description.dtype.startswith("nf4 in ")
    assert four.description.parameters == plain.description.parameters
    held = [sum(p.numel() * p.element_size() for p in one.network.parameters()) for one in (four, plain)]
    assert held[0] < held[1]


def test_the_fast_way_of_answering_gives_what_plain_generation_gives(four):
    import torch

    assert attention.ready(four.network)
    for prompt, text in zip(PROMPTS, texts(four), strict=True):
        ids = torch.tensor([four.encode(prompt)])
        with torch.inference_mode():
            made = four.network.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8,
                eos_token_id=sorted(four.stop_ids), pad_token_id=0,
            )[0, ids.shape[1] :]  # fmt: skip
        kept = [token for token in made.tolist() if token not in four.stop_ids]
        assert four.tokenizer.decode(kept, skip_special_tokens=True).strip() == text


def test_an_adapter_is_tuned_beside_them_and_answers_beside_them(four, folder, tmp_path):
    before, plain = digest(four), texts(four)
    result = tune(four, TRAIN, dev=DEV, settings=SETTINGS, out=tmp_path / "a")
    assert min(result.dev_losses) < 0.7 * result.dev_losses[0]
    assert digest(four) == before
    engine = LocalEngine(str(folder), bits=4)
    engine.__dict__["loaded"] = four
    for _ in range(2):
        with engine.adapted(result.folder):
            tuned = texts(four)
        assert tuned != plain
        assert texts(four) == plain
    assert digest(four) == before
    assert not [name for name, _ in four.network.named_parameters() if "lora" in name]
    assert tune(four, TRAIN, dev=DEV, settings=SETTINGS, out=tmp_path / "b").digest == result.digest


def test_all_weights_cannot_be_tuned(four, tmp_path):
    with pytest.raises(ArmFailed, match="held in four bits cannot all be tuned"):
        tune_all_weights(four, TRAIN, dev=DEV, settings=SETTINGS, out=tmp_path)


def test_the_whole_tuner_takes_them(four, tmp_path):
    wish = TuningWish(epochs=1, rank=2, learning_rate=1e-3, bits=4)
    recipe = LocalTuner(four, tmp_path, False, 0, wish)("lora", TRAIN, dev=DEV, notify=lambda *_: None)
    assert recipe.train_examples == len(TRAIN)


def test_the_engine_holds_them_so_where_the_scenario_says_so(folder):
    engine = LocalEngine(str(folder))
    assert held_in(engine, 4) == LocalEngine(str(folder), bits=4)
    assert held_in(engine, None) is engine


def test_without_the_package_it_says_what_to_install(folder, monkeypatch):
    import transformers

    def missing(*given, **options):
        raise ImportError("no bitsandbytes")

    monkeypatch.setattr(transformers, "BitsAndBytesConfig", missing)
    with pytest.raises(MissingModel, match="needs the package bitsandbytes"):
        load_model(str(folder), bits=4)
