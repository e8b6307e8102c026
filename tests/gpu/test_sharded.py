"""Two GPUs that share a model against one that holds all of it. Never run yet: no GPU was there when it was written."""

import pytest

from harness.models.local import load_model
from harness.tuning.examples import TrainingText
from harness.tuning.lora import TuningSettings, tune
from harness.tuning.processes import tune_together

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")]

WORDS = ["river", "stone", "window", "garden", "letter", "winter", "copper", "bridge"]
TRAIN = [TrainingText(f"<|im_start|>user\nA {a} and a {b}?<|im_end|>\n<|im_start|>assistant\n", f"The {a}.")
         for a in WORDS for b in WORDS if a != b]  # fmt: skip
SETTINGS = TuningSettings(learning_rates=(5e-4,), epochs=2, processes=2)
NEAR = 0.05
"""Relative distance of dev losses: the sums of gradients are taken in another order, in bf16."""


@pytest.fixture(scope="module")
def loaded():
    return load_model()


def test_two_gpus_come_to_the_losses_of_one(loaded, tmp_path):
    alone = tune(loaded, TRAIN[8:], dev=TRAIN[:8], settings=SETTINGS, out=tmp_path / "one")
    made = tune_together(loaded, TRAIN[8:], dev=TRAIN[:8], settings=SETTINGS, out=tmp_path / "two", key="k")
    assert alone.dev_losses[-1] < 0.9 * alone.dev_losses[0]
    assert made.dev_losses == pytest.approx(alone.dev_losses, rel=NEAR)
    assert next(loaded.network.parameters()).device.type == "cuda"


def test_the_model_leaves_the_gpu_while_the_workers_need_it(loaded, tmp_path):
    held = sum(p.numel() * p.element_size() for p in loaded.network.parameters())
    before, seen = torch.cuda.memory_allocated(), []
    settings = TuningSettings(learning_rates=(5e-4,), epochs=1, processes=2)
    tune_together(
        loaded, TRAIN, dev=(), settings=settings, out=tmp_path / "two",
        progress=lambda *_: seen.append(torch.cuda.memory_allocated()),
    )  # fmt: skip
    assert max(seen) < before - 0.9 * held
    assert torch.cuda.memory_allocated() == pytest.approx(before, rel=0.05)
