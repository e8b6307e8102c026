"""One bad case never stops a run; an arm that is plainly broken is stopped early."""

import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, tiny_scenario, write_scenario_files

from harness.errors import InputProblems
from harness.experiment.budget import FILE, Tally, common_causes, normalised
from harness.generation import isolation
from harness.generation.isolation import BadAnswer, TookTooLong, completed, said
from harness.models.base import Completion, Message
from harness.records import CONTROL, Prediction
from harness.scenario import USUAL_BUDGET, ErrorBudget
from harness.scenario_file.budget import error_budget
from harness.scenario_file.read import Overrides, read_scenario
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")

ARMS = Overrides(arms=("prompt", "few_shot"))


@pytest.fixture
def many(tmp_path):
    return write_scenario_files(tmp_path / "many", tiny_scenario(cases=60, train=30))


def broken_few_shot(message="boom {n}", *, share=1.0):
    """An engine whose model fails on a share of the prompts with shots; eval cases are Landia0 to Landia59."""
    chosen = random.Random(0)
    failing = {n for n in range(60) if chosen.random() < share}

    def hook(prompts):
        for prompt in prompts:
            n = int(re.findall(r"Landia(\d+)\?", prompt)[-1])
            if prompt.count("<|assistant|>") > 1 and n in failing:
                raise RuntimeError(message.format(n=n))

    return FakeEngine(FakeModel(before_batch=hook))


# what an arm's errors may come to


def predictions(errors, goods, arm="rag"):
    bad = [Prediction(f"b{n}", arm, "", 0, 0, 0.0, finish="error", error=f"boom {n}") for n in range(errors)]
    return [*bad, *(Prediction(f"g{n}", arm, "x", 1, 1, 0.1) for n in range(goods))]


@pytest.mark.parametrize(
    ("said", "errors", "goods", "stops"),
    [
        (None, 9, 0, False),
        (None, 10, 0, True),
        (None, 10, 10, False),
        (None, 11, 10, True),
        ("20", 20, 0, False),
        ("20", 21, 70, True),
        ("0", 1, 70, True),
        ("25%", 10, 30, False),
        ("25%", 10, 29, True),
        ("25 %", 9, 0, False),
        ("100%", 99, 0, False),
    ],
)
def test_an_arm_is_stopped_where_its_errors_exceed_the_budget(said, errors, goods, stops):
    budget = USUAL_BUDGET if said is None else error_budget(said)
    found = Tally("rag", budget, of=100).count(predictions(errors, goods))
    assert (found is not None) is stops
    if found:
        assert (found.errors, found.cases, found.of) == (errors, errors + goods, 100)


def test_the_control_and_an_arm_that_has_answered_everything_are_not_stopped():
    assert Tally(CONTROL, USUAL_BUDGET, of=100).count(predictions(50, 0)) is None
    assert Tally("rag", USUAL_BUDGET, of=50).count(predictions(50, 0)) is None


@pytest.mark.parametrize("said", ["", "-1", "many", "101%", "2.5", "0.5", "%", "1e9", "10%%", True, 2.5, "٣"])
def test_what_is_no_budget_is_not_read_as_one(said):
    assert error_budget(said) is None


@pytest.mark.parametrize(("line", "budget"), [("20", ErrorBudget(21, 0.0)), ('"12.5%"', ErrorBudget(10, 0.125))])
def test_the_scenario_may_set_the_budget_and_the_time_limit(many, line, budget):
    path = many / "scenario.toml"
    path.write_text(f"max_errors = {line}\nrequest_seconds = 30\n" + path.read_text())
    scenario = read_scenario(many)
    assert (scenario.max_errors, scenario.request_seconds) == (budget, 30)


@pytest.mark.parametrize("line", ['max_errors = "many"', "max_errors = -1", "max_errors = 0.5", "request_seconds = 0"])
def test_a_setting_that_cannot_be_read_is_refused_with_what_was_expected(many, line):
    path = many / "scenario.toml"
    path.write_text(f"{line}\n" + path.read_text())
    with pytest.raises(InputProblems, match=r"expected a number of errors|must be a whole number"):
        read_scenario(many)


def test_messages_that_differ_in_numbers_and_quoted_texts_are_one_cause():
    errors = [f"KeyError: 'case {n}' at 0x7f{n:010x}" for n in range(5)]
    errors += [f"HTTP {n}: slow" for n in (500, 503)] + ["it can't be, and isn't"]
    assert [(c.message, c.count) for c in common_causes([*errors, "d", "d", "d"])] == [
        ("KeyError: '…' at N", 5),
        ("d", 3),
        ("HTTP N: slow", 2),
    ]
    assert normalised("it can't be, and isn't") == "it can't be, and isn't"
    assert len(normalised("x" * 1000)) == 160


# in a run


