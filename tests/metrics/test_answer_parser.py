"""One parser for all arms: what counts as the answer in a raw text."""

import json

import pytest

from harness.metrics.answer import parse_answer
from harness.scenario import Kind

BANK = ("card_payment", "card_payment_fee_charged", "refund", "Refund_not_showing_up", "reverted_card_payment?")
YES_NO = ("yes", "no")
SIGNS = ("-1", "0", "1")
LETTERS = ("A", "B", "C")


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("refund", BANK, "refund"),
        ("  Refund.\n", BANK, "refund"),
        ('"refund"', BANK, "refund"),
        ("**refund**", BANK, "refund"),
        ("card payment", BANK, "card_payment"),
        ("CARD-PAYMENT", BANK, "card_payment"),
        ("card_payment_fee_charged", BANK, "card_payment_fee_charged"),
        ("refund not showing up", BANK, "Refund_not_showing_up"),
        ("reverted_card_payment", BANK, "reverted_card_payment?"),
        ("reverted card payment?", BANK, "reverted_card_payment?"),
        ("Label: refund", BANK, "refund"),
        ("The intent is card payment fee charged, I think.", BANK, "card_payment_fee_charged"),
        ("refund, because the customer wants their money back", BANK, "refund"),
        ("refund\n\nMessage: my card payment failed", BANK, "refund"),
        ("Answer: refund\nExplanation: this is not about a card payment", BANK, "refund"),
        ('{"label": "refund"}', BANK, "refund"),
        ("```\nrefund\n```", BANK, "refund"),
        ("refund refund refund", BANK, "refund"),
        ("No, it is not plausible.", YES_NO, "no"),
        ("I would say no.", YES_NO, "no"),
        ("None", ("None", "Some"), "None"),
        ("none.", ("None", "Some"), "None"),
        ("C++", ("C", "C++", "C#"), "C++"),
        ("c#.", ("C", "C++", "C#"), "C#"),
        ("-1", SIGNS, "-1"),
        ("1", SIGNS, "1"),
        ("-1 because it is bad", SIGNS, "-1"),
        ("The score is -1.", SIGNS, "-1"),
        ("+", ("+", "-"), "+"),
        ("-", ("+", "-"), "-"),
        ("B) the second", LETTERS, "B"),
        ("The answer is B.", LETTERS, "B"),
        ("退款。", ("退款", "换货"), "退款"),
        ("答案是退款。", ("退款", "换货"), "退款"),
        ("Ответ: возврат", ("возврат", "обмен"), "возврат"),
        ("वापसी", ("वापसी", "बदलना"), "वापसी"),
        ("May", ("May", "may"), "May"),
        ("may", ("May", "may"), "may"),
        ("ok", ("ok", "ok?"), "ok"),
        ("ok?", ("ok", "ok?"), "ok?"),
        ("4 stars", ("1", "2", "3", "4", "5"), "4"),
    ],
)
def test_a_label_is_found_however_it_is_wrapped(text, labels, label):
    assert parse_answer(text, kind=Kind.LABELS, labels=labels) == label


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("refund, card_payment, reverted_card_payment?", BANK),
        ("- refund\n- card payment\n- card payment fee charged", BANK),
        ("1. refund 2. card payment", BANK),
        ("refund or card payment", BANK),
        ("yes/no", YES_NO),
        ("It could be a refund, or else a card payment.", BANK),
        ("There is no way to tell.", YES_NO),
        ("I know nothing about that.", YES_NO),
        ("refunding", BANK),
        ("It is a good idea.", LETTERS),
        ("A man walks.", LETTERS),
        ("about 4.5", ("1", "2", "3", "4", "5")),
        ("something else", BANK),
    ],
)
def test_a_text_that_names_no_label_or_several_stays_as_it_is_and_is_wrong(text, labels):
    parsed = parse_answer(f" {text} ", kind=Kind.LABELS, labels=labels)
    assert parsed == text
    assert parsed not in labels


def test_every_label_of_a_set_is_read_as_itself():
    labels = [*BANK, "Software Recommendation", "None", "no", "N/A", "???", "a.b", "(none)", "50%", "état", "ß"]
    assert [parse_answer(label, kind=Kind.LABELS, labels=labels) for label in labels] == labels


def test_without_a_label_set_the_first_line_is_the_label():
    assert parse_answer("Label: refund\nbecause", kind=Kind.LABELS) == "refund"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"b": 1, "a": "x"}', '{"a":"x","b":1}'),
        ('Sure! Here it is:\n```json\n{"a": {"b": [1, 2]}}\n```\nAnything else?', '{"a":{"b":[1,2]}}'),
        ('{"a": "}"} and {"b": 2}', '{"a":"}"}'),
        ('Use {name} like this: {"a": 1}', '{"a":1}'),
        ('[{"a": 1}, {"a": 2}]', '{"a":1}'),
        ('{"café": "Zoë"}', '{"café":"Zoë"}'),
        ('{"a": "\\ud800"}', '{"a":"?"}'),
        ("{}", "{}"),
    ],
)
def test_the_first_json_object_is_found_and_spelled_in_one_way(text, canonical):
    assert parse_answer(text, kind=Kind.JSON) == canonical


@pytest.mark.parametrize(
    "text",
    [
        '{"intent": "x", "slots": {"a": "b"}',
        "{'a': 1}",
        '{"a": NaN}',
        "no object",
        "[1, 2]",
        '"text"',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": ' + "1" * 5_000 + "}",
    ],
    ids=range(9),
)
def test_what_is_no_complete_json_object_stays_text(text):
    assert parse_answer(text, kind=Kind.JSON) == text


def test_parsing_json_twice_changes_nothing():
    once = parse_answer('x {"b": [1, {"c": null}], "a": 1.50} y', kind=Kind.JSON)
    assert parse_answer(once, kind=Kind.JSON) == once
    assert json.loads(once) == {"b": [1, {"c": None}], "a": 1.5}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris", "Paris"),
        ("\n\n  Paris \nFrance", "Paris"),
        ("Answer: Paris", "Paris"),
        ("**Answer:** Paris", "Paris"),
        ("The answer is: Paris", "Paris"),
        ("Final answer:\nParis", "Paris"),
        ("A: Paris", "Paris"),
        ("答え Paris", "答え Paris"),
        ('"Paris"', "Paris"),
        ("“Paris”", "Paris"),
        ('"Paris', "Paris"),
        ('"yes" and "no"', '"yes" and "no"'),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("```\nParis\n```", "Paris"),
        ("Answer:", "Answer:"),
        ("Answers vary: Paris", "Answers vary: Paris"),
        ('"', '"'),
    ],
)
def test_a_short_answer_is_the_first_line_without_mark_and_quotes(text, answer):
    assert parse_answer(text, kind=Kind.SHORT_ANSWER) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("  One.\n\nTwo. ", "One.\n\nTwo."),
        ("Answer: One.\nTwo.", "One.\nTwo."),
        ("```text\nOne.\nTwo.\n```", "One.\nTwo."),
        ("Output:\n```\nOne.\n```", "One."),
        ('"One," she said.', '"One," she said.'),
    ],
)
def test_free_text_is_kept_whole(text, answer):
    assert parse_answer(text, kind=Kind.FREE_TEXT) == answer


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("text", ["", " ", "\n\t\n", "\u00a0"])
def test_an_empty_text_stays_empty(kind, text):
    assert parse_answer(text, kind=kind, labels=YES_NO) == ""
