"""The questions: their vocabulary, how an answer is read and shown, and when a question makes sense."""

import math
import re
from datetime import date

import hypothesis.strategies as st
import pytest
from hypothesis import given

from advisor.questionnaire import Condition, Kind, Requirement, asked, load_questionnaire, parse_condition, parse_value
from advisor.questionnaire import show_value as shown

QUESTIONS = load_questionnaire()

PUBLISHED = {
    "task": "facts_qa classification extraction rewriting generation summarisation code reasoning agent",
    "gap": "facts form both none",
    "labelled_examples": int,
    "classes": int,
    "label_quality": "clean mixed noisy",
    "fact_change_rate": "static yearly monthly weekly daily realtime",
    "corpus_tokens": int,
    "needs_citations": bool,
    "access_control": bool,
    "requests_per_day": int,
    "latency_ms": int,
    "instruction_tokens": int,
    "consistency": "strict normal loose",
    "explicit_rules": "few many_stable many_changing",
    "task_stability": "stable yearly monthly",
    "error_pattern": "wrong_fact wrong_form wrong_reasoning none_seen",
    "hallucination_cost": "low medium high",
    "vocabulary": "general specialised",
    "base_knows_facts": bool,
    "model_access": "api_no_tuning api_tuning open_weights",
    "model_size": "frontier medium small",
    "privacy": "none on_premises not_in_weights",
    "ml_skill": "none some strong",
    "eval_examples": int,
    "budget": "small medium large",
    "weeks_to_launch": int,
    "input_tokens": int,
    "question_shape": "lookup multi_document whole_corpus",
}


def question(key):
    return QUESTIONS.question(key)


# ---- the questions themselves


def test_keys_and_values_are_the_published_vocabulary():
    kinds = {Kind.INTEGER: int, Kind.BOOLEAN: bool}
    ours = {
        one.key: kinds.get(one.kind) or " ".join(choice.value for choice in one.choices) for one in QUESTIONS.questions
    }
    assert ours == PUBLISHED


def test_only_the_latency_must_be_above_nought():
    assert {one.key: one.lowest for one in QUESTIONS.questions if one.lowest} == {"latency_ms": 1}


@pytest.mark.parametrize("key", PUBLISHED)
def test_every_question_has_words_help_and_an_example(key):
    one = question(key)
    assert one.topic
    assert one.text.endswith("?")
    assert one.example.endswith(".")
    assert 2 <= len(re.findall(r"[.?](?: |$)", one.help)) <= 4


@pytest.mark.parametrize("key", PUBLISHED)
def test_no_question_uses_words_that_a_business_person_does_not_know(key):
    one = question(key)
    words = [one.text, one.help, one.example, *(f"{choice.label} {choice.help}" for choice in one.choices)]
    jargon = r"\b(RAG|LoRA|fine-?tun\w*|prompt\w*|embed\w*|LLM|corpus|latency|hallucinat\w*|inference|schema|F1|API)\b"
    assert not re.search(jargon, " ".join(words), re.IGNORECASE)


@pytest.mark.parametrize("key", PUBLISHED)
def test_tokens_are_explained_wherever_they_are_counted(key):
    one = question(key)
    if "token" in f"{one.text} {one.help} {one.example} {one.unit}":
        assert "750 English words are 1,000 tokens" in one.help


def test_topics_stand_together():
    topics = [one.topic for one in QUESTIONS.questions]
    changes = [topic for topic, before in zip(topics, [None, *topics], strict=False) if topic != before]
    assert changes == ["The job", "The facts", "The examples", "Running it", "The team"]


@pytest.mark.parametrize("key", [key for key, values in PUBLISHED.items() if values is int])
def test_a_number_has_a_unit_and_three_to_six_rising_suggestions(key):
    one = question(key)
    values = [suggestion.value for suggestion in one.suggestions]
    assert 3 <= len(values) <= 6
    assert values == sorted(set(values))
    assert values[0] >= one.lowest
    assert all(suggestion.label for suggestion in one.suggestions)
    assert one.unit is not None


