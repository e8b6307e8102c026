"""Ending an answer early must not change what the parser reads."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.metrics.answer import answer_is_whole, parse_answer
from harness.scenario import Kind

PIECES = ["Paris", " ", "\n", "\n\n", "Answer", ":", "The answer is:", "```", "```json", "'", '"', "\\", "\u2028", "**"]
JSON_PIECES = [*'{}[]:,"1x', '{"a": 1}', '{"b": "}"}', "NaN", '"a"', " ", "\n", "\\", "Answer:", "```json\n", "```"]


def stopped(text, kind):
    """The text as it stands when it first counts as whole; all of it where it never does."""
    ends = (text[:end] for end in range(1, len(text) + 1))
    return next((part for part in ends if answer_is_whole(part, kind=kind)), text)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", False),
        ("\n", False),
        ("Paris", False),
        ("Paris\n", True),
        ("\n Paris\nmore", True),
        ("  \n \n", False),
        ("Answer:\n", False),
        ("```\nParis\n", False),
    ],
)
def test_a_line_ends_when_an_answer_stood_on_it(text, whole):
    assert answer_is_whole(text, kind=Kind.SHORT_ANSWER) is whole


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", False),
        ("{", False),
        ('{"a": 1', False),
        ('{"a": 1}', True),
        ('Sure: {"a": {"b": "}"}}', True),
        ('{"a": {"b": "}"}', False),
        ('{"a": "}', False),
        ("} {", False),
        ("{a: 1}", False),
    ],
)
def test_an_object_is_whole_when_its_own_brace_is_closed(text, whole):
    assert answer_is_whole(text, kind=Kind.JSON) is whole


@pytest.mark.parametrize("kind", [Kind.LABELS, Kind.FREE_TEXT])
def test_other_answers_end_where_the_model_ends_them(kind):
    assert not answer_is_whole('billing\n\n{"a": 1}\n', kind=kind)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@settings(max_examples=500)
@example("Paris\nis the capital")
@example("Answer:\nParis")
@example("```\nParis\n```")
@example('"\nParis')
@example("'\n\\\n'")
@example("The answer is: Answer:\nParis")
def test_a_short_answer_is_the_same_with_and_without_the_early_stop(text):
    early = parse_answer(stopped(text, Kind.SHORT_ANSWER), kind=Kind.SHORT_ANSWER)
    assert early == parse_answer(text, kind=Kind.SHORT_ANSWER)


@given(st.lists(st.sampled_from(JSON_PIECES), max_size=12).map("".join))
@settings(max_examples=500)
@example('Here: {"a": 1} and {"b": 2}')
@example('{"a": NaN} {"b": 2}')
@example('{oops} {"a": 1}')
def test_a_json_answer_is_the_same_with_and_without_the_early_stop(text):
    assert parse_answer(stopped(text, Kind.JSON), kind=Kind.JSON) == parse_answer(text, kind=Kind.JSON)
