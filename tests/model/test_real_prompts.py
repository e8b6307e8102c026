"""The bundled model on prompts of the shipped scenarios: the tokens of plain `generate`, ties in bf16 counted."""

from pathlib import Path

import pytest

from harness.generation import attention
from harness.generation.decode import LocalTextModel
from harness.models import bundled
from harness.models.base import Message
from harness.models.local import load_model
from harness.scenario_file.read import read_scenario

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(bundled.locate(bundled.LANGUAGE_MODEL) is None, reason="the bundled weights are not installed"),
]

SCENARIOS = Path(__file__).parents[2] / "scenarios"
MOST = 12


def prompts_of(loaded, name, *, n):
    """Few-shot prompts: instruction, two worked examples, the input."""
    scenario = read_scenario(SCENARIOS / name)
    shots = [
        turn for shot in scenario.train[:2] for turn in (Message("user", shot.input), Message("assistant", shot.output))
    ]
    system = Message("system", scenario.instruction)
    return [loaded.render([system, *shots, Message("user", case.input)]) for case in scenario.cases[:n]]


def plain(loaded, prompt):
    """The library's own tokens, and the gap between the two likeliest at each step."""
    import torch

    ids = torch.tensor([loaded.encode(prompt)])
    made = loaded.network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=MOST,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = [step[0].float().topk(2).values for step in made.logits]
    return made.sequences[0, ids.shape[1] :].tolist(), [float(two[0] - two[1]) for two in best]


def ours(loaded, prompts):
    job = LocalTextModel(loaded).start(prompts, max_new_tokens=MOST)
    assert job.flat
    rests = [tokens[job.prefix :] for tokens in job.tokens]
    return [ids for ids, _ in job._decoded(rests)]


@pytest.fixture(scope="module")
def loaded():
    return load_model()


def test_in_bf16_or_what_the_machine_prefers_only_ties_differ(loaded):
    prompts = [p for name in ("claims-intake", "customer-name") for p in prompts_of(loaded, name, n=8)]
    attention.ready(loaded.network)
    for prompt, found in zip(prompts, ours(loaded, prompts), strict=True):
        expected, gaps = plain(loaded, prompt)
        differing = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), None)
        if differing is not None:
            assert gaps[differing] < 0.5, "two tokens that bf16 can tell apart were taken for each other"


def test_in_float32_every_token_is_the_librarys(loaded):
    loaded.network.float()
    prompts = prompts_of(loaded, "claims-intake", n=6) + prompts_of(loaded, "harbour-handbook", n=6)
    assert ours(loaded, prompts) == [plain(loaded, prompt)[0] for prompt in prompts]
