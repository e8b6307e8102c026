"""What makes a comparison fair: same words, same room, same decoding, and nothing of eval in training."""

import hashlib
import re
from dataclasses import replace

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, tiny_scenario, write_scenario_files

from harness.scenario import Case
from harness.store import RunFolder

TURN = re.compile(r"<\|(system|user|assistant)\|>\n(.*?)<\|end\|>\n", re.DOTALL)
ARMS = ("prompt", "few_shot", "nearest_shots", "rag", "lora", "rag_lora")


class Recorder(FakeModel):
    """Notes every job with the stage of the run that it was started in, and what adapter was merged then."""

    def start(self, prompts, **settings):
        job = super().start(prompts, **settings)
        watcher = self.watcher
        self.asked.append((watcher.stages[-1] if watcher.stages else "", tuple(prompts), settings, self.memory))
        return job


@pytest.fixture
def run(tmp_path):
    """A run of all arms with everything noted: (model, engine, folder, scenario)."""
    scenario = tiny_scenario(cases=8, train=30)
    path = write_scenario_files(tmp_path / "scenario", scenario)
    watcher, model = FakeWatcher(), Recorder(window=400)
    model.watcher, model.asked = watcher, []
    engine = FakeEngine(model)
    fake_run(path, tmp_path / "run", engine=engine, watcher=watcher, remember=False)
    return model, engine, RunFolder(tmp_path / "run"), scenario


def answers(model):
    """Arm -> (prompts, settings, adapter) of its answers to the eval cases."""
    found = {}
    for stage, prompts, settings, memory in model.asked:
        if stage.startswith("answer "):
            found.setdefault(stage.removeprefix("answer "), []).append((prompts, settings, memory))
    return found


def test_every_arm_is_told_the_same_instruction_in_the_same_place(run):
    model, *_ = run
    told = {
        next(text for role, text in TURN.findall(prompt) if role in ("system", "user")).split("\n")[0]
        for jobs in answers(model).values()
        for prompts, _, _ in jobs
        for prompt in prompts
    }
    assert told == {"Answer the question with one word."}


def test_every_arm_has_the_same_longest_answer_and_the_same_decoding(run):
    model, *_ = run
    settings = [
        {key: value.name if key == "stop" else value for key, value in settings.items()}
        for jobs in answers(model).values()
        for _, settings, _ in jobs
    ]
    assert set(answers(model)) == set(ARMS)
    assert all(one == settings[0] for one in settings)
    assert "temperature" not in settings[0]  # greedy


def test_every_prompt_leaves_room_for_the_longest_answer(run):
    model, *_ = run
    for jobs in answers(model).values():
        for prompts, settings, _ in jobs:
            assert all(model.count_tokens(p) + settings["max_new_tokens"] <= model.window for p in prompts)


def test_tuned_arms_are_timed_with_their_adapter_and_untuned_ones_without(run):
    model, _, folder, _ = run
    timed = [
        memory is not None for stage, prompts, _, memory in model.asked if stage == "latency" and len(prompts) == 1
    ]
    arms = {sample.arm for sample in folder.latency()}
    assert set(ARMS) <= arms
    assert any(timed)
    assert not all(timed)
    tuned = sum(sample.arm in ("lora", "rag_lora") for sample in folder.latency())
    # A warm-up and the request, for each timed case of a tuned arm at least.
    assert sum(timed) >= tuned


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_nothing_of_eval_is_in_training_texts_shots_or_what_is_searched(tmp_path):
    """By content hashes; the training file holds copies of eval rows on purpose."""
    scenario = tiny_scenario(cases=8, train=30, documents=False)
    leaked = tuple(Case(f"leak{n}", case.input, "Leaked") for n, case in enumerate(scenario.cases[:4]))
    path = write_scenario_files(tmp_path / "scenario", replace(scenario, train=(*scenario.train, *leaked)))
    watcher, model = FakeWatcher(), Recorder()
    model.watcher, model.asked = watcher, []
    engine = FakeEngine(model)
    fake_run(path, tmp_path / "run", engine=engine, watcher=watcher, remember=False)
    eval_inputs = {digest(case.input) for case in scenario.cases}
    trained = [text for tuner in engine.tuners for _, texts, dev in tuner.seen for text in (*texts, *dev)]
    assert trained
    assert not any(digest(TURN.findall(text.prompt)[-1][1]) in eval_inputs for text in trained)
    assert not any(text.answer == "Leaked" for text in trained)
    for jobs in answers(model).values():
        for prompts, _, _ in jobs:
            for prompt in prompts:
                *earlier, _ = TURN.findall(prompt)
                shots = [text for role, text in earlier if role == "user"]
                assert not any(digest(shot) in eval_inputs for shot in shots)
                assert "Leaked" not in prompt
    assert {row.train_id for row in RunFolder(tmp_path / "run").scenario().removed} == {case.id for case in leaked}
