"""vLLM against transformers on a real model and a real GPU. Never run yet: no GPU was there when it was written."""

import time

import pytest

from harness.engines.local import LocalEngine
from harness.engines.vllm import VllmEngine
from harness.models.vllm import usable
from harness.tuning.examples import TrainingText
from harness.tuning.lora import TuningSettings, tune

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not usable(), reason="needs vLLM and a CUDA device")]

WORDS = ["river", "stone", "window", "garden", "letter", "winter", "copper", "bridge", "market", "candle"]
PROMPTS = [f"<|im_start|>user\nWrite one sentence about a {a} and a {b}.<|im_end|>\n<|im_start|>assistant\n"
           for a in WORDS for b in WORDS if a != b]  # fmt: skip
SAME = 0.9
"""Share of greedy answers that must be equal to the letter: in 16 bits near ties fall either way."""


@pytest.fixture(scope="module")
def engine():
    return VllmEngine(LocalEngine())


def answered(model):
    start = time.perf_counter()
    job = model.start(PROMPTS, max_new_tokens=40)
    done = [one for batch in job.batches for one in job.answer(batch)]
    return [one.text for one in done], sum(one.tokens_out for one in done) / (time.perf_counter() - start)


def compared(engine):
    (theirs, fast), (ours, slow) = answered(engine.model), answered(engine.local.model)
    print(f"vLLM {fast:,.0f} tokens a second, transformers {slow:,.0f}")
    return sum(a == b for a, b in zip(theirs, ours, strict=True)) / len(ours)


def test_greedy_answers_are_those_of_transformers(engine):
    assert compared(engine) >= SAME


def test_so_they_are_with_an_adapter(engine, tmp_path):
    train = [TrainingText(prompt, f"It is number {n}.") for n, prompt in enumerate(PROMPTS)]
    settings = TuningSettings(learning_rates=(5e-4,), epochs=2)
    adapter = tune(engine.local.loaded, train, dev=(), settings=settings, out=tmp_path / "a").folder
    plain = answered(engine.model)[0]
    with engine.adapted(adapter):
        assert compared(engine) >= SAME
        assert answered(engine.model)[0] != plain
