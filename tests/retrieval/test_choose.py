"""How the documents are searched is chosen on training examples, by what is found at an equal budget of words."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeEmbedder, tiny_scenario

from harness.retrieval import choose
from harness.retrieval.choose import (
    FEWEST_EXAMPLES,
    METRIC,
    MOST_EXAMPLES,
    choose_retrieval,
    simplest_of_the_best,
    targets_of,
)
from harness.retrieval.settings import BUDGET, DEFAULT, RetrievalSettings
from harness.scenario import Case, Document


class Blind(FakeEmbedder):
    """Every text looks like every other, but for its length."""

    def encode(self, texts, *, fresh=False):
        return super().encode([f"text {len(text) % 13}" for text in texts], fresh=fresh)


class Told(FakeEmbedder):
    """Knows a text by the first number in it, however that is written, and by nothing else."""

    def encode(self, texts, *, fresh=False):
        return super().encode(["".join(filter(str.isdigit, text))[:4] for text in texts], fresh=fresh)


def planted(n=40, *, question="Where is Place{n}?", text="Place{n} is in Land{n}.", padding=""):
    documents = tuple(Document(f"d{i}", "", text.format(n=i) + padding) for i in range(n))
    cases = tuple(Case(f"t{i}", question.format(n=i), f"Land{i}", context_id=f"d{i}") for i in range(n))
    return cases, documents


def chosen(cases, documents, embedder=None, **options):
    return choose_retrieval(cases, documents, embedder=embedder or FakeEmbedder(), seed=0, **options)


def test_where_the_embedder_is_blind_bm25_is_taken():
    found = chosen(*planted(), Blind())
    assert found.settings == RetrievalSettings("bm25", 150)
    assert found.choice.chosen == "bm25, 150 words"
    scores = {trial.value: trial.score for trial in found.choice.tried}
    assert scores["bm25, 150 words"] == 1
    assert scores["dense, 150 words"] < 0.5


def numbered(n, *, paragraphs):
    """Questions that share no telling word with the paragraph that answers them; so many paragraphs a document."""
    texts = [f"No. {1000 + i}: it is Land{i}. {'and more of it ' * 15}" for i in range(n)]
    starts = range(0, n, paragraphs)
    documents = tuple(Document(f"d{at}", "", "\n\n".join(texts[at : at + paragraphs])) for at in starts)
    cases = tuple(
        Case(f"t{i}", f"Which is it, {' '.join(str(1000 + i))}?", f"Land{i}", context_id=f"d{i - i % paragraphs}")
        for i in range(n)
    )
    return cases, documents


def test_where_words_say_nothing_dense_is_taken():
    found = chosen(*numbered(40, paragraphs=1), Told(size=1 << 15))
    scores = {trial.value: trial.score for trial in found.choice.tried}
    assert found.settings == DEFAULT
    assert scores["dense, 150 words"] == 1
    assert scores["bm25, 150 words"] < 0.5


def test_where_all_ways_find_everything_the_simplest_is_taken():
    found = chosen(*planted(), FakeEmbedder(size=1 << 15))
    assert found.settings == DEFAULT
    assert {trial.score for trial in found.choice.tried} == {1}


def test_small_passages_are_taken_where_large_ones_hide_the_answer():
    found = chosen(*numbered(40, paragraphs=4), Told(size=1 << 15))
    scores = {trial.value: trial.score for trial in found.choice.tried}
    assert found.settings == RetrievalSettings("dense", 75)
    assert 1 == scores["dense, 75 words"] > scores["dense, 150 words"] > scores["dense, 300 words"]


def test_everything_is_tried_at_the_same_budget_of_words():
    collection = choose.Collection(tuple(numbered(6, paragraphs=4)[1]), 75, FakeEmbedder())
    kept = collection._within_budget(range(len(collection.shelf.passages)))
    words = [len(passage.text.split()) for passage in collection.shelf.passages]
    assert sum(words[i] for i in kept) <= BUDGET < sum(words[i] for i in kept) + words[len(kept)]
    assert METRIC == "hit rate at 300 words"


def test_one_passage_is_looked_at_however_long_it_is(monkeypatch):
    monkeypatch.setattr(choose, "BUDGET", 1)
    collection = choose.Collection(tuple(planted()[1]), 150, FakeEmbedder())
    assert collection._within_budget([3, 1]) == [3]


def test_ways_come_first_then_sizes_then_reranking():
    found = chosen(*planted())
    assert [trial.value for trial in found.choice.tried] == [
        "dense, 150 words",
        "bm25, 150 words",
        "hybrid, 150 words",
        "dense, 300 words",
        "dense, 75 words",
        "dense, 150 words, reranked",
    ]


def test_sizes_are_compared_on_a_part_of_a_large_collection(monkeypatch):
    cases, documents = planted(60)
    monkeypatch.setattr(choose, "MOST_DOCUMENTS", 70)
    more = [Document(f"other{n}", "", f"Other{n} stands there.") for n in range(100)]
    named = [replace(case, context_id=d.id) for case, d in zip(cases, documents, strict=True)]
    found = chosen(named, [*documents, *more])
    assert "dense, 75 words, among 70 documents" in [trial.value for trial in found.choice.tried]


def test_sizes_are_compared_on_all_documents_where_the_examples_name_none(monkeypatch):
    """Which document holds an answer is then known by looking through all of them."""
    cases, documents = planted(60)
    monkeypatch.setattr(choose, "MOST_DOCUMENTS", 70)
    more = [Document(f"other{n}", "", f"Other{n} stands there.") for n in range(100)]
    found = chosen([replace(case, context_id=None) for case in cases], [*documents, *more])
    tried = [trial.value for trial in found.choice.tried]
    assert "dense, 75 words" in tried
    assert not any("among" in one for one in tried)


def test_quick_tries_three_ways_at_one_size_and_reranks_nothing():
    found = chosen(*planted(), quick=True)
    assert [t.value for t in found.choice.tried] == ["dense, 150 words", "bm25, 150 words", "hybrid, 150 words"]


def test_reranking_is_tried_on_the_winner_and_taken_where_it_helps(monkeypatch):
    hits = {"hybrid, 150 words": 0.5, "hybrid, 75 words": 0.6, "hybrid, 75 words, reranked": 0.9}
    monkeypatch.setattr(
        choose.Collection, "hits", lambda self, s, t: (np.arange(len(t)) < hits.get(s.name, 0.2) * len(t)).astype(float)
    )
    found = chosen(*planted())
    assert found.settings == RetrievalSettings("hybrid", 75, reranked=True)
    assert [t.value for t in found.choice.tried if "reranked" in t.value] == ["hybrid, 75 words, reranked"]
    hits["hybrid, 75 words, reranked"] = 0.6
    assert chosen(*planted()).settings == RetrievalSettings("hybrid", 75)


# the rule


def of(hits, n=100):
    return (np.arange(n) < hits).astype(float)


def test_a_difference_within_one_standard_error_goes_to_the_simplest():
    other = RetrievalSettings("hybrid", 75)
    assert simplest_of_the_best({DEFAULT: of(50), other: of(51)}) == DEFAULT, "one case of a hundred is one error"
    assert simplest_of_the_best({DEFAULT: of(50), other: of(53)}) == other
    assert simplest_of_the_best({DEFAULT: of(0), other: of(100)}) == other


def test_simple_means_not_reranked_then_dense_then_150_words():
    order = [
        DEFAULT,
        RetrievalSettings("dense", 300),
        RetrievalSettings("dense", 75),
        RetrievalSettings("bm25", 150),
        RetrievalSettings("hybrid", 150),
        RetrievalSettings("dense", 150, reranked=True),
    ]
    for place in range(len(order)):
        assert simplest_of_the_best({s: of(50) for s in reversed(order[place:])}) == order[place]


# what is a hit


def test_a_named_document_is_enough_where_the_answer_does_not_stand_in_it():
    documents = (Document("d", "", "One. Two."), Document("e", "", "Three."))
    found = targets_of([Case("a", "q", "two", context_id="d"), Case("b", "q", "nine", context_id="e")], documents)
    assert [(t.document, len(t.answers)) for t in found] == [("d", 1), ("e", 0)]


def test_where_no_document_is_named_the_answer_must_stand_somewhere():
    documents = (Document("d", "", "alpha beta gamma delta"),)
    there, absent = Case("a", "q", "alpha"), Case("b", "q", "omega")
    assert [t.document for t in targets_of([there] * 3 + [absent] * 2, documents)] == [None] * 3
    assert targets_of([there] * 2 + [absent] * 2, documents) == ()


@pytest.mark.parametrize("output", ["of", "yes", "No.", "alpha"])
def test_short_answers_yes_no_and_labels_are_not_looked_for(output):
    documents = (Document("d", "", "of yes no alpha"),)
    assert targets_of([Case("a", "q", output)] * 20, documents, labels=("Alpha",)) == ()


def test_long_answers_may_be_found_in_parts():
    answer = " ".join(f"w{i}" for i in range(100))
    cases = [Case(f"t{i}", answer[:20], answer, context_id="d") for i in range(FEWEST_EXAMPLES)]
    (first, *_) = chosen(cases, (Document("d", "", answer), Document("e", "", "x"))).choice.tried
    assert first.score == 1


# what it is chosen on


@pytest.mark.parametrize("cases", [planted()[0][: FEWEST_EXAMPLES - 1], [Case(str(i), "q", "no") for i in range(50)]])
def test_where_too_little_can_be_judged_the_defaults_stay_and_a_note_says_so(cases):
    found = chosen(cases, planted()[1])
    assert (found.settings, found.choice.n, found.choice.tried) == (DEFAULT, 0, ())
    assert "left at dense, 150 words" in found.note


def test_at_most_so_many_examples_are_drawn_with_the_seed():
    cases, documents = planted(MOST_EXAMPLES + 30)
    first = choose_retrieval(cases, documents, embedder=Blind(), seed=1)
    assert first.choice.n == MOST_EXAMPLES
    assert choose_retrieval(cases, documents, embedder=Blind(), seed=1) == first
    assert choose_retrieval(cases, documents, embedder=Blind(), seed=2).choice.tried != first.choice.tried


def test_the_tiny_scenario_can_be_judged():
    scenario = tiny_scenario()
    assert chosen(scenario.train, scenario.documents).choice.n == len(scenario.train)
