"""What is asked, in which order, and that nothing is lost."""

import pytest

from advisor.answers import combine
from advisor.interview import Action, Change, Given, contradictions, interview, next_key
from advisor.questionnaire import load_questionnaire
from advisor.recommend import recommend
from advisor.records import Answer, Source


class Scripted:
    """A person who answers from a dictionary, and does something else at given questions."""

    def __init__(self, answers=None, actions=None, *, keep=True):
        self.answers, self.actions, self.keep = answers or {}, dict(actions or {}), keep
        self.asked, self.settled, self.ended = [], [], ""

    def ask(self, question, place):
        self.asked.append(question.key)
        if len(self.asked) in self.actions:
            return self.actions.pop(len(self.asked))
        return Given(self.answers.get(question.key))

    def enough(self, place, because):
        self.ended = because
        return Action.STOP

    def settle(self, question, conflict):
        self.settled.append(conflict.key)
        return self.keep


SUPPORT = {
    "task": "facts_qa", "gap": "facts", "corpus_tokens": 2_000_000, "labelled_examples": 30,
    "error_pattern": "wrong_fact",
    "fact_change_rate": "weekly", "base_knows_facts": False, "needs_citations": True, "model_access": "api_tuning",
}  # fmt: skip
INTENTS = {
    "task": "classification", "gap": "form", "classes": 77, "labelled_examples": 770, "model_access": "open_weights",
    "error_pattern": "wrong_form", "explicit_rules": "few", "eval_examples": 300, "label_quality": "clean",
    "requests_per_day": 50_000, "model_size": "medium", "consistency": "strict", "latency_ms": 1000,
}  # fmt: skip


def run(prompter, start=None, **options):
    kept = []
    outcome = interview(start or combine(), prompter, keep=kept.append, **options)
    return outcome, kept


@pytest.mark.parametrize(("person", "approach"), [(SUPPORT, "rag"), (INTENTS, "fine_tuning")])
def test_a_few_telling_questions_are_enough(person, approach):
    prompter = Scripted(person)
    outcome, _ = run(prompter)
    assert recommend(outcome.answers.values).approach == approach
    assert 3 <= outcome.asked <= 12
    assert prompter.asked[0] == "task"
    assert len(prompter.asked) == len(set(prompter.asked))
    assert outcome.because == prompter.ended
    assert "likely to change the advice" in outcome.because


def test_somebody_who_knows_nothing_is_let_go():
    prompter = Scripted()
    outcome, _ = run(prompter)
    assert outcome.answers.values == {}
    assert len(prompter.asked) == len(set(prompter.asked)), "a don't know is not asked again"


def test_every_reply_is_kept_at_once():
    prompter = Scripted(SUPPORT)
    outcome, kept = run(prompter)
    assert [len(answers.answers) for answers in kept] == list(range(1, outcome.asked + 1))
    assert kept[-1] == outcome.answers


def test_back_asks_the_question_before_again():
    prompter = Scripted(SUPPORT, {2: Action.BACK})
    outcome, _ = run(prompter)
    assert prompter.asked[:4] == ["task", prompter.asked[1], "task", prompter.asked[1]]
    assert outcome.answers.values["task"] == "facts_qa"


def test_back_at_the_first_question_stays_there():
    prompter = Scripted(SUPPORT, {1: Action.BACK})
    run(prompter)
    assert prompter.asked[:2] == ["task", "task"]


def test_an_earlier_answer_can_be_changed():
    prompter = Scripted({"task": "facts_qa"}, {3: Change("task"), 4: Given("summarisation"), 5: Action.STOP})
    outcome, _ = run(prompter)
    assert prompter.asked[3] == "task"
    assert outcome.answers.values["task"] == "summarisation"


def test_stopping_gives_the_advice_and_leaving_gives_none():
    stopped, _ = run(Scripted(SUPPORT, {3: Action.STOP}))
    assert (stopped.asked, stopped.quit, stopped.because) == (2, False, "you asked for the advice now")
    left, kept = run(Scripted(SUPPORT, {3: Action.QUIT}))
    assert left.quit
    assert len(kept[-1].answers) == 2


def test_an_interrupt_leaves_what_was_kept():
    class Interrupted(Scripted):
        def ask(self, question, place):
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().ask(question, place)

    kept = []
    with pytest.raises(KeyboardInterrupt):
        interview(combine(), Interrupted(SUPPORT), keep=kept.append)
    assert len(kept[-1].answers) == 2


def test_more_puts_the_questions_that_were_not_worth_asking():
    class Curious(Scripted):
        def enough(self, place, because):
            if not self.ended:
                self.ended = because
                return Action.MORE
            return Action.STOP

    prompter = Curious(SUPPORT)
    outcome, _ = run(prompter)
    assert len(prompter.asked) > 20
    assert outcome.because == "every question that applies has been put"


def test_what_was_measured_is_not_asked():
    start = combine([Answer("task", "facts_qa", Source.DATA), Answer("gap", "facts", Source.DATA)])
    prompter = Scripted(SUPPORT)
    run(prompter, start)
    assert not {"task", "gap"} & set(prompter.asked)


@pytest.mark.parametrize(("keep", "value"), [(True, 1000), (False, 300)])
def test_data_that_contradict_what_was_said_are_put_to_the_person(keep, value):
    start = combine([Answer("labelled_examples", 300, Source.DATA, "300 rows")])
    start = start.with_answer(Answer("labelled_examples", 1000, Source.FILE, "a.toml"))
    prompter = Scripted(SUPPORT, {1: Action.STOP}, keep=keep)
    outcome, _ = run(prompter, start)
    assert prompter.settled == ["labelled_examples"]
    assert outcome.answers.values["labelled_examples"] == value


def test_a_form_seen_in_data_contradicts_nobody():
    answers = combine([Answer("gap", "none", Source.TYPED), Answer("gap", "form", Source.DATA)])
    assert answers.conflicts
    assert contradictions(answers) == ()


def test_the_next_question_is_the_task_as_long_as_it_is_open():
    assert next_key(combine()) == "task"
    assert next_key(combine([Answer("task", "facts_qa", Source.TYPED)])) != "task"


@pytest.mark.parametrize(
    ("left", "because"),
    [
        ((), "every question that applies has been answered"),
        (("latency_ms",), "the one question left open is not likely to change the advice"),
        (("latency_ms", "consistency"), "no single answer to the 2 questions left open is likely to change the advice"),
    ],
)
def test_why_nothing_more_is_asked_is_said(left, because):
    keys = [question.key for question in load_questionnaire().questions if question.key not in left]
    known = {"task": "facts_qa", "gap": "facts", "corpus_tokens": 2_000_000, "needs_citations": True}
    start = combine(tuple(Answer(key, known.get(key), Source.FILE) for key in keys))
    prompter = Scripted()
    outcome, _ = run(prompter, start)
    assert prompter.asked == []
    assert outcome.because == prompter.ended == because
