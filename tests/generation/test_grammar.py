"""Answers held to a JSON schema, token by token, without a network: scores are drawn."""

import json

import pytest
from tiny_llama import byte_tokenizer

from harness.generation import grammar
from harness.generation.grammar import Vocabulary, check_schema, schema_walk

torch = pytest.importorskip("torch")

TOKENIZER = byte_tokenizer()
END = TOKENIZER.eos_token_id
OTHER_END = TOKENIZER.convert_tokens_to_ids("Q")
VOCABULARY = Vocabulary(TOKENIZER, (END, OTHER_END), len(TOKENIZER))
SCHEMA = {
    "type": "object",
    "properties": {
        "queue": {"enum": ["red", "reed", "blue ü"]},
        "n": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        "sure": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    },
    "required": ["queue", "sure"],
    "additionalProperties": False,
}


def walk_of(schema, vocabulary=VOCABULARY):
    return schema_walk(json.dumps(schema), vocabulary)


def liking(text):
    """Scores that like one token best, the first of a text."""
    scores = torch.zeros(len(TOKENIZER))
    scores[TOKENIZER(text)["input_ids"][0]] = 9.0
    return scores


def written(walk, scores, *, most=200):
    """(text, whether it ended) of a whole answer; `scores`: called for each token."""
    found = []
    while len(found) < most:
        found.append(walk.choose(scores()))
        found += walk.rest()
        if found[-1] in (END, OTHER_END):
            return TOKENIZER.decode(found[:-1]), True
    return TOKENIZER.decode(found), False


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_scores_the_answer_is_of_the_schema(seed):
    noise = torch.Generator().manual_seed(seed)
    text, ended = written(walk_of(SCHEMA), lambda: torch.randn(len(TOKENIZER), generator=noise))
    value = json.loads(text)
    assert ended
    assert {"queue", "sure"} <= set(value) <= set(SCHEMA["properties"])
    assert value["queue"] in SCHEMA["properties"]["queue"]["enum"]
    assert value["sure"] in (True, False, None)
    assert 0 <= value.get("n", 0) <= 99
    assert set(value.get("tags", [])) <= {"a", "b"}
    assert text == json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def test_what_is_liked_is_taken_where_it_may_follow():
    walk, wanted = walk_of(SCHEMA), '{"queue":"reed","n":42,"sure":null}'
    text, ended = "", False
    for char in wanted:
        token = walk.choose(liking(char))
        text += TOKENIZER.decode([token])
        if walk.rest():
            text, ended = text + TOKENIZER.decode(walk.rest()[:-1]), True
            break
    assert (text, ended) == (wanted, True)


def test_the_spacing_is_the_schemas_where_it_names_one():
    spaced = SCHEMA | {"x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}}
    noise = torch.Generator().manual_seed(1)
    text, _ = written(walk_of(spaced), lambda: torch.randn(len(TOKENIZER), generator=noise))
    assert text == json.dumps(json.loads(text), ensure_ascii=False)


def test_where_one_ending_is_left_it_comes_without_being_asked_for():
    walk = walk_of({"type": "object", "properties": {"a": {"enum": ["xy"]}}, "required": ["a"]} | CLOSED)
    assert walk.choose(liking("!")) == TOKENIZER("{")["input_ids"][0]
    assert TOKENIZER.decode(walk.rest()[:-1]) == '"a":"xy"}'
    assert walk.rest()[-1] == END


CLOSED = {"additionalProperties": False}


def test_an_answer_that_ended_has_no_rest():
    walk = walk_of({"type": "integer"})
    assert TOKENIZER.decode([walk.choose(liking("7"))]) == "7"
    assert walk.rest() == ()
    scores = torch.zeros(len(TOKENIZER))
    scores[END] = 9.0
    assert walk.choose(scores) == END
    assert walk.rest() == ()


def test_stop_tokens_stand_in_no_answer():
    walk = walk_of({"type": "string"})
    walk.choose(liking('"'))
    assert walk.choose(liking("Q")) not in (END, OTHER_END)


def test_scores_beyond_the_tokens_are_never_chosen():
    wide = len(TOKENIZER) + 61
    scores = torch.zeros(wide)
    scores[-61:] = 5.0
    walk = walk_of({"type": "string"}, VOCABULARY._replace(width=wide))
    walk.choose(scores)
    assert all(walk.choose(scores) < len(TOKENIZER) for _ in range(5))


def test_answers_under_one_schema_do_not_meet():
    first, second = walk_of(SCHEMA), walk_of(SCHEMA)
    for char in '{"queue":"b':
        first.choose(liking(char))
    assert TOKENIZER.decode([second.choose(liking("x"))]) == "{"
    assert TOKENIZER.decode([first.choose(liking("r"))]) == "l"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("{bad", "key must be a string"),
        ("", "EOF"),
        ("[1]", "."),
        ('{"type": "nonsense"}', "Invalid type: nonsense"),
        ('{"type": "string", "pattern": "("}', "regex parse error"),
        ('{"type": "object", "unevaluatedProperties": false}', "Unimplemented keys"),
        ('{"$ref": "http://x/y"}', "not present in a registry"),
    ],
)
@pytest.mark.parametrize("check", [check_schema, lambda schema: schema_walk(schema, VOCABULARY)], ids=["check", "walk"])
def test_a_schema_that_cannot_be_used_is_refused_in_a_sentence(schema, why, check):
    with pytest.raises(ValueError, match=r"^Answers cannot be held to this JSON schema: [^\n]*\.$") as raised:
        check(schema)
    assert why in str(raised.value)


def test_a_schema_that_can_be_used_is_not():
    check_schema(json.dumps(SCHEMA))
    check_schema("{}")


def test_a_tokenizer_that_is_not_of_the_fast_kind_is_refused_in_a_sentence():
    class Slow:
        def __len__(self):
            return 5

    with pytest.raises(ValueError, match="tokenizer cannot hold answers to a JSON schema: Only fast"):
        schema_walk("{}", VOCABULARY._replace(tokenizer=Slow()))


def test_a_schema_without_any_answer_ends_in_a_sentence():
    with pytest.raises(ValueError, match="JSON schema"):
        written(walk_of({"enum": ["Q"]}), lambda: torch.zeros(len(TOKENIZER)))


def test_a_schema_is_compiled_once():
    before = grammar._compiled.cache_info().misses
    for _ in range(3):
        walk_of({"enum": ["once"]})
    assert grammar._compiled.cache_info().misses == before + 1
