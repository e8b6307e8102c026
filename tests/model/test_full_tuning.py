"""All weights tuned: it learns, the network comes out as it was, and the set is taken in and out without trace."""

import hashlib
from dataclasses import replace

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines.local import OTHER_RATE, LocalEngine, LocalTuner
from harness.errors import ArmFailed
from harness.generation.decode import LocalTextModel
from harness.models.bundled import file_digest
from harness.scenario import TuningWish
from harness.tuning import full
from harness.tuning.examples import TrainingText
from harness.tuning.full import FULL_TUNING, MARKER, RATES, is_full, swapped, tune_all_weights
from harness.tuning.lora import WEIGHTS_FILE, TuningSettings, dev_loss, encode_rows, merged, row_set, tune

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

QUICK = TuningSettings(learning_rates=(3e-3,), epochs=3, rows=8, full=True)


def pairs(n, *, start=0):
    """Prompts with a long shared beginning; the answer can be learnt."""
    colours = ["red", "blue"]
    head = "<|system|>Name the colour of the thing, in one word and nothing else.<|end|><|user|>"
    return [
        TrainingText(f"{head}thing {colours[k % 2]}{k}<|end|><|assistant|>", colours[k % 2])
        for k in range(start, start + n)
    ]


TRAIN, DEV = pairs(32), pairs(8, start=32)


def weights(loaded):
    """A digest of every weight's bits."""
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(loaded.network.state_dict().items()):
        total.update(name.encode() + tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def in_bf16(loaded):
    """The same model as it is where the processor has bf16 units."""
    import torch

    loaded.network.to(torch.bfloat16)
    return replace(
        loaded,
        machine=replace(loaded.machine, dtype="bfloat16"),
        description=replace(loaded.description, dtype="bfloat16"),
    )


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def tiny(request, tmp_path_factory):
    loaded = load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))
    return loaded if request.param == "float32" else in_bf16(loaded)


@pytest.fixture(scope="module")
def tuned(tiny, tmp_path_factory):
    """One tuned set, with the weights' digest before it was trained."""
    before = weights(tiny)
    out = tmp_path_factory.mktemp("adapters") / "full_tuning"
    return before, tune_all_weights(tiny, TRAIN, dev=DEV, settings=QUICK, out=out)


def loss(loaded):
    return dev_loss(loaded, loaded.network, row_set(encode_rows(loaded, DEV)))


def texts(loaded):
    model = LocalTextModel(loaded)
    job = model.start([pair.prompt for pair in pairs(12, start=50)], max_new_tokens=6)
    return [done.text for batch in job.batches for done in job.answer(batch)]


def test_tuning_lowers_the_loss_on_dev_and_leaves_the_network_as_it_was(tiny, tuned):
    before, result = tuned
    assert min(result.dev_losses) == result.dev_losses[result.epochs] < 0.5 * result.dev_losses[0]
    assert weights(tiny) == before
    assert not any(p.requires_grad or p.grad is not None for p in tiny.network.parameters())


def test_what_is_saved_is_what_was_tried_on_dev_in_the_precision_that_it_computes_in(tiny, tuned):
    from safetensors.torch import load_file

    result = tuned[1]
    assert {p.name for p in result.folder.iterdir()} == {WEIGHTS_FILE, MARKER}
    saved = load_file(result.folder / WEIGHTS_FILE)
    assert {t.dtype for t in saved.values()} == {next(tiny.network.parameters()).dtype}
    assert file_digest(result.folder / WEIGHTS_FILE) == result.digest
    with swapped(tiny, result.folder):
        assert loss(tiny) == pytest.approx(min(result.dev_losses), rel=1e-3)


def test_every_weight_has_learnt(tiny, tuned):
    from safetensors.torch import load_file

    saved = load_file(tuned[1].folder / WEIGHTS_FILE)
    assert not [name for name, p in tiny.network.named_parameters() if saved[name].equal(p.detach())]


def test_a_tuned_set_changes_the_answers_and_leaves_no_trace(tiny, tuned):
    before, plain = weights(tiny), texts(tiny)
    for _ in range(2):
        with swapped(tiny, tuned[1].folder):
            assert weights(tiny) != before
            assert texts(tiny) != plain
        assert weights(tiny) == before
        assert texts(tiny) == plain


