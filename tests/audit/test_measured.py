"""What the data tell of a job, on small made-up jobs: each rule from both of its sides."""

import json
from pathlib import Path

import pytest

from harness.audit.measured import DataFacts, measure
from harness.audit.signs import has_fields
from harness.audit.tokens import estimate_corpus_tokens, estimate_tokens
from harness.scenario import Case, DecisionRule, Document, Inference, Kind, Scenario
from harness.scenario_file.infer import infer_kind

NAMES = [
    "alder",
    "birch",
    "cedar",
    "dogwood",
    "elder",
    "fir",
    "gorse",
    "hazel",
    "ivy",
    "juniper",
    "larch",
    "maple",
    "nettle",
    "oak",
    "pine",
    "quince",
]
PLACES = [
    "attic",
    "barn",
    "cellar",
    "den",
    "entrance",
    "foyer",
    "garage",
    "hall",
    "island",
    "jetty",
    "kitchen",
    "loft",
    "mill",
    "nave",
    "office",
    "pantry",
]


def cases(prefix, pairs, **more):
    return tuple(Case(f"{prefix}{n}", *pair, line=n, **more) for n, pair in enumerate(pairs, start=1))


def scenario(train=(), judged=(), *, kind=None, documents=(), **more):
    train, judged = (
        side if side and isinstance(side[0], Case) else cases(prefix, side)
        for prefix, side in (("t", train), ("e", judged))
    )
    if kind is None and (train or judged):
        kind = infer_kind([*train, *judged])[0]
    settings = {"name": "n", "folder": Path(), "instruction": "", "rule": DecisionRule("chrf", 0.05)}
    return Scenario(
        **(settings | more), kind=kind or Kind.FREE_TEXT, train=train, cases=judged, documents=tuple(documents)
    )


def answers(*given, **more):
    return {one.key: one.value for one in measure(scenario(*given, **more))[1]}


def because(key, *given, **more):
    return next(one.because for one in measure(scenario(*given, **more))[1] if one.key == key)


def facts(*given, **more) -> DataFacts:
    return measure(scenario(*given, **more))[0]


def labels(*names, each=6, text="The {0} in the {1}, note {2}."):
    return [(text.format(NAMES[n % 16], PLACES[n % 15], f"{name} {n}"), name) for name in names for n in range(each)]


def shapes(n, share):
    """Which of n rows belong to the given share."""
    return [place < round(n * share) for place in range(n)]


# the job


def test_few_labels_are_a_classification_and_what_is_to_learn_is_a_habit():
    found = answers(labels("late", "lost", "paid"))
    assert (found["task"], found["gap"], found["classes"]) == ("classification", "form", 3)
    assert "consistency" not in found


@pytest.mark.parametrize(
    ("names", "text", "task"),
    [
        (("yes", "no"), "Is the {0} in the {1}, {2}?", None),
        (("True", "False"), "Is the {0} in the {1}, {2}?", None),
        (("yes", "no"), "The {0} in the {1}, {2}.", "classification"),
        (("A", "B", "C"), "Which is it, {0} or {1}, {2}?", None),
        (("1", "2", "3"), "The {0} was broken, {1}, {2}.", "classification"),
        (("late", "lost"), "Where is my {0}, {1}, {2}?", "classification"),
    ],
)
def test_verdicts_and_choices_that_answer_a_question_are_no_plain_classification(names, text, task):
    found = answers(labels(*names, text=text), kind=Kind.LABELS)
    assert (found.get("task"), found["classes"]) == (task, len(names))
    assert ("gap" in found) == bool(task)


def test_labels_beside_documents_leave_open_what_is_missing():
    found = answers(labels("late", "lost"), documents=[Document("d", "", "Late means after noon.")])
    assert (found["task"], found.get("gap")) == ("classification", None)


def test_labels_that_rest_on_a_named_document_leave_the_task_open():
    rows = tuple(Case(f"t{n}", source, target, context_id="d") for n, (source, target) in enumerate(labels("a1", "b2")))
    assert "task" not in answers(rows, documents=[Document("d", "", "The rules.")])


