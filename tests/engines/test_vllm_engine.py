"""vLLM's part, with a stand-in for the package: what it is asked, what becomes of its answers, when it is left out."""

import pickle
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
from tiny_llama import STOPS, load_tiny_llama, save_tiny_llama

from harness.engines import vllm as engines
from harness.engines.local import LocalEngine
from harness.engines.vllm import SWITCH, VllmEngine, answering_by_vllm
from harness.models import vllm as models
from harness.models.base import Message, Stop
from harness.tuning.examples import TrainingText
from harness.tuning.full import tune_all_weights
from harness.tuning.lora import TuningSettings, tune

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("own_cache")]

TRAIN = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(16)]
SETTINGS = TuningSettings(rank=2, alpha=4, learning_rates=(5e-3,), epochs=1, rows=8)
PROMPTS = ["<|user|>one<|assistant|>", "<|user|>two<|assistant|>", "<|user|>three<|assistant|>"]


class FakeLLM:
    """Answers each prompt with its own first tokens and a stop token, or cut at the longest answer."""

    made: ClassVar[list] = []

    def __init__(self, **options):
        self.options, self.calls = options, []
        FakeLLM.made.append(self)

    def generate(self, prompts, sampling, *, lora_request, use_tqdm):
        self.calls.append((prompts, sampling, lora_request))
        stop = sampling["stop_token_ids"][0]
        rows = [[*prompt["prompt_token_ids"][1:4], stop] for prompt in prompts]
        cut = [(row[: sampling["max_tokens"]], len(row) > sampling["max_tokens"]) for row in rows]
        outputs = [SimpleNamespace(token_ids=ids, finish_reason="length" if long else "stop") for ids, long in cut]
        return [SimpleNamespace(outputs=[one]) for one in outputs]


@pytest.fixture
def package(monkeypatch):
    """The stand-in in the package's place."""
    package, lora, request = ModuleType("vllm"), ModuleType("vllm.lora"), ModuleType("vllm.lora.request")
    package.LLM, package.SamplingParams, package.__version__ = FakeLLM, dict, "9.9"
    request.LoRARequest = lambda name, number, path: (name, number, path)
    for module in (package, lora, request):
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    FakeLLM.made.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def engine(folder, package):
    local = LocalEngine(str(folder))
    local.__dict__["loaded"] = load_tiny_llama(folder)
    return VllmEngine(local)


def answers(engine, prompts=PROMPTS, **options):
    job = engine.model.start(prompts, **{"max_new_tokens": 6} | options)
    return [done for batch in job.batches for done in job.answer(batch)]


def calls():
    return [call for llm in FakeLLM.made for call in llm.calls]


def test_it_is_asked_with_the_same_tokens_greedily_and_with_the_models_own_stops(engine, folder):
    done = answers(engine)
    (llm,) = FakeLLM.made
    ((prompts, sampling, lora),) = llm.calls
    assert [p["prompt_token_ids"] for p in prompts] == [engine.local.loaded.encode(prompt) for prompt in PROMPTS]
    assert (sampling["temperature"], sampling["max_tokens"], "seed" in sampling, lora) == (0.0, 6, False, None)
    assert set(STOPS) < set(sampling["stop_token_ids"]) == engine.local.loaded.stop_ids
    assert llm.options["model"] == str(folder)
    assert llm.options["enable_prefix_caching"] is llm.options["enable_lora"] is True
    assert llm.options["trust_remote_code"] is False
    assert [one.text for one in done] == ["one", "two", "thr"]
    assert [(one.tokens_in, one.tokens_out, one.finish) for one in done] == [
        (len(engine.local.loaded.encode(prompt)), 4, "stop") for prompt in PROMPTS
    ]


def test_what_is_cut_at_the_longest_answer_is_said_to_be(engine):
    assert {(one.text, one.finish) for one in answers(engine, PROMPTS[:1], max_new_tokens=2)} == {("on", "length")}


