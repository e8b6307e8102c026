"""An answer that a program cannot use, and what the model is told of it."""

import pytest

from harness.metrics.form import in_form
from harness.metrics.usable import fault_of
from harness.scenario import Kind

LABELS = ("refund", "order status")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("refund", None),
        ("Refund.", None),
        ("I cannot say", "It is none of the allowed answers: refund, order status."),
        ("", "It is none of the allowed answers: refund, order status."),
    ],
)
def test_a_label_is_usable_where_it_is_one_of_the_set(text, fault):
    assert fault_of(text, kind=Kind.LABELS, labels=LABELS) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"name": "A", "date": null}', None),
        ('{"name": "A"}', "The JSON object lacks: date."),
        ("{}", "The JSON object lacks: name, date."),
        ("[1]", "It is not a JSON object."),
        ("name: A", "It is not a JSON object."),
    ],
)
def test_json_is_usable_as_an_object_with_every_key(text, fault):
    assert fault_of(text, kind=Kind.JSON, keys=("name", "date")) == fault


@pytest.mark.parametrize("kind", [Kind.SHORT_ANSWER, Kind.FREE_TEXT])
def test_any_text_can_be_used_as_text(kind):
    assert fault_of("", kind=kind) is None


@pytest.mark.parametrize(
    ("text", "good"),
    [('{"name": "A", "date": 1, "more": 2}', True), ('{"name": "A"}', False), ("[1]", False), (" ", False)],
)
def test_json_is_of_the_form_asked_for_as_an_object_with_every_key(text, good):
    assert in_form(text, kind=Kind.JSON, keys=("name", "date")) is good
