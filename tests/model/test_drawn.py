"""Answers drawn at a temperature."""

import random

import pytest

from harness.generation import attention
from harness.generation.decode import LocalTextModel
from harness.models.base import AT_END, Stop

pytestmark = pytest.mark.model

LABELS = ("card", "card lost", "card stolen", "cash", "top up", "x")
PROMPTS = [f"<|system|>Say it.<|end|><|user|>{'so ' * (k % 7)}{k}?<|assistant|>" for k in range(30)]


@pytest.fixture(autouse=True)
def flat_network(tiny):
    assert attention.ready(tiny.network)


@pytest.fixture(params=[True, False], ids=["flat", "padded"])
def way(request, tiny, monkeypatch):
    monkeypatch.setattr(tiny.network, "_bakeoff_flat", request.param)


def answers(loaded, prompts=PROMPTS, *, stop=AT_END, **options):
    job = LocalTextModel(loaded).start(prompts, max_new_tokens=20, stop=stop, **options)
    found = {i: done for batch in job.batches for i, done in zip(batch, job.answer(batch), strict=True)}
    return [found[i] for i in range(len(prompts))]


@pytest.mark.parametrize("stop", [AT_END, Stop("labels", None, LABELS)], ids=lambda stop: stop.name)
def test_at_a_tiny_temperature_the_likeliest_tokens_are_drawn(tiny, way, stop):
    assert answers(tiny, stop=stop, temperature=1e-6) == answers(tiny, stop=stop)


def test_draws_can_be_repeated_and_differ_between_seeds(tiny, way):
    first, again, other = (answers(tiny, temperature=1.0, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert sum(a != b for a, b in zip(first, other, strict=True)) > 20
    assert first != answers(tiny)


def test_a_draw_does_not_depend_on_its_company(tiny, way):
    """Nor on what the prompts of a job happen to share at their start."""
    together = answers(tiny, temperature=1.0, seed=5)
    rng = random.Random(3)
    for _ in range(3):
        order = rng.sample(range(len(PROMPTS)), k=rng.randint(1, 12))
        assert answers(tiny, [PROMPTS[i] for i in order], temperature=1.0, seed=5) == [together[i] for i in order]
    assert answers(tiny, [PROMPTS[4], "<|user|>b"], temperature=1.0, seed=5)[0] == together[4]


def test_both_ways_draw_the_same(tiny, monkeypatch):
    found = []
    for flat_way in (True, False):
        monkeypatch.setattr(tiny.network, "_bakeoff_flat", flat_way)
        found.append(answers(tiny, temperature=0.8, seed=2))
    assert found[0] == found[1]


def test_draws_are_held_to_labels_too(tiny, way):
    found = [
        done.text
        for seed in range(3)
        for done in answers(tiny, stop=Stop("h", None, LABELS), temperature=3.0, seed=seed)
    ]
    assert set(found) <= set(LABELS)
    assert len(set(found)) > 3


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_what_is_no_temperature_is_refused(tiny, temperature):
    with pytest.raises(ValueError, match="A temperature is a number of at least 0"):
        LocalTextModel(tiny).start(PROMPTS, max_new_tokens=4, temperature=temperature)