def test_prompts_are_rendered_as_they_are_for_the_weights_here(engine):
    messages = [Message("system", "Be brief."), Message("user", "Where?")]
    assert engine.model.render(messages) == engine.local.model.render(messages)
    assert engine.model.count_tokens("Where?") == engine.local.model.count_tokens("Where?")


def test_its_answers_are_kept_apart_from_those_of_other_libraries(engine):
    assert engine.model.description.runtime.startswith("vllm 9.9, torch ")
    assert engine.model.description.digest == engine.local.loaded.description.digest


def test_drawn_answers_carry_their_seed(engine):
    answers(engine, temperature=0.7, seed=3)
    assert (calls()[0][1]["temperature"], calls()[0][1]["seed"]) == (0.7, 3)
    with pytest.raises(ValueError, match="A temperature is"):
        engine.model.start(PROMPTS, max_new_tokens=1, temperature=-1.0)


@pytest.mark.parametrize(
    "stop", [Stop("labels", None, ("red", "blue")), Stop("schema", None, schema='{"type": "object"}')]
)
def test_answers_that_are_held_to_a_form_are_left_to_the_weights_here(engine, stop):
    found = answers(engine, stop=stop)
    job = engine.local.model.start(PROMPTS, max_new_tokens=6, stop=stop)
    assert found == [done for batch in job.batches for done in job.answer(batch)]
    assert not calls()


def test_an_adapter_goes_with_its_requests_and_with_no_others(engine, tmp_path):
    made = [
        tune(engine.local.loaded, TRAIN, dev=(), settings=SETTINGS, out=tmp_path / name).folder for name in ("a", "b")
    ]
    for adapter in (made[0], None, made[1], made[0]):
        with engine.adapted(adapter):
            answers(engine)
    told = [lora for _, _, lora in calls()]
    assert told == [
        ("adapter-1", 1, str(made[0])), None, ("adapter-2", 2, str(made[1])), ("adapter-1", 1, str(made[0])),
    ]  # fmt: skip


def test_what_it_has_no_room_for_is_left_to_the_weights_here(engine, tmp_path, monkeypatch):
    low = tune(engine.local.loaded, TRAIN, dev=(), settings=SETTINGS, out=tmp_path / "low").folder
    every = tune_all_weights(engine.local.loaded, TRAIN, dev=(), settings=SETTINGS, out=tmp_path / "all").folder
    monkeypatch.setattr(engines, "MOST_RANK", 1)
    for adapter in (low, every):
        with engine.adapted(adapter):
            assert len(answers(engine)) == len(PROMPTS)
    assert not calls()
    answers(engine)
    assert len(calls()) == 1


def test_an_adapter_that_was_tuned_anew_in_the_same_place_gets_another_number(engine, tmp_path):
    for seed in (0, 1):
        settings = TuningSettings(**{"rank": 2, "learning_rates": (5e-3,), "epochs": 1, "seed": seed})
        with engine.adapted(tune(engine.local.loaded, TRAIN, dev=(), settings=settings, out=tmp_path / "a").folder):
            answers(engine)
    assert [lora[1] for _, _, lora in calls()] == [1, 2]


def test_it_is_chosen_where_it_can_be_and_nowhere_else(folder, package, monkeypatch):
    engine = LocalEngine(str(folder))
    assert answering_by_vllm(engine) is engine, "no CUDA device, or no package"
    monkeypatch.setattr(engines, "usable", lambda: True)
    assert answering_by_vllm(engine) == VllmEngine(engine)
    assert pickle.loads(pickle.dumps(VllmEngine(engine))) == VllmEngine(engine)
    four = LocalEngine(str(folder), bits=4)
    assert answering_by_vllm(four) is four
    monkeypatch.setenv(SWITCH, "off")
    assert answering_by_vllm(engine) is engine


def test_it_is_not_usable_without_the_package_or_a_gpu(monkeypatch):
    import torch

    for package, gpu in ((None, True), (object(), False), (object(), True)):
        monkeypatch.setattr(models.importlib.util, "find_spec", lambda name, found=package: found)
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=gpu: found)
        assert models.usable() is (package is not None and gpu)
