"""Answers kept between runs."""

import sqlite3
from dataclasses import replace

import pytest

from harness.generation import cache
from harness.generation.cache import AnswerCache, answer_key
from harness.models.base import AT_END, Completion, ModelDescription, Stop

MODEL = ModelDescription("m", "d" * 64, "float32", "cpu", 100, 5)
GIVEN = {"model": MODEL, "prompt": "p", "adapter_digest": "a", "max_new_tokens": 8, "stop": AT_END}
ANSWER = Completion("Äpfel\n", 12, 3, "stop")


def key(**changes):
    given = GIVEN | changes
    return answer_key(given.pop("model"), given.pop("prompt"), **given)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": replace(MODEL, digest="e" * 64)},
        {"model": replace(MODEL, dtype="bfloat16")},
        {"model": replace(MODEL, device="cuda")},
        {"prompt": "p "},
        {"adapter_digest": "b"},
        {"max_new_tokens": 9},
        {"stop": Stop("line", "\n".__contains__)},
        {"stop": AT_END._replace(schema="{}")},
        {"temperature": 0.5},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_determines_an_answer_is_in_its_key(changes):
    assert key(**changes) != key()


def test_draws_are_kept_by_temperature_and_seed_and_greedy_answers_by_neither():
    assert key(seed=3) == key(temperature=0.0) == key()
    drawn = [key(temperature=t, seed=seed) for t in (0.5, 1.0) for seed in (0, 1)]
    assert len({*drawn, key()}) == 5
    assert key(temperature=1) == key(temperature=1.0)


def test_the_keys_of_greedy_answers_are_those_of_earlier_versions():
    assert cache.CODE_VERSION != 2 or key() == "ad2bbf878a966d1206121b27adfd1d3f86fdf870a9dc7de215be12b319563d9a"


def test_the_version_of_the_code_is_in_the_key(monkeypatch):
    before = key()
    monkeypatch.setattr(cache, "CODE_VERSION", cache.CODE_VERSION + 1)
    assert key() != before


def test_the_models_name_is_not_in_the_key():
    assert key(model=replace(MODEL, name="copy of m")) == key() == key()


def test_parts_do_not_run_into_each_other():
    assert key(prompt="pa", adapter_digest="") != key(prompt="p", adapter_digest="a")


def test_what_was_put_is_found_and_nothing_else(tmp_path):
    kept = AnswerCache(tmp_path / "new" / "answers.sqlite")
    kept.put({"k": ANSWER})
    assert kept.get(["k", "other"]) == {"k": ANSWER}
    assert isinstance(kept.get(["k"])["k"], Completion)


def test_a_later_answer_replaces_an_earlier_one(tmp_path):
    kept = AnswerCache(tmp_path / "answers.sqlite")
    kept.put({"k": ANSWER})
    kept.put({"k": ANSWER._replace(text="other")})
    assert kept.get(["k"])["k"].text == "other"


def test_many_keys_are_asked_for_at_once(tmp_path):
    kept = AnswerCache(tmp_path / "answers.sqlite")
    answers = {f"k{n}": ANSWER._replace(tokens_in=n) for n in range(1203)}
    kept.put(answers)
    assert kept.get(list(answers)) == answers


def test_answers_outlive_the_connection_and_two_connections_see_each_others(tmp_path):
    first, second = AnswerCache(tmp_path / "a.sqlite"), AnswerCache(tmp_path / "a.sqlite")
    first.put({"k1": ANSWER})
    second.put({"k2": ANSWER})
    assert set(first.get(["k1", "k2"])) == set(second.get(["k1", "k2"])) == {"k1", "k2"}
    assert set(AnswerCache(tmp_path / "a.sqlite").get(["k1"])) == {"k1"}


def test_without_a_path_nothing_is_remembered():
    kept = AnswerCache(None)
    kept.put({"k": ANSWER})
    assert kept.get(["k"]) == {}


@pytest.mark.parametrize(
    "content", [b"this is no database at all, whatever its name says" * 40, b"SQLite format 3\x00"]
)
def test_a_file_that_is_no_database_is_passed_over(tmp_path, content):
    path = tmp_path / "answers.sqlite"
    path.write_bytes(content)
    kept = AnswerCache(path)
    kept.put({"k": ANSWER})
    assert kept.get(["k"]) in ({}, {"k": ANSWER})


def test_a_folder_in_the_files_place_is_passed_over(tmp_path):
    kept = AnswerCache(tmp_path)
    kept.put({"k": ANSWER})
    assert kept.get(["k"]) == {}


def test_a_table_of_another_shape_is_passed_over(tmp_path):
    path = tmp_path / "answers.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE kept (key TEXT PRIMARY KEY, words TEXT)")
    db.close()
    kept = AnswerCache(path)
    kept.put({"k": ANSWER})
    assert kept.get(["k"]) == {}


@pytest.mark.parametrize(
    "damage",
    [
        "text = 'Apfel'",
        "tokens_out = 4",
        "tokens_in = NULL",
        "tokens_in = 'x'",
        "finish = 'length'",
        "digest = NULL",
        "key = 'other'",
        "text = CAST(x'ff' AS TEXT)",
    ],
)
def test_an_answer_that_is_not_what_was_put_under_its_key_is_never_served(tmp_path, damage):
    path = tmp_path / "answers.sqlite"
    AnswerCache(path).put({"k": ANSWER})
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE kept SET {damage}")
    db.close()
    kept = AnswerCache(path)
    assert kept.get(["k", "other"]) == {}
    kept.put({"k": ANSWER})
    assert kept.get(["k"]) in ({}, {"k": ANSWER})


def test_answers_kept_by_an_earlier_version_without_a_digest_are_not_served(tmp_path):
    path = tmp_path / "answers.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, text TEXT, tokens_in INT, tokens_out INT, finish TEXT)")
        db.execute("INSERT INTO answers VALUES ('k', 'old', 1, 1, 'stop')")
    db.close()
    kept = AnswerCache(path)
    assert kept.get(["k"]) == {}
    kept.put({"k": ANSWER})
    assert kept.get(["k"]) == {"k": ANSWER}
