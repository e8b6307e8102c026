"""The cache is shown and emptied, and no run misses what was removed, nor loses what it holds."""

import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fakes import FakeEmbedder, fake_run, tiny_scenario, write_scenario_files

from harness import spool
from harness.documents import read_documents
from harness.engines.cached import FOLDERS, overview, remove
from harness.generation.cache import AnswerCache
from harness.models.base import Completion
from harness.retrieval import index, lexical
from harness.retrieval.embed import cached_encode
from harness.retrieval.index import build_index
from harness.retrieval.postings import build_postings
from harness.scenario import Document
from harness.spool import Spooled, kept

DAY = 86_400
TEXTS = [f"passage {n} of {n % 7} things" for n in range(120)]


@pytest.fixture(autouse=True)
def small_limits(own_cache, monkeypatch):
    """As if 50 documents were many."""
    monkeypatch.setattr(spool, "MANY", 50)
    monkeypatch.setattr(index, "MOST_EXACT", 50)
    monkeypatch.setattr(lexical, "MOST_HELD", 50)
    return own_cache


def documents():
    return tuple(Document(f"d{n}", "", text, "corpus.jsonl") for n, text in enumerate(TEXTS))


def folder_of(own_cache, name, files):
    home = own_cache / name
    home.mkdir(parents=True)
    for file in files:
        (home / file).write_bytes(b"x" * 1_000)
    return home


def fill(own_cache):
    """One thing of each kind, none of them in use."""
    kept(iter(documents()), Document, key="k")
    build_index(FakeEmbedder(), TEXTS)
    build_postings(TEXTS)
    cached_encode(FakeEmbedder().encode, TEXTS[:3], folder=own_cache / "vectors" / "other")
    folder_of(own_cache, "adapters/a", ["recipe.json", "adapter_model.safetensors"])
    folder_of(own_cache, "models/m", ["config.json", "model.safetensors"])
    AnswerCache(own_cache / "answers.sqlite").put({"k": Completion("text", 1, 1, "stop")})
    for name in ("runs.json", "durations.json"):
        (own_cache / name).write_text("{}")


def counts(**asked):
    return {shelf.kind: shelf.count for shelf in overview(**asked)}


ALL = {
    "documents and passages": 1,
    "vectors": 2,
    "vector indexes": 1,
    "word indexes": 1,
    "adapters": 1,
    "unpacked models": 1,
    "answers": 1,
}


def age(own_cache, days, *names):
    moment = time.time() - days * DAY
    for path in [p for name in names for p in own_cache.glob(name)]:
        for one in (path, *path.rglob("*")):
            os.utime(one, (moment, moment))


def files_in(folder):
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in left if not name.endswith((".lock", "-wal", "-shm"))}


def test_what_is_there_is_counted_by_kind_with_its_size(own_cache):
    assert overview() == ()
    fill(own_cache)
    assert counts() == ALL
    sizes = {shelf.kind: shelf.size for shelf in overview()}
    assert (sizes["adapters"], sizes["unpacked models"]) == (2_000, 2_000)
    assert sizes["vectors"] == sum(p.stat().st_size for p in own_cache.glob("vectors/*/*.npy"))
    assert all(abs(shelf.used - time.time()) < DAY for shelf in overview())


def test_all_of_it_goes_but_the_lists_of_runs(own_cache):
    fill(own_cache)
    size = sum(shelf.size for shelf in overview())
    gone = remove(before=math.inf)
    assert (gone.count, gone.held) == (8, 0)
    assert 0 < gone.size <= size
    assert overview() == ()
    assert files_in(own_cache) == {"runs.json", "durations.json", "answers.sqlite"}


def test_only_what_was_not_used_since_goes(own_cache):
    fill(own_cache)
    age(own_cache, 40, "adapters/*", "vectors/other/*")
    expected = {"adapters": 1, "vectors": 1}
    before = time.time() - 30 * DAY
    assert counts(before=before) == expected
    assert remove(before=before).count == 2
    assert counts() == {kind: n for kind, n in ({**ALL, "vectors": 1, "adapters": 0}).items() if n}


OPENED = {
    "spool/*.jsonl": lambda home: kept(iter(()), Document, key="k"),
    "vectors/*-shards/*": lambda home: build_index(FakeEmbedder(), TEXTS),
    "indexes/*": lambda home: (build_index(FakeEmbedder(), TEXTS), build_postings(TEXTS)),
    "vectors/other/*": lambda home: cached_encode(None, TEXTS[:3], folder=home / "vectors" / "other"),
}


@pytest.mark.parametrize("names", OPENED)
def test_opening_a_thing_marks_it_as_used(own_cache, names):
    fill(own_cache)
    age(own_cache, 40, names)
    before = time.time() - 30 * DAY
    assert counts(before=before)
    OPENED[names](own_cache)
    assert counts(before=before) == {}


def test_an_answer_that_is_read_is_used_and_one_that_is_not_goes(own_cache):
    path = own_cache / "answers.sqlite"
    AnswerCache(path).put({name: Completion(name, 1, 1, "stop") for name in ("read", "left")})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE kept SET used = used - ?", (40 * DAY,))
    db.close()
    open_ = AnswerCache(path)
    assert set(open_.get(["read"])) == {"read"}
    before = time.time() - 30 * DAY
    assert counts(before=before) == {"answers": 1}
    assert remove(before=before).count == 1
    assert set(open_.get(["read", "left"])) == {"read"}, "another process goes on with the file"
    open_.put({"new": Completion("new", 1, 1, "stop")})
    assert set(AnswerCache(path).get(["read", "new"])) == {"read", "new"}