def order(n, *, known=True):
    name = NAMES[n % 16] if known else f"code{n}"
    return f"Please send {n} x {NAMES[n % 16]} to the {PLACES[n % 15]}.", json.dumps(
        {"item": name, "room": PLACES[n % 15]}
    )


def test_json_from_the_input_is_extraction_of_a_strict_form():
    found = answers([order(n) for n in range(12)])
    assert (found["task"], found["gap"], found["consistency"]) == ("extraction", "form", "strict")
    assert "classes" not in found


@pytest.mark.parametrize(("share", "task"), [(0.6, "extraction"), (0.5, None)])
def test_json_values_that_come_from_nowhere_make_it_no_extraction(share, task):
    rows = [order(n, known=known) for n, known in enumerate(shapes(10, share))]  # the rooms always stand there
    assert answers(rows).get("task") == task


def test_json_of_short_codes_is_extraction_though_no_code_stands_in_the_input():
    rows = [(f"Message {n} on the {NAMES[n]}.", json.dumps({"queue": "QA"[n % 2], "due": "U1"})) for n in range(12)]
    assert answers(rows)["task"] == "extraction"


def test_json_that_holds_nothing_but_a_label_is_classification():
    rows = [(text, json.dumps({"label": label})) for text, label in labels("late", "lost", "paid")]
    found = answers(rows)
    assert (found["task"], found["classes"], found["consistency"]) == ("classification", 3, "strict")
    assert facts(rows).labels_per_class_min == 6


@pytest.mark.parametrize(("share", "value"), [(0.8, "strict"), (0.7, None)])
def test_json_with_keys_of_every_sort_is_not_strict(share, value):
    usual = shapes(40, share)
    rows = [(f"text {n}", json.dumps({"a": 1} if same else {f"key {n}": 1})) for n, same in enumerate(usual)]
    assert answers(rows).get("consistency") == value
    assert facts(rows).format_share == pytest.approx(share)


def lookup(n, *, answered=True, named=True, copied=False):
    """A question, its answer, and the document that may hold it."""
    hidden = f"under the old {PLACES[n % 15]} stairs {n}"
    question = f"Where is the {NAMES[n % 16]} key number {n}{f' ({hidden})' if copied else ''}?"
    text = f"The {NAMES[n % 16]} key number {n} lies {hidden if answered else 'somewhere'}."
    return Case(f"q{n}", question, hidden, context_id=f"d{n}" if named else None), Document(f"d{n}", "", text)


def lookups(n=20, *, share=1.0, **more):
    rows, documents = zip(*(lookup(k, answered=there, **more) for k, there in enumerate(shapes(n, share))), strict=True)
    return answers(rows, documents=documents, kind=Kind.SHORT_ANSWER)


def test_questions_whose_answers_stand_in_documents_ask_for_facts():
    found = lookups()
    assert (found["task"], found["gap"], found["question_shape"]) == ("facts_qa", "facts", "lookup")
    assert found["corpus_tokens"] > 0


@pytest.mark.parametrize(("share", "gap"), [(0.6, "facts"), (0.55, None)])
@pytest.mark.parametrize("named", [True, False])
def test_too_few_answers_in_the_documents_leave_the_gap_open(share, gap, named):
    found = lookups(share=share, named=named)
    assert (found.get("gap"), found.get("task")) == (gap, gap and "facts_qa")


def test_without_a_named_document_nobody_knows_how_many_places_an_answer_takes():
    assert "question_shape" not in lookups(named=False)


def test_answers_that_stand_in_the_question_are_no_missing_facts():
    assert "gap" not in lookups(copied=True)


def test_common_words_in_documents_that_speak_of_something_else_are_no_answers():
    rows = [(f"What did the {name} lose in winter?", "leaves") for name in NAMES]
    documents = [Document("d", "", "He leaves the house at nine and comes back at five.")]
    assert "gap" not in answers(rows, kind=Kind.SHORT_ANSWER, documents=documents)
    documents = [Document("d", "", "What trees lose in winter: their leaves.")]
    assert answers(rows, kind=Kind.SHORT_ANSWER, documents=documents)["gap"] == "facts"