@pytest.mark.parametrize("key", [key for key, values in PUBLISHED.items() if isinstance(values, str)])
def test_every_choice_can_be_given_by_value_and_by_label(key):
    one = question(key)
    for choice in one.choices:
        assert parse_value(one, choice.value) == choice.value
        assert parse_value(one, choice.label) == choice.value
        assert shown(one, choice.value) == choice.label


def test_a_question_that_does_not_exist_is_a_key_error():
    with pytest.raises(KeyError, match="colour"):
        question("colour")


# ---- reading an answer


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("task", "facts_qa", "facts_qa"),
        ("task", " Facts QA ", "facts_qa"),
        ("task", "sort things into CATEGORIES", "classification"),
        ("explicit_rules", "many-stable", "many_stable"),
        ("gap", "none", "none"),
        ("needs_citations", True, True),
        ("needs_citations", "Yes", True),
        ("needs_citations", "y", True),
        ("needs_citations", "true", True),
        ("needs_citations", "N", False),
        ("needs_citations", "FALSE", False),
        ("labelled_examples", 0, 0),
        ("labelled_examples", 1e4, 10_000),
        ("labelled_examples", "300", 300),
        ("labelled_examples", "2,000", 2000),
        ("labelled_examples", "2 000", 2000),
        ("labelled_examples", "2\u202f000", 2000),
        ("labelled_examples", "1'000'000", 1_000_000),
        ("labelled_examples", "10_000", 10_000),
        ("labelled_examples", "10k", 10_000),
        ("labelled_examples", "10 K", 10_000),
        ("labelled_examples", "1.5M", 1_500_000),
        ("labelled_examples", "1.250k", 1250),
        ("labelled_examples", "2 million", 2_000_000),
        ("labelled_examples", "5.0", 5),
        ("labelled_examples", "~300", 300),
        ("labelled_examples", "about 300", 300),
        ("labelled_examples", "1k examples", 1000),
        ("labelled_examples", "1 example", 1),
        ("labelled_examples", 10**15, 10**15),
        ("latency_ms", "2 s", 2000),
        ("latency_ms", "0.5 seconds", 500),
        ("latency_ms", "300ms", 300),
        ("latency_ms", "5 min", 300_000),
        ("corpus_tokens", "300 pages", 120_000),
        ("corpus_tokens", "750 words", 1000),
        ("corpus_tokens", "1.5m tokens", 1_500_000),
        ("requests_per_day", "3,000 a month", 100),
        ("weeks_to_launch", "3 months", 13),
    ],
)
def test_an_answer_is_read(key, raw, value):
    read = parse_value(question(key), raw)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "raw", ["unknown", "Unknown", "don't know", "don’t know", "I don't know.", "dk", "?", " ? ", None]
)
@pytest.mark.parametrize("key", ["task", "labelled_examples", "needs_citations"])
def test_do_not_know_is_no_answer(key, raw):
    assert parse_value(question(key), raw) is None


@pytest.mark.parametrize(
    ("key", "raw", "sentence"),
    [
        ("gap", "fact", 'gap must be one of facts, form, both, none (or unknown); got "fact", did you mean "facts"?'),
        ("gap", "", 'gap must be one of facts, form, both, none (or unknown); got ""'),
        ("gap", True, "gap must be one of facts, form, both, none (or unknown); got true"),
        ("gap", ["facts"], "gap must be one of facts, form, both, none (or unknown); got a list"),
        ("gap", "a\x1b[31m", 'gap must be one of facts, form, both, none (or unknown); got "a?[31m"'),
        ("needs_citations", 1, "needs_citations must be yes or no (or unknown); got 1"),
        ("needs_citations", "maybe", 'needs_citations must be yes or no (or unknown); got "maybe"'),
        ("latency_ms", 0, "latency_ms must be 1 or more; got 0"),
        ("classes", -3, "classes must be 0 or more; got -3"),
        ("classes", "-3", 'classes must be 0 or more; got "-3"'),
        ("classes", 10**15 + 1, "classes cannot be more than 1,000,000,000,000,000; got 1000000000000001"),
        ("classes", 10**4000, "classes cannot be more than 1,000,000,000,000,000; got a number of more than 18 digits"),
        (
            "classes",
            "2.000",
            'classes must be a whole number without a point, such as 2000 or 2,000; got "2.000"',
        ),
    ],
)
def test_what_is_no_answer_is_refused_with_a_sentence(key, raw, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        parse_value(question(key), raw)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "raw",
    [
        True,
        False,
        1.5,
        math.nan,
        math.inf,
        -math.inf,
        date(2024, 1, 1),
        {},
        [],
        "",
        "many",
        "1.5",
        "1,5",
        "1,00",
        "10-20",
        "9" * 31,
        "9" * 4000,
        "10 weeks",
        "5 k k",
        "0x10",
        "٣",
        "k",
        "~",
        "1e999",
    ],
)
def test_what_is_no_whole_number_is_refused(raw):
    with pytest.raises(ValueError, match=r"^labelled_examples must be a whole number"):
        parse_value(question("labelled_examples"), raw)


