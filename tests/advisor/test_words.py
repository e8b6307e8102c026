"""How the advisor writes numbers and names."""

import pytest

from advisor.questionnaire import load_questionnaire
from advisor.records import APPROACHES, Answer, Flip, Source
from advisor.render import words
from advisor.rules import load_knowledge
from harness.publish import numbers


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"), (0.0000048, "$0.0000048"), (0.00012345, "$0.00012"), (0.0099, "$0.0099"), (0.01, "$0.01"),
        (3.456, "$3.46"), (9.999, "$10.00"), (10.4, "$10"), (99.6, "$100"), (1234, "$1,200"), (56_789, "$57,000"),
    ],
)  # fmt: skip
def test_money_has_two_figures(amount, text):
    assert numbers.money(amount, "USD") == text


def test_other_currencies_are_named():
    assert numbers.money(1500, "CHF") == "CHF 1,500"
    assert numbers.money(1500, "EUR") == "€1,500"


def test_every_band_says_what_it_means():
    assert {name for name, _ in load_knowledge().model.bands} | {"very unlikely", "ruled out"} == set(words.BANDS)
    assert set(words.TITLES) == set(APPROACHES)


def test_a_flip_is_a_sentence():
    text = words.flip_text(Flip("labelled_examples", 231, 770, "fine_tuning"))
    assert text.endswith(
        "If the answer were “770 examples” instead of “231 examples”, the advice would be fine-tuning."
    )
    assert "This is open; if the answer were" in words.flip_text(Flip("gap", None, "facts", "rag"))


def test_where_an_answer_came_from_is_said():
    assert words.source_text(Answer("gap", "facts", Source.DATA, "99 %")) == "measured: 99 %"
    assert words.source_text(Answer("gap", "facts", Source.TYPED)) == "typed"


@pytest.mark.parametrize("source", Source)
def test_those_who_were_not_there_are_told_in_whole_words_where_an_answer_came_from(source):
    assert "--" not in words.said_by(Answer("gap", "facts", source))
    assert words.said_by(Answer("gap", "facts", source, "412 rows")).endswith(": 412 rows")


def test_commands_and_sums_are_written_as_people_write_them():
    assert words.without_code("Check with `bakeoff check` that") == "Check with “bakeoff check” that"
    assert words.reckoned("25 days x 1,000") == "25 days × 1,000"


def test_every_value_of_every_question_can_be_shown():
    for question in load_questionnaire().questions:
        for value in question.values:
            assert words.value_text(question.key, value)