def test_long_replies_whose_words_stand_in_one_document_lack_facts_though_nobody_asks():
    policies = [
        Document(
            f"d{n}", "", f"A {tree} may be returned within {n} weeks to the {place} desk if the bark is whole and dry."
        )
        for n, (tree, place) in enumerate(zip(NAMES, PLACES, strict=True))
    ]
    rows = [(f"I don't want my {NAMES[n]}.", document.text) for n, document in enumerate(policies)]
    found = answers(rows, documents=policies)
    assert (found.get("task"), found["gap"]) == (None, "facts")


def test_json_whose_values_stand_in_documents_only_lacks_both():
    documents = [Document(f"d{n}", "", f"{NAMES[n]}: shelf number {PLACES[n]}-{n}") for n in range(16)]
    rows = tuple(
        Case(f"t{n}", f"{NAMES[n]}, please", json.dumps({"shelf": f"{PLACES[n]}-{n}"}), context_id=f"d{n}")
        for n in range(16)
    )
    assert answers(rows, documents=documents)["gap"] == "both"


def test_sums_are_reasoning_and_numbers_that_stand_in_the_input_are_not():
    sums = [(f"Ann has {n} eggs and {n + 3} nuts. How many has she?", str(2 * n + 3)) for n in range(20, 50)]
    given = [(f"Ann has {n} eggs and {n + 3} nuts. How many eggs?", str(n)) for n in range(20, 50)]
    assert answers(sums).get("task") == "reasoning"
    assert answers(given).get("task") is None
    assert "gap" not in answers(sums)


def test_the_same_piece_of_every_input_is_extraction_and_a_passage_with_questions_is_not():
    same = [(f"I am {name} and need help.\n\nWho writes?", name) for name in NAMES]
    passages = [(f"The {a} is in the {b}.\n\nWhere is the {a}?", b) for a, b in zip(NAMES, PLACES, strict=True)]
    bare = [(f"I am {name} and need help.", name) for name in NAMES]
    assert answers(same, kind=Kind.SHORT_ANSWER)["task"] == "extraction"
    assert answers(bare, kind=Kind.SHORT_ANSWER)["task"] == "extraction"
    assert "task" not in answers(passages, kind=Kind.SHORT_ANSWER)
    assert "gap" not in answers(same, kind=Kind.SHORT_ANSWER)


@pytest.mark.parametrize(("new", "task"), [(4, "rewriting"), (5, None)])
def test_rewriting_shares_more_than_half_of_its_words_at_a_similar_length(new, task):
    words = [[f"{name}{n}" for name in NAMES[:9]] for n in range(12)]
    rows = [(" ".join(row), " ".join([*(f"other{k}" for k in range(new)), *row[new:]])) for row in words]
    found = answers(rows, kind=Kind.FREE_TEXT)
    assert (found.get("task"), found.get("gap")) == (task, task and "form")


def test_what_is_much_longer_than_its_input_is_no_rewriting():
    rows = [(f"the {name} here and now", f"the {name} here and now, {' '.join(NAMES)} too") for name in NAMES]
    assert "task" not in answers(rows, kind=Kind.FREE_TEXT)


@pytest.mark.parametrize(("length", "task"), [(110, "summarisation"), (90, None)])
def test_summaries_are_short_and_made_of_the_words_of_a_long_input(length, task):
    rows = [
        (" ".join(f"{NAMES[k % 16]}{n}" for k in range(length)), " ".join(f"{x}{n}" for x in NAMES)) for n in range(9)
    ]
    found = answers(rows, kind=Kind.FREE_TEXT)
    assert (found.get("task"), found.get("gap")) == (task, None)


def test_text_made_of_fields_is_generation():
    rows = [
        (f"name: {a}, place: {b}, price: {n}", f"You find the {a} in the {b} for {n} euros.")
        for n, (a, b) in enumerate(zip(NAMES, PLACES, strict=True))
    ]
    found = answers(rows, kind=Kind.FREE_TEXT)
    assert (found["task"], found["gap"]) == ("generation", "form")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name[The Mill], food[fish, chips], area[riverside]", True),
        ('{"a": 1, "b": 2}', True),
        ("colour = red\nsize = 3\nshape = round", True),
        ("name: x, place: y", False),
        ("Dear all, note: the mill is closed, we think, until Monday.", False),
        ("{not json, at all, really}", False),
    ],
)
def test_fields_are_told_from_prose(text, expected):
    assert has_fields(text) == expected


