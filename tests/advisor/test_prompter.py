"""The terminal's questions, with what is typed given beforehand."""

import io

import pytest
from rich.console import Console

from advisor.answers import combine, parse_set
from advisor.cli.prompter import TerminalPrompter
from advisor.interview import Action, Change, Given, Place
from advisor.questionnaire import load_questionnaire
from advisor.records import Answer, Conflict, Source

ASKED = load_questionnaire()


def place(*known, number=2, others=()):
    return Place(number, "rag", "likely", combine(parse_set(known)), others)


@pytest.fixture
def at(monkeypatch):
    """Calls one of the prompter's questions while these lines are typed; gives the reply and what was printed."""

    def call(method, *arguments, typed):
        lines, out = iter(typed), Console(file=io.StringIO(), width=200, color_system=None)
        monkeypatch.setattr("builtins.input", lambda _: next(lines))
        reply = getattr(TerminalPrompter(out), method)(*arguments)
        assert list(lines) == [], "everything typed was needed"
        return reply, out.file.getvalue()

    return call


@pytest.mark.parametrize(
    ("key", "typed", "reply"),
    [
        ("task", ["1"], Given(ASKED.question("task").choices[0].value)),
        ("task", ["classification"], Given("classification")),
        ("task", ["", "0", "99", "nonsense", "2"], Given(ASKED.question("task").choices[1].value)),
        ("needs_citations", ["maybe", "y"], Given(True)),
        ("requests_per_day", ["many", "250"], Given(250)),
        ("task", ["d"], Given(None)),
        ("task", ["back"], Action.BACK),
        ("task", ["s"], Action.STOP),
        ("task", ["q"], Action.QUIT),
        ("task", ["?", "q"], Action.QUIT),
        ("task", ["c", "gap"], Change("gap")),
        ("task", ["c", "1"], Change("gap")),
        ("task", ["c", "7", "c", "", "q"], Action.QUIT),
    ],
)
def test_what_is_typed_becomes_a_reply(at, key, typed, reply):
    assert at("ask", ASKED.question(key), place("gap=facts"), typed=typed)[0] == reply


@pytest.mark.parametrize(
    ("key", "typed", "said"),
    [
        ("task", ["99", "q"], "Type a number from 1 to"),
        ("needs_citations", ["maybe", "q"], "“maybe” is no answer here. Type y or n, or d if you don't know."),
        ("task", ["c", "7", "q"], "There is no answer 7."),
        ("task", ["?", "q"], f"Example: {ASKED.question('task').example}"),
        ("requests_per_day", ["q"], "A number of "),
    ],
)
def test_what_cannot_be_understood_is_answered_with_what_can(at, key, typed, said):
    assert said in at("ask", ASKED.question(key), place("gap=facts"), typed=typed)[1]


def test_enter_keeps_what_is_known(at):
    reply, said = at("ask", ASKED.question("gap"), place("gap=facts", others=("prompting",)), typed=[""])
    assert reply == Given("facts")
    assert "Enter keeps it" in said
    assert "so far: retrieval (RAG) (likely)" in said
    assert "An answer could change the advice to prompting." in said


def test_at_the_first_question_there_is_nothing_to_go_back_to_or_to_change(at):
    _, said = at("ask", ASKED.question("task"), place(number=1, others=("prompting",)), typed=["b"])
    assert "This is the first question." in said
    assert "so far" not in said
    assert "An answer could change" not in said
    assert "There is no answer to change yet." in at("ask", ASKED.question("task"), place(), typed=["c", "q"])[1]


@pytest.mark.parametrize(
    ("typed", "reply"),
    [
        ([""], Action.STOP),
        (["S"], Action.STOP),
        (["m"], Action.MORE),
        (["q"], Action.QUIT),
        (["b"], Action.BACK),
        (["c", "gap"], Change("gap")),
        (["c", "", "x", "m"], Action.MORE),
    ],
)
def test_when_enough_was_asked_one_may_stop_or_go_on(at, typed, reply):
    found, said = at("enough", place("gap=facts"), "nothing would change the advice", typed=typed)
    assert found == reply
    assert "Enough asked: nothing would change the advice." in said
    assert ("Press Enter for the advice" in said) == ("x" in typed)


@pytest.mark.parametrize(("typed", "kept"), [(["k"], True), ([""], True), (["M"], False), (["what", "m"], False)])
def test_a_contradiction_is_settled_by_keeping_or_taking(at, typed, kept):
    said = Answer("gap", "form", Source.TYPED)
    conflict = Conflict("gap", said, Answer("gap", "facts", Source.DATA, "412 rows of train.jsonl"))
    found, printed = at("settle", ASKED.question("gap"), conflict, typed=typed)
    assert found is kept
    assert "measured: " in printed
    assert "(412 rows of train.jsonl)" in printed
    assert ("Type k or m." in printed) == ("what" in typed)