def test_a_broken_arm_is_stopped_early_with_its_causes_and_the_run_goes_on(many, out):
    watcher = FakeWatcher()
    finished = fake_run(many, out, engine=broken_few_shot(), watcher=watcher, overrides=ARMS)
    assert [(one.arm, one.reason) for one in finished.verdict.left_out] == [
        ("few_shot", "stopped after 12 errors in 12 cases: RuntimeError: boom N (12 times)")
    ]
    assert {score.arm for score in finished.verdict.scores} == {"dummy", "prompt"}
    assert any(
        "Few-shot takes no part in the comparison: it was stopped after 12 errors" in s
        for s in finished.verdict.sentences
    )
    assert len(finished.folder.predictions()["few_shot"]) == 12, "what was predicted stays"
    assert len(finished.folder.predictions()["prompt"]) == 60
    assert {sample.arm for sample in finished.folder.latency()} == {"dummy", "prompt"}
    assert any("few_shot was stopped after 12 errors in 12 cases" in note for note in watcher.notes)
    assert "stopped after 12 errors" in json.loads((out / "verdict.json").read_text())["left_out"][0]["reason"]


def test_going_on_with_the_run_does_not_begin_the_arm_again(many, out):
    fake_run(many, out, engine=broken_few_shot(), overrides=ARMS)
    for changed in ("verdict.json", "latency.jsonl", "whole.json"):
        (out / changed).unlink(missing_ok=True)
    before = (out / "predictions.jsonl").read_bytes()
    watcher = FakeWatcher()
    finished = fake_run(many, out, watcher=watcher, overrides=ARMS, max_errors=ErrorBudget(99, 1.0))
    assert (out / "predictions.jsonl").read_bytes() == before
    assert "answer few_shot" not in watcher.stages
    assert [one.arm for one in finished.verdict.left_out] == ["few_shot"]


def test_stopped_between_the_last_error_and_its_record_it_is_stopped_when_the_run_goes_on(many, out):
    fake_run(many, out, engine=broken_few_shot(), overrides=ARMS)
    for lost in (FILE, "verdict.json", "left_out.json", "latency.jsonl", "whole.json"):
        (out / lost).unlink(missing_ok=True)
    finished = fake_run(many, out, engine=broken_few_shot(), overrides=ARMS)
    assert [one.reason[:40] for one in finished.verdict.left_out] == ["stopped after 12 errors in 12 cases: Run"]
    assert len(finished.folder.predictions()["few_shot"]) == 12


@pytest.mark.parametrize(("budget", "stops"), [(ErrorBudget(10, 1.0), False), (error_budget("3"), True)])
def test_the_budget_of_the_command_line_counts(many, tmp_path, budget, stops):
    finished = fake_run(many, tmp_path / "run", engine=broken_few_shot(), overrides=ARMS, max_errors=budget)
    assert [one.arm for one in finished.verdict.left_out] == (["few_shot"] if stops else [])


def test_an_arm_with_fewer_errors_is_scored_its_failures_as_wrong(many, out):
    finished = fake_run(many, out, engine=broken_few_shot(share=0.2), overrides=ARMS)
    failed = sum(bool(p.error) for p in finished.folder.predictions()["few_shot"].values())
    assert 3 < failed < 30
    assert next(s for s in finished.verdict.scores if s.arm == "few_shot").failed == failed
    assert finished.verdict.left_out == ()


def test_with_early_stopping_a_broken_arm_is_out_after_its_first_shard(many, out):
    toml = many / "scenario.toml"
    toml.write_text(toml.read_text() + "[experiments]\nstop_early = true\n")
    finished = fake_run(many, out, engine=broken_few_shot(), overrides=ARMS)
    assert [one.arm for one in finished.verdict.left_out] == ["few_shot"]
    assert finished.verdict.stopped == ()


# what a model can do wrong with one case


class Model(FakeModel):
    """Spoils the answer to one question."""

    def __init__(self, spoilt, **more):
        super().__init__(**more)
        self.spoilt = spoilt

    def start(self, prompts, **settings):
        job, spoilt = super().start(prompts, **settings), self.spoilt
        plain = job.answer

        def answer(batch):
            found = plain(batch)
            hit = [n for n, i in enumerate(batch) if prompts[i].endswith("Landia3?<|end|>\n<|assistant|>\n")]
            return spoilt(found, hit[0]) if hit else found

        job.answer = answer
        return job


def put(value):
    return lambda found, n: [*found[:n], value, *found[n + 1 :]]


def raise_(error):
    def spoil(found, n):
        raise error

    return spoil


def hang(found, n):
    time.sleep(30)


SPOILT = {
    "raises": (raise_(ValueError("no")), "ValueError: no"),
    "runs out of memory": (raise_(MemoryError("9 GB")), "MemoryError: 9 GB"),
    "recurses": (raise_(RecursionError("deep")), "RecursionError: deep"),
    "raises half a character": (raise_(ValueError("\ud800")), "ValueError: ?"),
    "gives nothing": (put(None), "BadAnswer: expected a text, got NoneType"),
    "gives bytes": (put(Completion(b"x", 1, 1, "stop")), "BadAnswer: expected a text"),
    "gives half a character": (put(Completion("a\ud800", 1, 1, "stop")), "BadAnswer: .*halves of characters"),
    "gives no counts": (put(Completion("a", -1, float("nan"), "stop")), "BadAnswer: expected counts of tokens"),
    "gives too few": (lambda found, n: found[:-1], "BadAnswer: expected an answer to each of 1 prompts, got 0"),
    "gives too many": (lambda found, n: [*found, *found], "BadAnswer: expected an answer to each of 1 prompts, got 2"),
    "gives no list": (lambda found, n: 3, "BadAnswer: expected an answer to each of 1 prompts, got int"),
    "hangs": (hang, "TookTooLong: no answer within 2 seconds"),
}


