"""Layers computed again on the way back: the same loss and gradients, less kept, and nothing left changed."""

from dataclasses import replace

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.engines import local
from harness.engines.local import LocalTuner
from harness.generation import attention
from harness.models.shape import shape_from
from harness.tuning import memory
from harness.tuning.examples import TrainingText
from harness.tuning.full import tune_all_weights
from harness.tuning.lora import TuningSettings, recomputing, tune

pytestmark = pytest.mark.model

SETTINGS = TuningSettings(rank=2, alpha=4, learning_rates=(5e-3,), epochs=2, rows=8)
HEAD = "<|system|>Name the colour of the thing, in one word and nothing else.<|end|>"
TRAIN = [TrainingText(f"{HEAD}<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(24)]
DEV = TRAIN[:4]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("how", [tune, tune_all_weights])
def test_tuning_comes_out_alike(tiny, tmp_path, monkeypatch, packed, how):
    monkeypatch.setattr(tiny.network, "_bakeoff_flat", packed and attention.ready(tiny.network), raising=False)
    settings = replace(SETTINGS, full=how is tune_all_weights, learning_rates=(1e-3,))
    plain = how(tiny, TRAIN, dev=DEV, settings=settings, out=tmp_path / "plain")
    again = how(tiny, TRAIN, dev=DEV, settings=replace(settings, recompute=True), out=tmp_path / "again")
    assert again.dev_losses == pytest.approx(plain.dev_losses, rel=1e-3)
    assert not tiny.network.is_gradient_checkpointing
    assert not any(module.training for module in tiny.network.modules())


def test_less_is_kept_for_the_backward_pass(tiny):
    import torch

    from harness.tuning.lora import answer_loss, encode_rows, row_set

    rows = row_set(encode_rows(tiny, TRAIN))
    kept = {}
    tiny.network.requires_grad_(True)
    try:
        for wanted in (False, True):
            sizes = []

            def note(tensor, sizes=sizes):
                sizes.append(tensor.numel())
                return tensor

            with recomputing(tiny.network, wanted=wanted), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
                answer_loss(tiny, tiny.network, rows.rows, prefix=rows.prefix)
            kept[wanted] = sum(sizes)
    finally:
        tiny.network.requires_grad_(False)
    assert kept[True] < 0.6 * kept[False]


def test_the_tuner_turns_it_on_where_the_device_is_too_small(tiny, tmp_path, monkeypatch):
    tuner = LocalTuner(tiny, tmp_path, False, 0)
    assert tuner._recompute(SETTINGS) is False
    monkeypatch.setattr(local, "device_memory", lambda device: 3 * 2**20)
    assert tuner._recompute(SETTINGS) is True


def test_all_weights_are_reckoned_as_all_weights_and_not_as_an_adapter(tiny, tmp_path, monkeypatch):
    """Their gradients and moments take what an adapter's do not: there is a device that one fits and the other not."""
    shape = shape_from(tiny.network.config.to_dict(), parameters=tiny.network.num_parameters())
    number = 4 if tiny.machine.dtype == "float32" else 2
    known = {"number": number, "tokens": local.MICRO_TOKENS, "recompute": False}
    adapter = memory.lora(shape, bits=None, rank=SETTINGS.rank, **known).total
    whole = memory.full(shape, **known).total
    assert adapter < whole
    monkeypatch.setattr(local, "device_memory", lambda device: (adapter + whole) / 2 / memory.USABLE)
    tuner = LocalTuner(tiny, tmp_path, False, 0)
    assert tuner._recompute(SETTINGS) is False
    assert tuner._recompute(replace(SETTINGS, full=True)) is True
