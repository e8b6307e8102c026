"""Instructions: written where there is none, completed where they hide the labels, never said twice."""

import json

import pytest

from harness.scenario import Case, Kind
from harness.scenario_file.instruction import complete_instruction, listed, mentioned, write_instruction


def cases(*pairs):
    return [Case(str(n), source, target) for n, (source, target) in enumerate(pairs)]


def objects(*values):
    return cases(*(("text", json.dumps(value)) for value in values))


def written(kind, rows, names=()):
    return write_instruction(kind, rows, (), names=names)


def test_a_label_set_gets_an_instruction_that_lists_its_labels():
    assert written(Kind.LABELS, cases(("x", "a")), ["a", "b", "c"]).text == (
        "Classify the text. Labels: a, b, c. Answer with one label only."
    )


def test_labels_that_hold_a_comma_are_put_in_quotes():
    assert listed(["a, b", "c"]) == '"a, b", "c"'
    assert listed(["a", "c"]) == "a, c"


def test_json_with_all_keys_each_time_says_nothing_of_leaving_out():
    rows = objects({"a": "x", "b": "y"}, {"a": "z", "b": "w"})
    assert written(Kind.JSON, rows, ["a", "b"]).text == (
        "Turn the text into a JSON object with the keys a, b. Answer with the JSON object only."
    )


def test_json_with_missing_keys_says_to_leave_them_out():
    assert (
        "the keys a, b; leave out what is not said." in written(Kind.JSON, objects({"a": 1}, {"b": 2}), ["a", "b"]).text
    )


def test_json_with_nulls_says_to_use_null():
    assert "; use null for what is not said." in written(Kind.JSON, objects({"a": None}, {"a": 2}), ["a"]).text


def test_nested_keys_are_named_too():
    rows = objects({"intent": "x", "slots": {"city": "a", "day": "b"}}, {"intent": "y", "slots": {"city": "c"}})
    text = written(Kind.JSON, rows, ["intent", "slots"]).text
    assert "intent, slots (an object with the keys city, day); leave out what is not said." in text


def test_lists_of_objects_name_their_keys():
    rows = objects({"items": [{"name": "a", "n": 1}]}, {"items": [{"name": "b", "n": 2}]})
    assert "items (a list of objects with the keys name, n)." in written(Kind.JSON, rows, ["items"]).text


def test_many_nested_keys_are_cut():
    rows = objects({"slots": {f"k{n}": n for n in range(50)}})
    text = written(Kind.JSON, rows, ["slots"]).text
    assert "k29 and others)" in text
    assert "k30" not in text


def test_few_values_that_repeat_are_named():
    rows = objects(*({"area": area, "name": f"n{n}"} for n, area in enumerate(["north", "south"] * 6)))
    text = written(Kind.JSON, rows, ["area", "name"]).text
    assert "area: such as north, south." in text
    assert "name:" not in text


def test_values_in_lists_are_named_and_constants_are_not_called_so():
    rows = objects(*({"tags": ["x", "y"], "kind": "k", "ok": n % 2 == 0} for n in range(8)))
    text = written(Kind.JSON, rows, ["tags", "kind", "ok"]).text
    assert "tags: such as x, y. ok: such as true, false." in text
    assert "always" not in text
    assert "kind:" not in text


def test_values_come_from_training_rows_only():
    train = objects(*({"a": value} for value in ["x", "y"] * 4))
    held_out = objects(*({"a": value} for value in ["secret", "hidden"] * 50))
    assert write_instruction(Kind.JSON, train, held_out, names=["a"]).text == (
        "Turn the text into a JSON object with the keys a. a: such as x, y. Answer with the JSON object only."
    )
    assert write_instruction(Kind.JSON, (), held_out, names=["a"]).text == (
        "Turn the text into a JSON object with the keys a. Answer with the JSON object only."
    )


@pytest.mark.parametrize(
    ("kind", "pairs", "text", "warns"),
    [
        (Kind.SHORT_ANSWER, [("Who?", "Ada")], "Answer the question. Give the shortest exact answer only.", False),
        (Kind.SHORT_ANSWER, [("How many?", "7")], "Answer the question. Answer with the number only.", False),
        (Kind.SHORT_ANSWER, [("Ada was here.", "Ada")], "Give the shortest exact answer only.", True),
        (Kind.FREE_TEXT, [("Why is it so?", "Because of this.")], "Answer the question. Give the answer only.", True),
        (Kind.FREE_TEXT, [("a b c", "d e f")], "Rewrite or answer the text as required. Give the answer only.", True),
        (
            Kind.FREE_TEXT,
            [("is it er so?", "is it so?")],
            "Rewrite or answer the text as required. Give the answer only.",
            True,
        ),
    ],
)
def test_open_kinds_say_what_can_be_known_and_warn_where_it_is_not_enough(kind, pairs, text, warns):
    frame = written(kind, cases(*pairs))
    assert frame.text == text
    assert bool(frame.warning) == warns
    assert not warns or "--instruction TEXT" in frame.warning


@pytest.mark.parametrize(
    ("given", "kind", "names", "completed"),
    [
        ("Say a, b or c.", Kind.LABELS, ["a", "b", "c"], "Say a, b or c."),
        ("Answer YES or NO", Kind.LABELS, ["yes", "no"], "Answer YES or NO"),
        ("Give the intent.", Kind.LABELS, ["a", "b"], "Give the intent. Labels: a, b. Answer with one label only."),
        ("Give the intent", Kind.LABELS, ["x_1", "b"], "Give the intent. Labels: x_1, b. Answer with one label only."),
        ("Answer with one label.", Kind.LABELS, ["x", "b"], "Answer with one label. Labels: x, b."),
        ("a b c d only", Kind.LABELS, list("abcde"), "a b c d only"),
        ("a b c only", Kind.LABELS, list("abcde"), "a b c only. Labels: a, b, c, d, e. Answer with one label only."),
        ("Is it nothing?", Kind.LABELS, ["not", "no"], "Is it nothing? Labels: not, no. Answer with one label only."),
        ("Fill x and y.", Kind.JSON, ["x", "y"], "Fill x and y."),
        ("Make JSON.", Kind.JSON, ["x", "y"], "Make JSON. Keys: x, y. Answer with the JSON object only."),
        ("Make JSON only.", Kind.JSON, ["x", "y"], "Make JSON only. Keys: x, y."),
        ("Answer briefly", Kind.SHORT_ANSWER, [], "Answer briefly"),
        ("Rewrite it", Kind.FREE_TEXT, [], "Rewrite it"),
    ],
)
def test_an_instruction_is_completed_and_never_repeated(given, kind, names, completed):
    assert complete_instruction(given, kind, names=names) == completed
    assert complete_instruction(completed, kind, names=names) == completed


def test_labels_are_found_as_whole_words():
    assert mentioned(["card", "pay"], "my cards: pay") == 0.5
    assert mentioned(["a+b", "c?"], "a+b or c?") == 1.0
