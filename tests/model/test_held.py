"""Answers of a model that are held to a JSON schema."""

import json
import random
from pathlib import Path

import pytest

from harness.generation import attention
from harness.generation.decode import LocalTextModel
from harness.metrics.json_schema import schema_of
from harness.models import bundled
from harness.models.base import Message, Stop
from harness.models.local import load_model
from harness.scenario_file.read import read_scenario

pytestmark = pytest.mark.model

SCENARIOS = Path(__file__).parents[2] / "scenarios"
VALUES = {"tint": ["red", "reed", "blue", "grün"], "size": ["s", "m", "xl"]}
SCHEMA = schema_of(
    [
        json.dumps({"tint": tint, "n": [n % 4 == 0] * (n % 3), "size": size} | ({"more": None} if n % 2 else {}))
        for n in range(3)
        for tint in VALUES["tint"]
        for size in VALUES["size"]
    ],
    keys=["tint", "n", "size"],
)
PROMPTS = [f"<|user|>{'so ' * (k % 7)}{k}?<|assistant|>" for k in range(40)]


def answers(loaded, *, prompts=PROMPTS, schema=SCHEMA, most=160, is_whole=None, **options):
    stop = Stop("held", is_whole, schema=schema)
    job = LocalTextModel(loaded).start(prompts, max_new_tokens=most, stop=stop, **options)
    found = {i: done for batch in job.batches for i, done in zip(batch, job.answer(batch), strict=True)}
    return [found[i] for i in range(len(prompts))]


@pytest.fixture(autouse=True)
def flat_network(tiny):
    assert attention.ready(tiny.network)


@pytest.fixture(params=[True, False], ids=["flat", "padded"])
def way(request, tiny, monkeypatch):
    monkeypatch.setattr(tiny.network, "_bakeoff_flat", request.param)
    return request.param


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_every_answer_is_of_the_schema(tiny, way, temperature):
    found = answers(tiny, temperature=temperature)
    assert sum(done.finish == "stop" for done in found) > 20
    for done in found:
        if done.finish == "stop":
            value = json.loads(done.text)
            assert {"tint", "n", "size"} <= set(value) <= {"tint", "n", "size", "more"}
            assert value["tint"] in VALUES["tint"]
            assert value["size"] in VALUES["size"]
            assert all(isinstance(one, bool) for one in value["n"])
            assert done.text == json.dumps(value, ensure_ascii=False), "spaced as the outputs are"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_both_ways_give_the_same_answers(tiny, monkeypatch, temperature):
    found = []
    for flat_way in (True, False):
        monkeypatch.setattr(tiny.network, "_bakeoff_flat", flat_way)
        found.append(answers(tiny, temperature=temperature))
    assert found[0] == found[1]


@pytest.mark.parametrize("most", [1, 7, 30])
def test_an_answer_that_is_cut_stays_cut(tiny, way, most):
    whole = answers(tiny)
    for done, full in zip(answers(tiny, most=most), whole, strict=True):
        assert done.tokens_out <= most
        assert full.text.startswith(done.text.rstrip("�"))
        assert done.finish == ("stop" if full.finish == "stop" and full.tokens_out <= most else "length")


def test_held_answers_are_the_greedy_ones_among_those_of_the_schema(tiny, way):
    """Step by step with the library's own logits, over every text of a small schema."""
    import torch

    prompt = "<|user|>what do you see?<|assistant|>"
    schema = json.dumps({"enum": ["red", "reed", "rest", "blue", 7, None, True]})
    texts = ['"red"', '"reed"', '"rest"', '"blue"', "7", "null", "true"]
    sequences = [[*tiny.encode(text), tiny.tokenizer.eos_token_id] for text in texts]
    found = []
    while found not in sequences:
        logits = tiny.network(input_ids=torch.tensor([[*tiny.encode(prompt), *found]])).logits[0, -1]
        options = {s[len(found)] for s in sequences if s[: len(found)] == found}
        found.append(max(options, key=lambda token: float(logits[token])))
    assert answers(tiny, prompts=[prompt], schema=schema)[0].text == tiny.tokenizer.decode(found[:-1])


def test_a_whole_answer_may_end_early_too(tiny, way):
    for done in answers(tiny, is_whole=lambda text: len(text) >= 5):
        assert 5 <= len(done.text) <= 6


def test_company_changes_no_held_answer(tiny, way):
    together = answers(tiny)
    order = random.Random(0).sample(range(len(PROMPTS)), k=9)
    assert answers(tiny, prompts=[PROMPTS[i] for i in order]) == [together[i] for i in order]


def test_a_schema_that_cannot_be_used_is_refused_before_anything_is_computed(tiny):
    with pytest.raises(ValueError, match=r"cannot be held to this JSON schema: Invalid type: nonsense\."):
        LocalTextModel(tiny).start(PROMPTS, max_new_tokens=4, stop=Stop("held", None, schema='{"type": "nonsense"}'))


@pytest.fixture(scope="module")
def bundled_model():
    if bundled.locate(bundled.LANGUAGE_MODEL) is None:
        pytest.skip("the bundled weights are not installed")
    return load_model()


KEYS = ["queue", "item", "urgency", "callback"]


def claims(loaded, *, shots):
    """(prompts, schema) of a shipped scenario."""
    scenario = read_scenario(SCENARIOS / "claims-intake")
    before = [Message("system", scenario.instruction)]
    for case in scenario.train[:shots]:
        before += [Message("user", case.input), Message("assistant", case.output)]
    prompts = [loaded.render([*before, Message("user", case.input)]) for case in scenario.cases[:8]]
    return prompts, schema_of([case.output for case in scenario.train], keys=KEYS)


def of_claims(text, schema):
    value, properties = json.loads(text), json.loads(schema)["properties"]
    return list(value) == KEYS and all(value[key] in properties[key]["enum"] for key in KEYS)


def test_the_bundled_model_writes_valid_answers(bundled_model):
    prompts, schema = claims(bundled_model, shots=0)
    for done in answers(bundled_model, prompts=prompts, schema=schema, most=64):
        assert done.finish == "stop"
        assert of_claims(done.text, schema)


def test_what_is_valid_anyway_stays_as_it_is(bundled_model):
    prompts, schema = claims(bundled_model, shots=3)
    whole = lambda text: "}" in text  # noqa: E731
    free = answers(bundled_model, prompts=prompts, schema="", most=64, is_whole=whole)
    held = answers(bundled_model, prompts=prompts, schema=schema, most=64)
    valid = [i for i, done in enumerate(free) if done.text.startswith("{") and of_claims(done.text, schema)]
    assert len(valid) > 3
    assert [held[i].text for i in valid] == [free[i].text for i in valid]
