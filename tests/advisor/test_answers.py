"""Which answer stands, and what is said about answers that cannot be read."""

import json
import os
import stat

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from advisor.answers import Session, combine, load_session, parse_set, read_answers_file, save_session
from advisor.errors import AnswerProblems, UserError
from advisor.records import Answer, Conflict, Source

TYPED, FILE, FLAG, SESSION, DATA = Source


def said(value, source=TYPED, key="labelled_examples", note=""):
    return Answer(key, value, source, note)


@pytest.fixture
def written(tmp_path):
    """Write a file of answers; its path."""

    def write(content, name="answers.toml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def problems_of(call, *arguments):
    with pytest.raises(AnswerProblems) as caught:
        call(*arguments)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


# ---- precedence


@pytest.mark.parametrize(
    ("stronger", "weaker"), [(TYPED, FILE), (FILE, FLAG), (FLAG, SESSION), (SESSION, DATA), (TYPED, DATA)]
)
def test_the_stronger_source_stands_whatever_the_order(stronger, weaker):
    winner, loser = said(10, stronger), said(11, weaker)
    for layers in ([[winner], [loser]], [[loser], [winner]], [[loser, winner]]):
        answers = combine(*layers)
        assert answers.answers == (winner,)
        assert answers.overruled == (loser,)


@pytest.mark.parametrize(
    ("given", "stands"),
    [
        ([said(None, TYPED), said(5, FILE)], said(None, TYPED)),
        ([said(None, TYPED), said(5, FILE), said(7, DATA)], said(7, DATA)),
        ([said(None, FLAG), said(5, SESSION)], said(None, FLAG)),
        ([said(4, TYPED), said(None, FILE), said(7, DATA)], said(4, TYPED)),
        ([said(None, SESSION), said(7, DATA)], said(7, DATA)),
        ([said(None, TYPED), said(None, DATA)], said(None, TYPED)),
        ([said(5, TYPED), said(6, TYPED)], said(6, TYPED)),
    ],
)
def test_a_dont_know_stands_against_people_but_is_filled_by_data(given, stands):
    assert combine(given).answers == (stands,)


def test_data_that_could_not_tell_are_no_answer():
    assert combine([said(None, DATA)]).answers == ()


def test_equal_and_unknown_answers_are_not_overruled():
    answers = combine([said(5, TYPED), said(5, FILE), said(None, FLAG), said(6, SESSION)])
    assert answers.overruled == (said(6, SESSION),)


def test_answers_stand_in_the_questionnaires_order():
    answers = combine([said(3, key="weeks_to_launch"), said("code", DATA, "task"), said(9, FILE, "classes")])
    assert [one.key for one in answers.answers] == ["task", "classes", "weeks_to_launch"]


@pytest.mark.parametrize(
    ("key", "said_value", "measured", "conflict"),
    [
        ("labelled_examples", 100, 150, False),
        ("labelled_examples", 100, 151, True),
        ("labelled_examples", 150, 100, False),
        ("labelled_examples", 151, 100, True),
        ("labelled_examples", 0, 1, True),
        ("labelled_examples", 1, 0, True),
        ("labelled_examples", 0, 0, False),
        ("gap", "form", "facts", True),
        ("gap", "form", "form", False),
        ("needs_citations", True, False, True),
        ("needs_citations", True, True, False),
    ],
)
def test_data_contradict_an_answer_only_where_the_difference_is_real(key, said_value, measured, conflict):
    person, data = said(said_value, FLAG, key), said(measured, DATA, key)
    assert combine([data], [person]).conflicts == ((Conflict(key, person, data),) if conflict else ())


def test_people_do_not_conflict_with_each_other_nor_data_with_a_dont_know():
    assert combine([said(5, TYPED), said(500, FILE)]).conflicts == ()
    assert combine([said(None, TYPED), said(500, DATA)]).conflicts == ()


def test_values_are_the_known_ones_and_get_gives_the_standing_answer():
    answers = combine([said(None), said("code", key="task"), said("agent", FILE, "task")])
    assert answers.values == {"task": "code"}
    assert answers.get("task") == said("code", key="task")
    assert answers.get("labelled_examples") == said(None)
    assert answers.get("gap") is None


def test_a_changed_answer_is_weighed_afresh_against_what_was_measured():
    before = combine([said(100, TYPED), said(110, DATA)])
    after = before.with_answer(said(5000, TYPED))
    assert before.conflicts == ()
    assert after.conflicts == (Conflict("labelled_examples", said(5000), said(110, DATA)),)
    assert after.with_answer(said(None, TYPED)).answers == (said(110, DATA),)


def test_a_dont_know_that_data_filled_is_not_forgotten():
    filled = combine([said(None, TYPED), said(5, FILE), said(7, DATA)])
    assert filled.with_answer(said(8, DATA)).answers == (said(8, DATA),)


def test_without_forgets_all_that_was_given_for_the_key():
    answers = combine([said(1), said(2, FILE), said(90, DATA), said("code", key="task")]).without("labelled_examples")
    assert answers == combine([said("code", key="task")])


@given(st.permutations([said(v, s) for v, s in zip([5, 6, None, 8, 900], Source, strict=True)]), st.data())
def test_layers_and_their_order_do_not_matter(given_answers, data):
    some = given_answers[: data.draw(st.integers(1, 5))]
    cut = data.draw(st.integers(0, len(some)))
    assert combine(some[:cut], some[cut:]) == combine(sorted(some, key=lambda one: list(Source).index(one.source)))


# ---- files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", 'task = "code"\nclasses = 3\nneeds_citations = true\ngap = "unknown"\n'),
        ("a.toml", '[answers]\ngap = "?"\nclasses = "3"\nneeds_citations = "yes"\ntask = "code"\n'),
        ("a.toml", '\ufefftask = "code"\r\nclasses = 3\r\nneeds_citations = true\r\ngap = "dk"\r\n'),
        ("a.json", '{"task": "code", "classes": 3, "needs_citations": true, "gap": null}'),
        ("a.json", '{"id": "x", "answers": {"task": "code", "classes": 3.0, "needs_citations": "y", "gap": null}}'),
        ("a.txt", '{"task": "code", "classes": 3, "needs_citations": true, "gap": null}'),
        ("a.txt", 'task = "code"\nclasses = 3\nneeds_citations = true\ngap = "unknown"\n'),
        ("a", '[answers]\ntask = "code"\nclasses = 3\nneeds_citations = true\ngap = "unknown"\n'),
        (
            "advice.json",
            '{"schema_version": 1, "title": "t", "answers": [{"key": "task", "value": "code", "source": "typed", '
            '"note": ""}, {"key": "classes", "value": 3, "source": "data"}, {"key": "needs_citations", "value": true}, '
            '{"key": "gap", "value": null}]}',
        ),
        (
            "a",
            '[{"key": "task", "value": "code"}, {"key": "classes", "value": 3}, '
            '{"key": "needs_citations", "value": true}, {"key": "gap", "value": null}]',
        ),
    ],
)
def test_a_file_of_answers_is_read_in_every_shape(written, name, content):
    read = read_answers_file(written(content, name))
    assert {one.key: one.value for one in read} == {"task": "code", "classes": 3, "needs_citations": True, "gap": None}
    assert {(one.source, one.note) for one in read} == {(FILE, name)}


