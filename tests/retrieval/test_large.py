"""Collections too large for memory: everything is as with few documents, but on disk."""

import json
import pickle
import random
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeEmbedder, fake_run, tiny_bench, tiny_scenario, write_scenario_files

from harness import spool
from harness.arms import bench as bench_module
from harness.documents import read_documents
from harness.errors import UserError
from harness.records import Passage
from harness.retrieval import index, lexical, postings, shards, texts
from harness.retrieval.chunks import chunk_documents
from harness.retrieval.index import build_index, exact
from harness.retrieval.lexical import build_lexical
from harness.retrieval.postings import build_postings
from harness.retrieval.retriever import Retriever, Shelf
from harness.retrieval.settings import WAYS, RetrievalSettings
from harness.retrieval.shards import embedded
from harness.retrieval.stores.flat import FlatStore
from harness.retrieval.stores.lists import ListStore
from harness.scenario import Document
from harness.spool import Firsts, Spooled, digest_of, kept

WORDS = [f"word{n}" for n in range(80)] + ["法国", "Äpfel"]


def prose(count, seed=0, length=12):
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=length)) for _ in range(count)]


def documents(count=300):
    return tuple(Document(f"d{n}", f"T{n % 7}", text, "corpus.jsonl") for n, text in enumerate(prose(count, length=40)))


@pytest.fixture(autouse=True)
def small_limits(own_cache, monkeypatch):
    """As if 50 documents were many."""
    monkeypatch.setattr(spool, "MANY", 50)
    monkeypatch.setattr(index, "MOST_EXACT", 50)
    monkeypatch.setattr(lexical, "MOST_HELD", 50)
    for module in (texts, shards, postings):
        monkeypatch.setattr(module, "AT_ONCE", 64)
    return own_cache