def test_a_wrong_label_is_mended_to_its_value():
    with pytest.raises(ValueError, match='did you mean "agent"'):
        parse_value(question("task"), "act with tool over several step")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TYPED = st.text(alphabet="0123456789.,' _-~kKmMb?eyno", max_size=12)


@given(st.sampled_from(QUESTIONS.questions), JSON | TYPED)
def test_whatever_is_given_is_read_or_refused_in_one_sentence(one, raw):
    try:
        value = parse_value(one, raw)
    except ValueError as problem:
        assert str(problem).startswith(one.key)  # noqa: PT017 - most examples raise nothing
        assert str(problem).isprintable()  # noqa: PT017
        return
    assert value is None or type(value) is {Kind.CHOICE: str, Kind.INTEGER: int, Kind.BOOLEAN: bool}[one.kind]
    if one.kind is Kind.INTEGER and value is not None:
        assert one.lowest <= value <= 10**15


@given(
    st.sampled_from([one for one in QUESTIONS.questions if one.kind is Kind.INTEGER]), st.integers(1, 10**15), st.data()
)
def test_a_number_is_read_back_from_every_way_of_writing_it(one, number, data):
    ways = [number, float(number), str(number), f"{number:,}", f"~{number:_}", shown(one, number)]
    ways += [f"{number // 1000}k"] if number % 1000 == 0 else []
    assert parse_value(one, data.draw(st.sampled_from(ways))) == number


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("labelled_examples", 10_000, "10,000 examples"),
        ("labelled_examples", 1, "1 example"),
        ("requests_per_day", 5000, "5,000 requests a day"),
        ("needs_citations", True, "yes"),
        ("needs_citations", False, "no"),
        ("label_quality", "mixed", "Mostly, with some disagreement"),
        ("label_quality", None, "don't know"),
    ],
)
def test_a_value_is_shown_in_words(key, value, words):
    assert shown(question(key), value) == words


# ---- conditions