def test_it_leaves_no_trace_after_an_error_either(tiny, tuned, tmp_path):
    def stop(what, share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), swapped(tiny, tuned[1].folder):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        tune_all_weights(tiny, TRAIN, dev=DEV, settings=QUICK, out=tmp_path, progress=stop)
    assert weights(tiny) == tuned[0]
    assert not any(p.requires_grad for p in tiny.network.parameters())


def test_the_same_seed_makes_the_same_set_and_adapters_between_change_nothing(tiny, tuned, tmp_path):
    adapter = tune(tiny, TRAIN, dev=DEV, settings=replace(QUICK, full=False, rank=2), out=tmp_path / "lora")
    assert not is_full(adapter.folder)
    with merged(tiny, adapter.folder), swapped(tiny, tuned[1].folder):
        assert is_full(tuned[1].folder)
    again = tune_all_weights(tiny, TRAIN, dev=DEV, settings=QUICK, out=tmp_path / "full")
    assert again.digest == tuned[1].digest


def test_where_no_pass_helps_the_set_is_the_base(tiny, tuned, tmp_path):
    result = tune_all_weights(tiny, TRAIN, dev=DEV, settings=replace(QUICK, learning_rates=(1e30,)), out=tmp_path)
    assert result.epochs == 0
    with swapped(tiny, tmp_path):
        assert weights(tiny) == tuned[0]


def test_the_engine_answers_under_a_set_as_under_an_adapter(tiny, tuned):
    engine = LocalEngine("tiny")
    engine.__dict__["loaded"] = tiny
    with engine.adapted(tuned[1].folder):
        assert weights(tiny) != tuned[0]
    with engine.adapted(None):
        assert weights(tiny) == tuned[0]


def test_a_set_of_another_network_is_refused(tiny, tuned, tmp_path):
    from safetensors.torch import load_file, save_file

    saved = load_file(tuned[1].folder / WEIGHTS_FILE)
    saved.popitem()
    save_file(saved, tmp_path / WEIGHTS_FILE)
    with pytest.raises(ArmFailed, match="not of the model"), swapped(tiny, tmp_path):
        pass
    assert weights(tiny) == tuned[0]


def test_too_little_memory_is_said_before_anything_is_touched(tiny, tuned, tmp_path, monkeypatch):
    size = sum(p.numel() for p in tiny.network.parameters())
    monkeypatch.setattr(full, "_free_memory", lambda network: 2 * 16 * size - 1)
    with pytest.raises(ArmFailed, match=r"more than half of the .* GiB that are free"):
        tune_all_weights(tiny, TRAIN, dev=DEV, settings=QUICK, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    monkeypatch.setattr(full, "_free_memory", lambda network: 2 * 16 * size)
    full.check_memory(tiny.network)


def tuner(tiny, folder, **changes):
    return replace(LocalTuner(tiny, folder, False, 0, TuningWish(epochs=1), True), **changes)


def test_the_tuner_knows_the_arm_by_its_name_and_keeps_no_whole_set_between_runs(tiny, tmp_path, own_cache):
    for side in ("a", "b"):
        recipe = tuner(tiny, tmp_path / side)(FULL_TUNING, TRAIN[:8], dev=(), notify=lambda *_: None)
        folder = tmp_path / side / recipe.adapter
        assert is_full(folder)
        assert file_digest(folder / WEIGHTS_FILE) == recipe.adapter_digest
        assert recipe.choices[0].chosen == f"{RATES[0]:g}"
    assert not (own_cache / "adapters").exists()


def test_an_adapter_of_the_same_examples_is_never_taken_for_a_set(tiny, tmp_path):
    for arm in ("lora", FULL_TUNING, "lora"):
        recipe = tuner(tiny, tmp_path / arm)(arm, TRAIN[:8], dev=(), notify=lambda *_: None)
        assert is_full(tmp_path / arm / recipe.adapter) is (arm == FULL_TUNING)


def test_the_rate_wished_for_adapters_is_not_taken_and_that_is_said(tiny, tmp_path):
    wish = TuningWish(epochs=1, learning_rate=1e-3)
    recipe = tuner(tiny, tmp_path, wish=wish)(FULL_TUNING, TRAIN[:8], dev=(), notify=lambda *_: None)
    assert OTHER_RATE in recipe.notes
    assert recipe.choices[0].chosen == f"{RATES[0]:g}"