@pytest.mark.parametrize("spoilt", SPOILT, ids=str)
def test_a_case_that_goes_wrong_is_recorded_with_its_cause_and_costs_no_other(scenario, tmp_path, spoilt):
    how, cause = SPOILT[spoilt]
    path = scenario / "scenario.toml"
    if spoilt == "hangs":
        path.write_text("request_seconds = 2\n" + path.read_text())
    only = Overrides(arms=("prompt",))
    good = fake_run(scenario, tmp_path / "good", overrides=only).folder.predictions()["prompt"]
    bad = fake_run(scenario, tmp_path / "bad", engine=FakeEngine(Model(how)), overrides=only).folder.predictions()
    assert {name for name, made in bad["prompt"].items() if made.error} == {"e3"}
    assert re.match(cause, bad["prompt"]["e3"].error)
    assert {n: p.text for n, p in bad["prompt"].items() if n != "e3"} == {
        n: p.text for n, p in good.items() if n != "e3"
    }


@pytest.mark.parametrize("method", ["render", "count_tokens", "start"])
def test_a_case_that_cannot_even_be_asked_is_recorded_and_costs_no_other(scenario, out, monkeypatch, method):
    plain = getattr(FakeModel, method)

    def fails(self, given, **settings):
        said_ = "".join(getattr(one, "content", one) for one in given) if not isinstance(given, str) else given
        if "Landia3?" in said_:
            raise ValueError(f"{method} fails")
        return plain(self, given, **settings)

    monkeypatch.setattr(FakeModel, method, fails)
    engine = FakeEngine(FakeModel(window=60 if method == "count_tokens" else 4096))
    found = fake_run(scenario, out, engine=engine, overrides=Overrides(arms=("prompt",))).folder.predictions()
    assert found["prompt"]["e3"].error == f"ValueError: {method} fails"
    assert [name for name, made in found["prompt"].items() if made.error] == ["e3"]


def test_an_arm_that_cannot_ask_one_case_asks_the_others(scenario, out, monkeypatch):
    from harness.arms.registry import arm

    kind = type(arm("prompt"))
    plain = kind.requests

    def requests(self, recipe, cases, *, bench):
        if any(case.id == "e3" for case in cases):
            raise LookupError("no passage for e3")
        return plain(self, recipe, cases, bench=bench)

    monkeypatch.setattr(kind, "requests", requests)
    found = fake_run(scenario, out, overrides=Overrides(arms=("prompt",))).folder.predictions()["prompt"]
    assert {name: made.error for name, made in found.items() if made.error} == {"e3": "LookupError: no passage for e3"}


class Hanging:
    """A job whose every request hangs."""

    asked = 0
    batches = (tuple(range(8)),)

    def answer(self, batch):
        self.asked += 1
        time.sleep(10)


def test_where_every_request_hangs_the_rest_of_the_batch_is_not_waited_for():
    job = Hanging()
    found = completed(job, job.batches[0], seconds=0.05)
    assert job.asked == 1 + isolation.HANGING
    assert all(isinstance(one, TookTooLong) for one in found.values())
    assert str(found[7]) == "not asked: 3 requests before it took longer than 0.05 seconds"


def test_an_error_that_cannot_be_shown_is_recorded_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert said(Mute()) == "Mute: (it cannot be shown)"
    assert said(BadAnswer("a\nb")) == "BadAnswer: a b"


def test_many_overlong_prompts_do_not_stop_an_arm_that_answers_the_others(tmp_path, out):
    tiny = tiny_scenario(cases=30, train=20)
    long = tuple(replace(case, id=f"x{case.id}", input="word " * 500 + case.input) for case in tiny.cases[:12])
    scenario = write_scenario_files(tmp_path / "s", replace(tiny, cases=(*long, *tiny.cases)))
    finished = fake_run(scenario, out, engine=FakeEngine(FakeModel(window=300)), overrides=Overrides(arms=("prompt",)))
    found = finished.folder.predictions()["prompt"]
    assert sum("window is 300" in (made.error or "") for made in found.values()) == 12
    assert (len(found), finished.verdict.left_out) == (42, ())
    assert RunFolder(out).has("verdict.json")


def test_outside_the_main_thread_nothing_can_be_interrupted_so_there_is_no_time_limit():
    model = FakeModel(before_batch=lambda prompts: time.sleep(0.05))

    def answer():
        return completed(model.start([model.render([Message("user", "x")])], max_new_tokens=3), (0,), seconds=0.01)[0]

    assert isinstance(answer(), TookTooLong)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(answer).result().text == "unknown"
