"""`bakeoff cache`: shows, asks, removes."""

import os
import time

import pytest

from harness.models.base import Completion

DAY = 86_400


@pytest.fixture
def filled(own_cache):
    """Two adapters, one of them last used forty days ago."""
    for name, days in (("old", 40), ("new", 0)):
        folder = own_cache / "adapters" / name
        folder.mkdir(parents=True)
        (folder / "recipe.json").write_bytes(b"x" * 1_500_000)
        for path in (folder / "recipe.json", folder):
            os.utime(path, (time.time() - days * DAY,) * 2)
    return own_cache


def left(cache):
    return sorted(path.name for path in (cache / "adapters").iterdir())


def test_it_shows_what_is_there_by_kind(bakeoff, filled):
    code, out, _ = bakeoff("cache")
    assert code == 0
    assert str(filled) in out.replace("\n", "")
    assert ["adapters", "2", "3.0", "MB"] in [line.split()[:4] for line in out.splitlines()]
    assert left(filled) == ["new", "old"]


def test_an_empty_cache_is_said(bakeoff, own_cache):
    assert "Nothing is kept there." in bakeoff("cache")[1]
    assert "Nothing there is to be removed." in bakeoff("cache", "--all", "--yes")[1]


def test_only_the_old_goes_and_what_was_freed_is_said(bakeoff, filled):
    code, out, _ = bakeoff("cache", "--older-than", "30d", "--yes")
    assert code == 0
    assert "1 thing removed, 1.5 MB freed." in out
    assert left(filled) == ["new"]


def test_all_goes(bakeoff, filled):
    assert "2 things removed, 3.0 MB freed." in bakeoff("cache", "--all", "--yes")[1]
    assert left(filled) == []


@pytest.mark.parametrize(("said", "stay"), [("y\n", ["new"]), ("n\n", ["new", "old"]), ("\n", ["new", "old"])])
def test_it_asks_first(bakeoff, filled, monkeypatch, said, stay):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    code, out, _ = bakeoff("cache", "--older-than", "4w")
    assert code == 0
    assert "Remove these 1.5 MB? [y/N]" in out
    assert ("Nothing was removed." in out) == (len(stay) == 2)
    assert left(filled) == stay


def test_what_is_in_use_stays_and_is_counted(bakeoff, own_cache, monkeypatch):
    from harness import spool
    from harness.scenario import Document

    monkeypatch.setattr(spool, "MANY", 5)
    held = spool.kept(iter([Document(f"d{n}", "", "text", "c") for n in range(9)]), Document)
    code, out, _ = bakeoff("cache", "--all", "--yes")
    assert code == 0
    assert "0 things removed, 0 B freed; 1 thing in use stayed." in out
    assert len(tuple(held)) == 9


@pytest.mark.parametrize("age", ["30", "d", "-3d", "1.5d", "3 months", ""])
def test_another_age_is_refused_with_what_is_expected(bakeoff, filled, age):
    code, _, err = bakeoff("cache", "--older-than", age, "--yes")
    assert code == 2
    assert "12h, 30d or 8w" in err
    assert left(filled) == ["new", "old"]


def test_all_and_an_age_exclude_each_other(bakeoff, filled):
    code, _, err = bakeoff("cache", "--all", "--older-than", "1d", "--yes")
    assert code == 2
    assert "exclude each other" in err


def test_answers_are_freed_too(bakeoff, own_cache):
    from harness.generation.cache import AnswerCache

    answers = AnswerCache(own_cache / "answers.sqlite")
    answers.put({f"{n}": Completion("text " * 100, 1, 1, "stop") for n in range(500)})
    out = bakeoff("cache", "--all", "--yes")[1]
    assert "500 things removed" in out
    assert ", 0 B freed" not in out
    assert (own_cache / "answers.sqlite").stat().st_size < 50_000


def test_doctor_says_how_much_is_kept(bakeoff, filled):
    assert "3.0 MB are kept there: bakeoff cache" in " ".join(bakeoff("doctor")[1].split())