@pytest.mark.parametrize(
    ("output", "task"),
    [
        ("SELECT * FROM {1} WHERE tree = '{0}'", "code"),
        ("```sql\nselect tree from {1}\n```", "code"),
        ("def {0}(x):\n    return '{1}'", "code"),
        ("public int {0}() {{ return 1; }}", "code"),
        ("Select a {0} from those in the {1}.", None),
        ("Public transport stops at the {1}, near a {0}.", None),
        ("With the {0} we send a letter from the {1}.", None),
    ],
)
def test_code_is_told_from_prose_by_how_it_begins(output, task):
    rows = [
        (f"what we want, number {n}", output.format(a, b)) for n, (a, b) in enumerate(zip(NAMES, PLACES, strict=True))
    ]
    assert answers(rows, kind=Kind.FREE_TEXT).get("task") == task


@pytest.mark.parametrize(("n", "task"), [(7, None), (8, "extraction")])
def test_a_handful_of_rows_shows_no_job(n, task):
    assert answers([order(k) for k in range(n)]).get("task") == task


# numbers


def test_rows_that_leak_or_repeat_are_no_further_examples():
    train = [("x", "a"), ("X ", "a"), ("y", "b"), ("z", "c"), ("z", "d")]
    found = facts(train, [("Y", "b"), ("new", "a"), ("new", "a")])
    assert (found.labelled_rows, found.leaked_rows, found.repeated_rows, found.eval_examples) == (3, 1, 1, 2)
    said = because("labelled_examples", train, [("Y", "b"), ("new", "a")])
    assert said == "3 rows of train.jsonl; 1 more stand in eval.jsonl too and 1 repeat another, which does not count"


def test_what_was_not_given_is_not_measured():
    assert set(answers([("x", "some words")])) == {"labelled_examples", "eval_examples", "input_tokens"}
    assert set(answers([], [("x", "some words")])) == {"eval_examples", "input_tokens"}
    assert set(answers(documents=[Document("d", "", "text")])) == {"corpus_tokens"}
    assert answers() == {}


def test_training_rows_alone_mean_no_eval_example():
    assert answers([("x", "some words")])["eval_examples"] == 0
    assert because("eval_examples", [("x", "some words")]) == "there is no eval.jsonl beside train.jsonl"


def test_a_missing_corpus_does_not_mean_that_there_are_no_documents():
    found = facts([("x", "y")])
    assert (found.documents, found.corpus_tokens, found.eval_answers_in_corpus) == (0, None, None)


def test_labels_are_counted_with_those_that_only_eval_has():
    found = facts([("a", "x"), ("b", "x"), ("c", "y")], [("d", "z")], kind=Kind.LABELS, labels=("x", "y", "z"))
    assert (found.classes, found.labels_per_class_min, found.labels_per_class_median) == (3, 0, 1.0)


@pytest.mark.parametrize(("n", "classes"), [(19, None), (20, 0)])
def test_outputs_that_all_differ_show_that_there_is_no_list_where_there_are_enough(n, classes):
    assert facts([(f"in {k}", f"out {k}") for k in range(n)], kind=Kind.SHORT_ANSWER).classes == classes


@pytest.mark.parametrize(("repeats", "classes"), [(10, None), (9, 0)])
def test_outputs_that_come_again_leave_the_list_open(repeats, classes):
    rows = [(f"in {k}", "again" if k < repeats else f"out {k}") for k in range(20)]
    assert facts(rows, kind=Kind.SHORT_ANSWER).classes == classes


def repeated(groups, contradictory, *, single=0):
    pairs = [(f"text {n}", "b" if side and n < contradictory else "a") for n in range(groups) for side in (0, 1)]
    return pairs + [(f"single {n}", "a") for n in range(single)]


