"""What a set of JSON outputs shows of the answers to come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.json_schema import schema_of


def schema(*objects, keys=(), **options):
    return json.loads(schema_of([json.dumps(one, **options) for one in objects], keys=keys))


def fits(value, rule):
    """As much of JSON Schema as is written here."""
    if "anyOf" in rule:
        return any(fits(value, one) for one in rule["anyOf"])
    if "enum" in rule:
        return value in rule["enum"]
    kind = rule.get("type")
    if kind is None:
        return True
    if kind == "object":
        return (
            isinstance(value, dict)
            and set(rule["required"]) <= set(value) <= set(rule["properties"])
            and all(fits(part, rule["properties"][name]) for name, part in value.items())
        )
    if kind == "array":
        return isinstance(value, list) and all(fits(part, rule.get("items", {})) for part in value)
    if kind in ("number", "integer"):
        return not isinstance(value, bool) and isinstance(value, int if kind == "integer" else (int, float))
    return isinstance(value, {"string": str, "boolean": bool, "null": type(None)}[kind])


def test_keys_keep_their_commonest_order_and_only_what_is_always_there_is_required():
    found = schema({"b": "x", "a": 1}, {"b": "y", "a": 2}, {"a": 1, "c": True, "b": ""}, {"b": "z", "d": None, "a": 3})
    assert list(found["properties"]) == ["b", "d", "a", "c"]
    assert found["required"] == ["b", "a"]
    assert found["additionalProperties"] is False
    assert found["properties"]["a"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        ([True, False], {"type": "boolean"}),
        (["a", None, "b"], {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ([True, 1, 1], {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}),
        ([[], []], {"type": "array"}),
        ([[1], ["a", 2], []], {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}),
        (
            [{"x": 1, "y": 2}, {"x": 3}],
            {
                "type": "object",
                "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                "required": ["x"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_every_kind_that_was_seen_may_come_again(values, expected):
    assert schema(*({"v": value} for value in values))["properties"]["v"] == expected


@pytest.mark.parametrize(
    ("different", "rows", "closed"),
    [(2, 20, True), (2, 19, False), (30, 60, True), (31, 80, False), (12, 23, False), (1, 20, True)],
)
def test_texts_that_recur_are_a_closed_set(different, rows, closed):
    found = schema(*({"v": f"ü{n % different}"} for n in range(rows)))["properties"]["v"]
    assert found == ({"enum": [f"ü{n}" for n in range(different)]} if closed else {"type": "string"})


def test_a_closed_set_may_also_be_left_empty():
    found = schema(*({"v": ["a", "b", None][n % 3]} for n in range(60)))["properties"]["v"]
    assert found == {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}


def test_keys_that_no_output_has_may_hold_anything():
    found = schema({"a": 1}, keys=["a", "b"])
    assert found["properties"] == {"a": {"type": "integer"}, "b": {}}
    assert found["required"] == ["a"]


def test_without_outputs_the_keys_are_all_there_is_to_know():
    found = json.loads(schema_of(["no JSON", "[1]"], keys=["a", "b"]))
    assert (found["properties"], found["required"]) == ({"a": {}, "b": {}}, ["a", "b"])


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":"), (",", ": ")])
def test_answers_are_spaced_as_the_outputs_are(separators):
    found = schema({"a": "ä", "b": [1, 2]}, {"a": "b, c: d", "b": []}, separators=separators)["x-guidance"]
    assert (found["item_separator"], found["key_separator"]) == separators
    assert found["whitespace_flexible"] is False


def test_outputs_on_several_lines_become_compact():
    found = schema({"a": 1, "b": 2}, indent=2)["x-guidance"]
    assert (found["item_separator"], found["key_separator"]) == (",", ":")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=30))
def test_every_output_fits_its_own_schema(objects):
    found = schema(*objects)
    for one in objects:
        assert fits(json.loads(json.dumps(one)), found)