@pytest.mark.parametrize(
    ("condition", "values", "verdict"),
    [
        ({}, {}, True),
        ({"gap": "facts"}, {"gap": "facts"}, True),
        ({"gap": "facts"}, {"gap": "form"}, False),
        ({"gap": "facts"}, {}, None),
        ({"task": ["code", "agent"]}, {"task": "agent"}, True),
        ({"task": ["code", "agent"]}, {"task": "extraction"}, False),
        ({"needs_citations": False}, {"needs_citations": False}, True),
        ({"needs_citations": False}, {"needs_citations": True}, False),
        ({"classes": 2}, {"classes": 2}, True),
        ({"classes": [2, 3]}, {"classes": 4}, False),
        ({"classes": {"min": 2, "below": 5}}, {"classes": 1}, False),
        ({"classes": {"min": 2, "below": 5}}, {"classes": 2}, True),
        ({"classes": {"min": 2, "below": 5}}, {"classes": 4}, True),
        ({"classes": {"min": 2, "below": 5}}, {"classes": 5}, False),
        ({"classes": {"below": 1}}, {"classes": 0}, True),
        ({"classes": {"min": 1}}, {"classes": 0}, False),
        ({"labels_per_class": {"below": 3}}, {"labels_per_class": 2}, True),
        ({"gap": "facts", "task": "code"}, {"gap": "facts"}, None),
        ({"gap": "facts", "task": "code"}, {"task": "agent"}, False),
        ({"gap": "facts", "task": "code"}, {"gap": "form"}, False),
        ({"gap": "facts", "task": "code"}, {"gap": "facts", "task": "code"}, True),
    ],
)
def test_a_condition_is_decided_as_soon_as_it_can_be(condition, values, verdict):
    assert parse_condition(condition, QUESTIONS, integer_keys={"labels_per_class"}).verdict(values) is verdict


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ({"tsk": "code"}, 'a condition looks at the unknown key "tsk", did you mean "task"?'),
        ({"labels_per_clas": 1}, 'unknown key "labels_per_clas", did you mean "labels_per_class"?'),
        ({"gap": "fact"}, 'on gap must ask for one of facts, form, both, none; got "fact", did you mean "facts"?'),
        ({"gap": "Facts"}, 'got "Facts", did you mean "facts"?'),
        ({"gap": ["facts", 3]}, "on gap must ask for one of facts, form, both, none; got 3"),
        ({"gap": []}, "a condition lists no value for gap"),
        ({"gap": {"min": 1}}, "a condition on gap has bounds, but gap is no whole number"),
        ({"needs_citations": "yes"}, 'on needs_citations must ask for true or false; got "yes"'),
        ({"needs_citations": 1}, "on needs_citations must ask for true or false; got 1"),
        ({"classes": True}, "a condition on classes must use whole numbers; got true"),
        ({"classes": "3"}, 'a condition on classes must use whole numbers; got "3"'),
        ({"classes": {"min": 1.0}}, "a condition on classes must use whole numbers; got 1.0"),
        ({"classes": {"max": 1}}, "a condition on classes must have min, below or both; got max"),
        ({"classes": {}}, "a condition on classes must have min, below or both; got none"),
        ({"classes": {"min": 5, "below": 5}}, "a condition on classes can never hold: at least 5 and below 5"),
    ],
)
def test_a_condition_with_a_mistake_is_refused_by_name(condition, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_condition(condition, QUESTIONS, integer_keys={"labels_per_class"})


def test_a_condition_knows_its_keys():
    assert Condition((Requirement("gap", ("facts",)), Requirement("classes", least=2))).keys == ("gap", "classes")


# ---- when a question is asked

FACTS = ["corpus_tokens", "fact_change_rate", "base_knows_facts", "needs_citations", "access_control", "question_shape"]


@pytest.mark.parametrize("key", PUBLISHED)
def test_with_nothing_known_every_question_is_asked(key):
    assert asked(question(key), {})


@pytest.mark.parametrize("key", FACTS)
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"gap": "none", "task": "classification"}, False),
        ({"gap": "none", "task": "summarisation"}, False),
        ({"gap": "none", "task": "facts_qa"}, True),
        ({"gap": "none"}, True),
        ({"gap": "form", "task": "classification"}, False),
        ({"gap": "form", "task": "generation"}, True),
        ({"gap": "form"}, True),
        ({"gap": "both", "task": "extraction"}, True),
        ({"gap": "facts", "task": "code"}, True),
        ({"task": "classification"}, True),
    ],
)
def test_facts_are_asked_about_only_where_they_can_matter(key, values, expected):
    assert asked(question(key), values) is expected


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("classes", {"task": "classification"}, True),
        ("classes", {"task": "extraction"}, True),
        ("classes", {"task": "facts_qa"}, False),
        ("label_quality", {"labelled_examples": 0}, False),
        ("label_quality", {"labelled_examples": 1}, True),
        ("access_control", {"task": "facts_qa", "corpus_tokens": 0}, False),
        ("access_control", {"task": "facts_qa", "corpus_tokens": 1}, True),
        ("question_shape", {"gap": "facts", "corpus_tokens": 0}, False),
        ("needs_citations", {"gap": "facts", "corpus_tokens": 0}, True),
        ("explicit_rules", {"task": "facts_qa", "gap": "facts"}, False),
        ("explicit_rules", {"task": "facts_qa", "gap": "both"}, True),
        ("explicit_rules", {"task": "agent", "gap": "facts"}, True),
        ("eval_examples", {"labelled_examples": 0, "gap": "none"}, True),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(key, values, expected):
    assert asked(question(key), values) is expected