@pytest.mark.parametrize(
    ("groups", "contradictory", "single", "value"),
    [
        (9, 9, 0, None),
        (10, 2, 0, "noisy"),
        (20, 3, 0, "mixed"),
        (20, 1, 0, "mixed"),
        (20, 0, 100, None),
        (60, 0, 200, "clean"),
        (59, 0, 200, None),
        (60, 0, 0, None),
        (60, 3, 200, "mixed"),
        (60, 2, 200, "clean"),
    ],
)
def test_labels_are_judged_by_inputs_that_stand_more_than_once(groups, contradictory, single, value):
    assert answers(repeated(groups, contradictory, single=single), kind=Kind.LABELS).get("label_quality") == value


def test_contradictions_are_counted_even_where_they_are_not_judged():
    found = facts(repeated(3, 2), kind=Kind.LABELS)
    assert (found.repeated_inputs, found.repeated_input_rows, found.contradictory_inputs) == (3, 6, 2)
    assert found.contradictory_share is None


def test_free_text_may_be_written_in_many_ways():
    assert facts(repeated(20, 20), kind=Kind.FREE_TEXT).contradictory_share is None


def test_an_instruction_counts_only_where_the_user_wrote_it():
    rows = [("x", "some words")]
    written = Inference("instruction", "Do it.", "none was given", "say it")
    assert answers(rows, instruction="Do it at once.")["instruction_tokens"] == 5
    assert "instruction_tokens" not in answers(rows, inferred=(written,))
    assert "instruction_tokens" not in answers(rows, instruction=" ")


def test_answers_are_looked_for_on_both_sides():
    documents = [Document("d", "Trees", "alder birch cedar")]
    found = facts([("q", "alder"), ("r", "nowhere")], [("s", "birch"), ("t", "yes")], documents=documents)
    assert (found.eval_answers_in_corpus, found.train_answers_in_corpus) == (1.0, 0.5)
    said = because("corpus_tokens", [("q", "alder"), ("r", "nowhere")], documents=documents)
    assert said == "about 4 tokens (estimated) in 1 document, which hold 50 % of the answers"


@pytest.mark.parametrize(
    ("outputs", "kind", "form", "share"),
    [
        (["x", "y", "x"], Kind.LABELS, "one of 2 labels", 1),
        (["12", "7", "soon"], Kind.SHORT_ANSWER, "a number", 2 / 3),
        (["soon", "in the evening", " ".join(NAMES)], Kind.SHORT_ANSWER, "one line of up to 8 words", 2 / 3),
        (["a\nb", "a\nb", "c"], Kind.FREE_TEXT, "several lines", 2 / 3),
        ([" ".join(NAMES)], Kind.FREE_TEXT, "one longer line", 1),
        (['{"a": 1}', '{"b": 1, "a": 2}'], Kind.JSON, "JSON object with the keys a, b", 1),
    ],
)
def test_the_commonest_form_is_named_with_its_share(outputs, kind, form, share):
    found = facts([(f"in {n}", output) for n, output in enumerate(outputs)], kind=kind)
    assert (found.format, found.format_share) == (form, pytest.approx(share))


def test_lengths_are_medians_and_a_tail():
    rows = [("one two three", "yes sir")] * 1 + [(" ".join(["word"] * n), "yes sir") for n in range(1, 40)]
    found = facts(rows, kind=Kind.FREE_TEXT)
    assert (found.input_tokens_median, found.input_tokens_p95, found.output_tokens_median) == (20, 37, 2)


# tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("the cat", 2),
        ("it's 2024.", 3 + 4 + 1),
        ("a_b", 3),
        ("abcdefgh", 1),
        ("abcdefghi", 2),
        ("one\ntwo", 3),
        ("漢字", 2),
        ("漢字abc", 3),
    ],
)
def test_tokens_are_estimated_from_words_and_signs(text, tokens):
    assert estimate_tokens(text) == tokens


def test_a_large_corpus_is_estimated_from_some_of_its_documents():
    small = [Document("d", "title", "word " * 122)]
    large = [Document(f"d{n}", "", "word " * 10_000) for n in range(60)]
    assert estimate_corpus_tokens(small) == 123
    assert estimate_corpus_tokens(large) == 600_000
    assert estimate_corpus_tokens([Document("d", "", "word " * 123_456)]) == 123_000