class Clustered(FakeEmbedder):
    """Texts lie around few centres, as real ones do; no two are equally near to a third."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.digest = "c" * 64

    def encode(self, texts, *, fresh=False):
        self.asked.append(len(texts))
        return vectors(texts)


def vectors(texts):
    made = []
    for text in texts:
        drawn = np.random.default_rng(list(text.encode()))
        centre = np.random.default_rng(len(text) % 9).normal(size=32)
        made.append(centre + 0.5 * drawn.normal(size=32))
    made = np.array(made, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


# records on disk


def test_many_records_are_read_as_the_tuple_they_stand_for():
    held = documents()
    found = kept(iter(held), Document)
    assert isinstance(found, Spooled)
    assert len(found) == 300
    assert tuple(found) == held
    assert [found[i] for i in (0, 17, -1)] == [held[i] for i in (0, 17, -1)]
    assert found[5:50:7] == held[5:50:7]
    assert digest_of(found) == digest_of(held)
    assert found == kept(iter(held), Document) != kept(iter(held[1:]), Document)
    with pytest.raises(IndexError):
        found[300]


def test_few_records_stay_a_tuple_unless_they_are_large(monkeypatch):
    assert kept(iter(documents(50)), Document) == documents(50)
    monkeypatch.setattr(spool, "LARGE", 1_000)
    assert isinstance(kept(iter(documents(50)), Document), Spooled)


def test_a_record_longer_than_what_is_read_at_once_is_read_whole():
    held = (*documents(60), Document("long", "", "x" * (3 * 2**20)), Document("last", "", "end"))
    assert tuple(kept(iter(held), Document)) == held


def test_a_spool_outlives_its_name_and_travels_as_a_path():
    found = kept(iter(documents()), Document)
    assert pickle.loads(pickle.dumps(found)) == found
    found.path.unlink()
    assert tuple(found) == documents()
    with pytest.raises(UserError, match="Begin the same command again"):
        pickle.loads(pickle.dumps(found))


def test_a_cache_that_cannot_be_written_ends_in_a_sentence(small_limits):
    small_limits.write_text("in the way")
    with pytest.raises(UserError, match="BAKEOFF_CACHE"):
        kept(iter(documents()), Document)


def test_where_a_name_stood_first_is_known_of_many_too():
    with Firsts() as first:
        for n in range(200):
            assert first.setdefault(f"n{n}", str(n)) == str(n)
        assert [first.setdefault(f"n{n}", "again") for n in (0, 49, 50, 199)] == ["0", "49", "50", "199"]


# reading


def rows(count):
    return [{"id": one.id, "title": one.title, "text": one.text} for one in documents(count)]


def write(folder, lines):
    (folder / "corpus.jsonl").write_text("".join(line + "\n" for line in lines))


def test_a_large_corpus_reads_as_the_same_documents(tmp_path):
    write(tmp_path, map(json.dumps, rows(300)))
    found, problems = read_documents(tmp_path)
    assert isinstance(found, Spooled)
    assert tuple(found) == documents()
    assert problems == ()


def test_every_problem_of_a_large_corpus_carries_its_line(tmp_path):
    lines = [json.dumps(row) for row in rows(300)]
    lines[100] = "{broken"
    lines[120] = json.dumps({"id": "x", "text": ""})
    lines[250] = json.dumps({"id": "d3", "text": "again"})
    write(tmp_path, lines)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "d5").write_text("no ending")
    (tmp_path / "corpus" / "d7.txt").write_text("a file")
    found, problems = read_documents(tmp_path)
    assert len(found) == 299
    assert {problem.line for problem in problems if problem.level == "error"} == {101, 121, 251}
    assert any("'d3' stands on line 4 already" in problem.message for problem in problems)


# passages


def test_passages_of_many_documents_are_those_of_the_tuple_and_are_cut_once(monkeypatch):
    held = documents(40)
    few = chunk_documents(held, words=20)
    monkeypatch.setattr(spool, "MANY", 30)
    many = kept(iter(held), Document)
    found = chunk_documents(many, words=20)
    assert isinstance(found, Spooled)
    assert tuple(found) == tuple(few)
    monkeypatch.setattr("harness.retrieval.chunks._chunk", None)
    assert chunk_documents(many, words=20) == found, "they come from the cache"


def test_a_damaged_spool_of_passages_is_made_again(monkeypatch):
    monkeypatch.setattr(spool, "MANY", 30)
    many = kept(iter(documents()), Document)
    good = chunk_documents(many, words=20)
    whole = good.path.read_bytes()
    for damaged in (whole[:-9], whole.replace(b"word1", b"word2", 1), b""):
        good.path.write_bytes(damaged)
        assert tuple(chunk_documents(many, words=20)) == tuple(chunk_documents(documents(), words=20))
        assert good.path.read_bytes() == whole


# vectors


def test_a_killed_embedding_goes_on_where_it_was():
    class Killed(Clustered):
        def encode(self, texts, *, fresh=False):
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().encode(texts, fresh=fresh)

    with pytest.raises(KeyboardInterrupt):
        embedded(Killed(), prose(300))
    again = Clustered()
    found = embedded(again, prose(300))
    assert again.asked == [64, 64, 44], "two of five shards were there"
    assert np.concatenate(list(found)) == pytest.approx(vectors(prose(300)), abs=1e-3)


def test_a_damaged_shard_is_made_again_and_only_that():
    good = embedded(Clustered(), prose(300))
    raw = good.paths[1].read_bytes()
    for damaged in (raw[:100], raw[:-40] + b"x" + raw[-39:]):
        good.paths[1].write_bytes(damaged)
        again = Clustered()
        assert embedded(again, prose(300)) == good
        assert again.asked == [64]
        assert good.paths[1].read_bytes() == raw


def test_rows_of_shards_are_given_in_the_order_asked_for():
    found = embedded(Clustered(), prose(300)).rows([299, 0, 64, 63, 0])
    expected = vectors([prose(300)[i] for i in (299, 0, 64, 63, 0)])
    assert found == pytest.approx(expected, abs=1e-3)


# stores


def flat(place, sample):
    return FlatStore()


def lists(place, sample):
    return ListStore(place, sample)


@pytest.mark.parametrize("made", [flat, lists])
def test_a_store_appends_and_finds_the_nearest_first(made, tmp_path):
    held = vectors(prose(400))
    store = made(tmp_path, held)
    if made is lists:
        store.search_lists(10_000)
    store.add(held[:150])
    assert [row[0] for row in store.nearest(held[:150], k=1)] == list(range(150))
    store.add(held[150:])
    found = store.nearest(held, k=3)
    assert [row[0] for row in found] == list(range(400))
    assert all(len(set(row)) == 3 for row in found)
    assert [len(row) for row in store.nearest(held[:2], k=1_000)] == [400, 400]
    assert store.nearest(held[:0], k=3) == []


# indexes


def test_a_large_index_says_what_it_finds_and_finds_that():
    own = prose(600)
    found = build_index(Clustered(), own)
    assert found.recall is not None
    assert found.recall.share >= 0.95
    assert found.recall.searched <= found.recall.lists
    assert "600 passages are searched approximately" in found.note
    truth = exact(embedded(Clustered(), own), vectors(own), k=5)
    hits = [len(set(a) & set(b)) / 5 for a, b in zip(found.nearest(vectors(own), k=5), truth, strict=True)]
    assert np.mean(hits) >= 0.9


def test_of_passages_that_are_alike_any_counts_as_found():
    """Sixty of each: which ten of them a search gives is chance, and no fault of it."""
    found = build_index(Clustered(), prose(12) * 60)
    assert found.recall.share == 1
    assert found.recall.searched < found.recall.lists


def test_a_passage_that_is_less_near_does_not_count():
    held = embedded(Clustered(), prose(300))
    queries = held.rows([0, 1])
    best = exact(held, queries, k=4)
    far = [row[-4:] for row in exact(held, queries, k=300)]
    assert index._recall(held, queries, given=best, wanted=best) == 1
    assert index._recall(held, queries, given=far, wanted=best) == 0
    assert index._recall(held, queries, given=[best[0][:1] + far[0][:3], []], wanted=best) == 1 / 8


def test_an_exact_search_over_shards_is_the_flat_index():
    own = prose(300)
    store = FlatStore()
    store.add(np.concatenate(list(embedded(Clustered(), own))))
    assert exact(embedded(Clustered(), own), vectors(own), k=7) == store.nearest(vectors(own), k=7)


def test_an_index_is_built_once_and_again_where_it_is_damaged(own_cache, monkeypatch):
    own = prose(300)
    first = build_index(Clustered(), own)
    built = []
    honest = index._built
    monkeypatch.setattr(index, "_built", lambda *given: built.append(1) or honest(*given))
    again = Clustered()
    assert build_index(again, own).nearest(vectors(own[:20]), k=4) == first.nearest(vectors(own[:20]), k=4)
    assert (again.asked, built) == ([], [])
    (data,) = own_cache.glob("indexes/*/lists.data")
    data.write_bytes(data.read_bytes()[:-5])
    assert build_index(Clustered(), own).recall == first.recall
    assert built == [1]


def test_words_are_weighed_on_disk_as_they_are_in_memory(monkeypatch):
    own = [*prose(300), "", "!", "word1 word1 word1"]
    asked = ["word1 word2 nothing", "法国 Äpfel word3 word3", "", "unknown"]
    large = build_lexical(own)
    monkeypatch.setattr(lexical, "MOST_HELD", 1_000)
    small = build_lexical(own)
    assert large.search(asked, k=10) == small.search(asked, k=10)
    assert large.matching(asked, k=150) == small.matching(asked, k=150)
    assert large.search(asked, k=999) == small.search(asked, k=999)
    assert large.size == small.size == 303


def test_a_word_index_is_kept_and_made_again_where_it_is_damaged(own_cache, monkeypatch):
    own = prose(300)
    first = build_postings(own).best(["word1 word9"], k=9, least=0.0)
    (part,) = own_cache.glob("indexes/*/2-scores.npy")
    part.write_bytes(part.read_bytes()[:-3])
    assert build_postings(own).best(["word1 word9"], k=9, least=0.0) == first
    monkeypatch.setattr(postings, "_post", None)  # it would be built with this
    assert build_postings(own).best(["word1 word9"], k=9, least=0.0) == first


# searching


@pytest.mark.parametrize("settings", [RetrievalSettings(way, 150, again) for way in WAYS for again in (False, True)])
def test_a_large_shelf_finds_what_a_small_one_does(settings, monkeypatch):
    held = tuple(Passage(f"p{n}", f"d{n}", "", text) for n, text in enumerate(prose(200)))
    asked = [passage.text for passage in held[:20]]
    monkeypatch.setattr(index, "ENOUGH_FOUND", 1.1)  # all lists are searched
    large = Retriever(Shelf(kept(iter(held), Passage), Clustered()), settings)
    found = large.search(asked, k=5)
    assert bool(large.note) == (settings.way != "bm25")
    for module, name in ((index, "MOST_EXACT"), (lexical, "MOST_HELD")):
        monkeypatch.setattr(module, name, 1_000)
    expected = Retriever(Shelf(held, Clustered()), settings).search(asked, k=5)
    same = sum(len(set(a) & set(b)) for a, b in zip(found, expected, strict=True)) / 100
    assert same >= (0.95 if settings.way != "bm25" else 1)
    assert [row[0] for row in found] == [row[0] for row in expected]


def test_right_and_wrong_passages_of_a_case_are_found_among_many(monkeypatch):
    held = documents(200)
    scenario = tiny_scenario(documents=False)
    case = replace(scenario.cases[0], context_id="d7", output=held[7].text.split()[0])
    few = tiny_bench(replace(scenario, cases=(case,), documents=held))
    many = tiny_bench(replace(scenario, cases=(case,), documents=kept(iter(held), Document)))
    monkeypatch.setattr(bench_module, "LOOKED_AT", 150)
    assert isinstance(many.passages, Spooled)
    monkeypatch.setattr(spool, "MANY", 10_000)
    assert isinstance(few.passages, tuple)
    assert many.oracle(case, k=1) == few.oracle(case, k=1)
    assert many.oracle(case, k=1)[0].document_id == "d7"
    found = many.wrong(case, 3)
    assert len(found) == 3
    assert set(found) <= set(few.wrong(case, 200))


def test_a_whole_run_over_many_documents_says_how_it_searched(tmp_path):
    scenario = tiny_scenario(cases=6, train=20)
    more = tuple(Document(f"more{n}", "", text, "corpus.jsonl") for n, text in enumerate(prose(200)))
    home = tmp_path / "home"
    home.mkdir()
    write_scenario_files(home, replace(scenario, documents=(*scenario.documents, *more)))
    run = fake_run(home, tmp_path / "out", quick=True)
    recipe = run.folder.recipe("rag")
    assert recipe.choices[0].chosen.startswith(("dense", "hybrid"))
    assert any("passages are searched approximately" in note for note in recipe.notes)
    assert run.folder.scenario().documents == len(scenario.documents) + 200
    assert all(made.error is None for made in run.folder.predictions()["rag"].values())
