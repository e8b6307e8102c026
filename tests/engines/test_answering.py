"""What goes wrong before, while and after the model is asked costs only the cases that it concerns."""

from dataclasses import dataclass, field, replace

import pytest
from fakes import FakeModel, tiny_bench, tiny_scenario

from harness.arms.base import Request
from harness.engines.answering import answer_cases
from harness.records import Recipe
from harness.scenario import Kind

RECIPE = Recipe("own")


@dataclass
class OwnArm:
    """An arm of a third party."""

    requests_of: object
    name: str = "own"

    def requests(self, recipe, cases, *, bench, fresh=False):
        return self.requests_of(cases)


def one_each(cases):
    return [Request() for _ in cases]


def answered(arm, bench):
    batches = answer_cases(arm, RECIPE, bench.scenario.cases, bench=bench, done=frozenset())
    found = [made for batch in batches for made in batch.predictions]
    assert len(found) == len(bench.scenario.cases)
    return {made.case_id: made for made in found}


@dataclass
class Refusing(FakeModel):
    """Starts no job with more prompts than `most`, nor with a prompt that holds one of `never`."""

    most: int = 100
    never: tuple = ()
    started: list = field(default_factory=list)

    def start(self, prompts, **named):
        self.started.append(len(prompts))
        if len(prompts) > self.most or any(word in prompt for word in self.never for prompt in prompts):
            raise ValueError("this job is refused")
        return super().start(prompts, **named)


@pytest.mark.parametrize(
    "requests",
    [lambda cases: one_each(cases)[1:], lambda cases: [*one_each(cases), Request()]],
    ids=["too few", "too many"],
)
def test_an_arm_that_does_not_make_one_request_a_case_answers_none(requests):
    found = answered(OwnArm(requests), tiny_bench())
    made = len(requests([0]))
    assert {one.error for one in found.values()} == {f"ArmFailed: the arm made {made} requests of 1 cases"}


def test_an_arm_that_cannot_do_all_cases_at_once_does_each_alone():
    found = answered(OwnArm(lambda cases: one_each(cases)[:1]), tiny_bench())
    assert {(one.text, one.error) for one in found.values()} == {("unknown", None)}


def test_a_job_that_can_be_started_with_each_prompt_alone_and_not_with_all_is_said_of_all():
    model = Refusing(most=1)
    found = answered(OwnArm(one_each), tiny_bench(model=model))
    assert {one.error for one in found.values()} == {"ValueError: this job is refused"}
    assert model.started == [6, 1, 1, 1, 1, 1, 1]


def test_a_prompt_that_cannot_be_started_is_left_out_of_the_job():
    found = answered(OwnArm(one_each), tiny_bench(model=Refusing(never=("Landia2?",))))
    assert {name: one.error for name, one in found.items() if one.error} == {"e2": "ValueError: this job is refused"}
    assert {one.text for one in found.values() if not one.error} == {"unknown"}


def test_where_no_prompt_can_be_started_no_case_is_answered():
    found = answered(OwnArm(one_each), tiny_bench(model=Refusing(most=0)))
    assert {one.error for one in found.values()} == {"ValueError: this job is refused"}


REPAIRED = replace(
    tiny_scenario(cases=2, documents=False), kind=Kind.LABELS, labels=("yes", "no"), repair=True, max_new_tokens=8
)


def test_an_answer_that_is_repaired_costs_both_requests():
    model = FakeModel(canned={"That answer cannot be used": "yes"}, default="perhaps")
    found = answered(OwnArm(one_each), tiny_bench(REPAIRED, model=model))
    assert [one.text for one in found.values()] == ["yes", "yes"]
    assert {one.tokens_out for one in found.values()} == {2}


@pytest.mark.parametrize(
    "model",
    [
        Refusing(default="perhaps", never=("That answer cannot be used",)),
        FakeModel(default="perhaps", fails_on=("That answer cannot be used",)),
    ],
    ids=["cannot be asked", "is not answered"],
)
def test_where_a_repair_fails_the_first_answer_stays(model):
    found = answered(OwnArm(one_each), tiny_bench(REPAIRED, model=model))
    assert {(one.text, one.error, one.tokens_out) for one in found.values()} == {("perhaps", None, 1)}


def test_a_second_answer_that_is_no_better_does_not_replace_the_first_and_is_paid():
    model = FakeModel(canned={"That answer cannot be used": "maybe"}, default="perhaps")
    found = answered(OwnArm(one_each), tiny_bench(REPAIRED, model=model))
    assert {(one.text, one.tokens_out) for one in found.values()} == {("perhaps", 2)}


def test_an_answer_that_failed_is_not_repaired():
    model = FakeModel(canned={"That answer cannot be used": "yes"}, default="perhaps", fails_on=("Landia0?",))
    found = answered(OwnArm(one_each), tiny_bench(REPAIRED, model=model))
    assert found["e0"].error == "RuntimeError: the fake model fails on 'Landia0?'"
    assert found["e1"].text == "yes"
