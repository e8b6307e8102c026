"""Metrics of JSON objects."""

import pytest

from harness.metrics.exact_object import exact_object
from harness.metrics.field_f1 import field_f1
from harness.metrics.json_valid import json_valid

WANTED = '{"intent": "book", "slots": {"city": "Rome", "guests": 2}}'


@pytest.mark.parametrize(
    ("answer", "f1", "exact"),
    [
        ('{"slots": {"guests": 2.0, "city": " Rome"}, "intent": "book"}', 1, 1),
        ('{"intent": "book", "slots": {"city": "Rome"}}', 4 / 5, 0),
        ('{"intent": "book", "slots": {"city": "Rome", "guests": "2"}}', 4 / 6, 0),
        ('{"intent": "book", "slots": {}}', 2 / 5, 0),
        ('{"intent": "book", "city": "Rome", "guests": 2}', 2 / 6, 0),
        ('{"intent": "Book", "slots": {"city": "Rome", "guests": 2}}', 4 / 6, 0),
        ("{}", 0, 0),
        ("book Rome 2", 0, 0),
        ("[1]", 0, 0),
    ],
)
def test_fields_are_paths_with_values(answer, f1, exact):
    assert field_f1(answer, [WANTED]) == pytest.approx(f1)
    assert exact_object(answer, [WANTED]) == exact


@pytest.mark.parametrize(
    ("answer", "reference", "f1", "exact"),
    [
        ('{"a": [1, 2, 3]}', '{"a": [3, 2, 1]}', 1, 0),
        ('{"a": [1, 2]}', '{"a": [1, 2, 2]}', 4 / 5, 0),
        ('{"a": [{"b": 1}, {"b": 2}]}', '{"a": [{"b": 1}]}', 2 / 3, 0),
        ('{"a": true}', '{"a": 1}', 0, 0),
        ('{"a": null}', '{"a": ""}', 0, 0),
        ('{"a": []}', '{"a": {}}', 0, 0),
        ('{"a": []}', '{"a": []}', 1, 1),
        ("{}", "{}", 1, 1),
    ],
)
def test_lists_types_and_empty_values(answer, reference, f1, exact):
    assert field_f1(answer, [reference]) == pytest.approx(f1)
    assert exact_object(answer, [reference]) == exact


def test_validity_does_not_ask_whether_it_is_right():
    assert json_valid('{"x": 1}', [WANTED]) == 1
    assert json_valid("x: 1", [WANTED]) == 0
    assert json_valid("", [WANTED]) == 0


def test_the_best_of_several_references_counts():
    assert field_f1('{"a": 1}', ['{"a": 2}', '{"a": 1}']) == 1
    assert exact_object('{"a": 1}', ['{"a": 2}', '{"a": 1}']) == 1