def test_answers_of_earlier_versions_count_as_used_now(own_cache):
    path = own_cache / "answers.sqlite"
    AnswerCache(path).put({"k": Completion("text", 1, 1, "stop")})
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE kept DROP COLUMN used")
    db.close()
    assert set(AnswerCache(path).get(["k"])) == {"k"}
    assert counts(before=time.time() - 30 * DAY) == {}


def test_what_this_process_holds_stays_until_it_lets_go(own_cache):
    fill(own_cache)
    held = [kept(iter(()), Document, key="k"), build_index(FakeEmbedder(), TEXTS), build_postings(TEXTS)]
    first = held[1].search(["things"], k=3)
    gone = remove(before=math.inf)
    assert gone.held == 4
    assert counts() == {"documents and passages": 1, "vectors": 1, "vector indexes": 1, "word indexes": 1}
    assert held[1].search(["things"], k=3) == first
    assert held[1].vectors.rows([0, 3]).shape == (2, held[1].vectors.dimension)
    assert tuple(held[0]) == documents()
    del held
    assert remove(before=math.inf).held == 0
    assert overview() == ()


HOLDER = """
from harness import spool
from harness.scenario import Document
import time
spool.MANY = 50
held = spool.kept(iter(()), Document, key="k")
print(len(held), flush=True)
time.sleep(600)
"""


def test_what_another_process_holds_stays_until_it_ends_however_that_is(own_cache):
    fill(own_cache)
    child = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "120\n"
        assert remove(before=math.inf).held == 1
        assert counts() == {"documents and passages": 1}
    finally:
        child.kill()
        child.communicate()
    assert remove(before=math.inf).held == 0
    assert overview() == ()


def test_an_index_that_is_being_built_stays(own_cache):
    from harness.retrieval.kept import building

    fill(own_cache)
    (folder,) = own_cache.glob("indexes/*-words-*.lock")
    with building(folder.with_suffix("")):
        assert remove(before=math.inf).held == 1
    assert counts() == {"word indexes": 1}


def test_what_is_half_made_goes_after_a_day_even_where_all_is_to_go(own_cache):
    names = ["spool/x.tmp", "vectors/v/y.tmp", "indexes/tmpz/part", "adapters/.new-1/part", "models/.unpack-1/part"]
    for name in names:
        (own_cache / name).parent.mkdir(parents=True, exist_ok=True)
        (own_cache / name).write_bytes(b"x")
    assert counts() == {"left half made": 5}
    assert remove(before=math.inf).count == 0
    age(own_cache, 2, "spool/*", "vectors/*", "indexes/*", "adapters/.*", "models/.*")
    assert remove(before=math.inf).count == 5
    assert files_in(own_cache) == set()


def test_links_lead_elsewhere_and_are_not_followed(own_cache, tmp_path):
    mine = folder_of(tmp_path, "mine", ["config.json", "model.safetensors"])
    (own_cache / "adapters").mkdir(parents=True)
    (own_cache / "models").symlink_to(tmp_path, target_is_directory=True)
    (own_cache / "adapters" / "a").symlink_to(mine, target_is_directory=True)
    assert overview() == ()
    assert remove(before=math.inf).count == 0
    assert len(files_in(mine)) == 2


def test_a_file_of_answers_that_is_none_is_passed_over(own_cache):
    own_cache.mkdir()
    (own_cache / "answers.sqlite").write_bytes(b"no database" * 100)
    assert overview() == ()
    assert remove(before=math.inf).count == 0


def test_a_run_makes_again_what_was_removed(own_cache, tmp_path):
    scenario = tiny_scenario(cases=6, train=20)
    home = tmp_path / "home"
    home.mkdir()
    more = [replace(one, id=f"more-{one.id}") for one in documents()]
    write_scenario_files(home, replace(scenario, documents=(*scenario.documents, *more)))
    first = fake_run(home, tmp_path / "first", quick=True, remember=False).folder
    assert {"documents and passages", "vectors", "vector indexes", "word indexes"} <= set(counts())
    assert remove(before=math.inf).count > 4
    assert overview() == ()
    second = fake_run(home, tmp_path / "second", quick=True, remember=False).folder
    texts = [{arm: [p.text for p in own.values()] for arm, own in run.predictions().items()} for run in (first, second)]
    assert texts[0] == texts[1]
    assert second.recipe("rag") == first.recipe("rag")


def test_documents_read_before_are_read_on_after_the_cache_was_emptied_by_hand(own_cache, tmp_path):
    (tmp_path / "corpus.jsonl").write_text("".join(f'{{"id": "{n}", "text": "{t}"}}\n' for n, t in enumerate(TEXTS)))
    found, _ = read_documents(tmp_path)
    assert isinstance(found, Spooled)
    shutil.rmtree(own_cache)
    assert [one.text for one in found] == TEXTS


def test_every_folder_of_the_cache_is_known(own_cache):
    fill(own_cache)
    assert {path.name for path in own_cache.iterdir() if path.is_dir()} == set(FOLDERS)