def test_every_problem_in_a_file_is_listed_at_once(written):
    path = written('tsk = "code"\ngap = "fact"\nclasses = -1\nlatency_ms = true\nbudget = 3\ntask = "code"\nzzz = 1\n')
    assert problems_of(read_answers_file, path) == (
        f'{path}: tsk is no key of the questionnaire, did you mean "task"?',
        f'{path}: gap must be one of facts, form, both, none (or unknown); got "fact", did you mean "facts"?',
        f"{path}: classes must be 0 or more; got -1",
        f"{path}: latency_ms must be a whole number (milliseconds) such as 300, 2,000, 10k or 1.5m (or unknown); "
        "got true",
        f"{path}: budget must be one of small, medium, large (or unknown); got 3",
        f"{path}: zzz is no key of the questionnaire; `advise questions` lists all keys",
    )


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.toml", 'task = "code"\ngap = facts\n', "is not valid TOML: line 2, column 7: Invalid value"),
        ("a.toml", 'task = "code"\ngap = "facts', "is not valid TOML: line 2, column 13: "),
        ("a.toml", 'task = "code"\ntask = "agent"\n', "is not valid TOML: line 2, column "),
        ("a.toml", "classes = " + "[" * 100_000, "is not valid TOML: brackets are nested too deeply"),
        ("a.toml", "classes = " + "9" * 5000, "is not valid TOML: a number or date is impossible"),
        ("a.json", '{"task": "code",\n "gap" "facts"}', "is not valid JSON: line 2, column 8: Expecting ':' delimiter"),
        ("a.json", "[" * 200_000, "is not valid JSON: brackets are nested too deeply"),
        ("a.json", '{"classes": ' + "9" * 5000 + "}", "is not valid JSON: a number or date is impossible"),
        ("a.json", '"task"', 'expected keys and values, got "task"'),
        ("a.json", '{"task": "code", "task": "agent"}', "task is given twice"),
        ("a.json", '[{"key": "task", "value": "code"}, {"key": "task", "value": "code"}]', "task is given twice"),
        ("a.json", '[{"key": "task"}]', "answer 1 of the list must have a key and a value, such as gap and facts"),
        ("a.json", '{"answers": 3}', "answers must be a table of keys and values, got 3"),
        ("a.toml", 'gap = "facts"\n[answers]\ntask = "code"\n', "gap stands outside of answers; move it in"),
        ("a.toml", "classes = 0x" + "f" * 4000, "got a number of more than 18 digits"),
        ("a.toml", "classes = nan", "got nan"),
        ("a.json", '{"classes": NaN}', "got nan"),
        ("a.json", '{"\\u001b[2J": 1}', '"?[2J" is no key of the questionnaire'),
        ("a.toml", b'task = "code"\ngap = "\xff"', "is not UTF-8 text (line 2); save it as UTF-8"),
        ("a.toml", "", "is empty; write a key and a value a line"),
        ("a.toml", " \n", "is empty; write a key and a value a line"),
        ("a.toml", "# nothing\n", "has no answers in it; write a key and a value a line"),
        ("a.json", "[]", "has no answers in it; write a key and a value a line"),
        ("a.toml", b"#" * (1 << 20) + b"#", "is larger than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_where(written, name, content, sentence):
    path = written(content, name)
    (problem,) = problems_of(read_answers_file, path)
    assert problem.startswith(str(path))
    assert sentence in problem
    assert problem.isprintable()


def test_a_folder_a_pipe_a_missing_file_and_an_impossible_name_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is a folder" in problems_of(read_answers_file, tmp_path)[0]
    assert "is no ordinary file" in problems_of(read_answers_file, tmp_path / "pipe")[0]
    assert "there is no file" in problems_of(read_answers_file, tmp_path / "missing.toml")[0]
    assert "cannot be read" in problems_of(read_answers_file, tmp_path / "a\0b")[0]
    assert "cannot be read" in problems_of(read_answers_file, tmp_path / ("a" * 5000))[0]


FRAGMENTS = st.lists(
    st.sampled_from(
        ['task = "code"', "gap", "=", '"facts"', "[answers]", "{", "}", "[", "]", ":", ",", "\n", "1e9", "-1"]
    )
    | st.sampled_from(["answers", '"key"', '"value"', "null", "true", "'", "#", ".", "2024-01-01", "inf", "classes"]),
    max_size=12,
).map(lambda parts: "".join(parts).encode())


@given(st.binary(max_size=60) | FRAGMENTS, st.sampled_from(["a.toml", "a.json", "a"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_answers_or_the_users_to_mend(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_answers_file, load_session):
        try:
            read(path)
        except UserError as problem:
            assert str(problem)  # noqa: PT017 - most examples raise nothing


# ---- --set


def test_flags_are_read():
    assert parse_set(("gap=facts", " classes = 1k ", "needs_citations=no", "task=unknown", "budget=Small")) == (
        Answer("task", None, FLAG),
        Answer("gap", "facts", FLAG),
        Answer("needs_citations", False, FLAG),
        Answer("classes", 1000, FLAG),
        Answer("budget", "small", FLAG),
    )
    assert parse_set(()) == ()


def test_every_problem_with_the_flags_is_listed_at_once():
    flags = ("gap", "gap=facts", "gap=form", "clases=3", "budget=", "=3", "latency_ms=0")
    assert problems_of(parse_set, flags) == (
        '--set: "gap" has no equals sign; write key=value, such as gap=facts',
        "--set: gap is given twice",
        '--set: clases is no key of the questionnaire, did you mean "classes"?',
        '--set: budget must be one of small, medium, large (or unknown); got ""',
        '--set: "" is no key of the questionnaire; `advise questions` lists all keys',
        '--set: latency_ms must be 1 or more; got "0"',
    )


# ---- sessions

KEPT = (Answer("task", "code", TYPED), Answer("gap", None, TYPED), Answer("classes", 3, FILE, "answers.toml"))
SAVED = Session("2026-01-02T03:04:05Z", "2026-01-02T03:05:00Z", "Müller & Söhne", KEPT, finished=True)


def test_a_session_comes_back_without_what_was_measured(tmp_path):
    path = tmp_path / "new folder" / "session.json"
    measured = Answer("eval_examples", 40, DATA, "eval.jsonl")
    save_session(path, Session(SAVED.started, SAVED.updated, SAVED.title, (*KEPT, measured), finished=True))
    back = load_session(path)
    assert back == Session(
        SAVED.started,
        SAVED.updated,
        SAVED.title,
        tuple(Answer(one.key, one.value, SESSION, one.note) for one in KEPT),
        finished=True,
    )


def test_a_session_file_is_its_owners_says_its_sources_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "session.json"
    for _ in range(2):
        save_session(path, SAVED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["session.json"]
    saved = json.loads(path.read_text())
    assert saved["schema_version"] == 1
    assert [one["source"] for one in saved["answers"]] == ["typed", "typed", "file"]


def test_of_several_answers_to_one_question_the_strongest_is_saved(tmp_path):
    path = tmp_path / "session.json"
    save_session(path, Session("", "", "", (said(5, FILE), said(4, TYPED))))
    assert load_session(path).answers == (said(4, SESSION),)


def test_a_session_that_cannot_be_saved_keeps_the_old_one(tmp_path):
    path = tmp_path / "session.json"
    path.mkdir()
    with pytest.raises(UserError, match=r"the session cannot be saved in .*session\.json \(.+\)"):
        save_session(path, SAVED)
    assert [one.name for one in tmp_path.iterdir()] == ["session.json"]


GOOD = {"schema_version": 1, "started": "a", "updated": "b", "title": "c", "finished": False, "answers": []}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b'{"schema_version": 1, "answ', "is not valid JSON: line 1, column 23"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[]", "expected an object, got a list"),
        (json.dumps(GOOD | {"schema_version": 2}).encode(), "its schema_version must be 1, got 2"),
        (json.dumps(GOOD | {"finished": "no"}).encode(), "it lacks finished (true or false) or its list of answers"),
        (json.dumps(GOOD | {"answers": {}}).encode(), "it lacks finished (true or false) or its list of answers"),
        (json.dumps(GOOD | {"title": None}).encode(), "title must be text, got nothing"),
        (json.dumps(GOOD | {"answers": [3]}).encode(), "answer 1 of the list must have a key and a value"),
        (json.dumps(GOOD | {"answers": [{"key": "task", "value": "code"}]}).encode(), "note must be text, got nothing"),
        (
            json.dumps(GOOD | {"answers": [{"key": "task", "value": "cod", "note": ""}]}).encode(),
            'got "cod", did you mean "code"?',
        ),
    ],
)
def test_a_damaged_session_says_what_to_do_and_stays_as_it_is(tmp_path, content, why):
    path = tmp_path / "session.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_session(path)
    assert str(caught.value).startswith(f"the saved session in {path} cannot be used: ")
    assert why in str(caught.value)
    assert "--new" in str(caught.value)
    assert path.read_bytes() == content


def test_a_session_that_is_not_there_is_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        load_session(tmp_path / "session.json")
