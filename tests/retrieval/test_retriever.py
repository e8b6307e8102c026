"""Every way of searching, and what each is there for."""

import zlib

import numpy as np
import pytest
from fakes import FakeEmbedder

from harness.records import Passage
from harness.retrieval.hybrid import fused
from harness.retrieval.index import build_index
from harness.retrieval.lexical import build_lexical
from harness.retrieval.rerank import CANDIDATES, Asked, build_sentence_reranker, reranked
from harness.retrieval.retriever import Retriever, Shelf
from harness.retrieval.settings import WAYS, RetrievalSettings

ALL = [RetrievalSettings(way, words, again) for way in WAYS for words in (75, 150) for again in (False, True)]
every_setting = pytest.mark.parametrize("settings", ALL, ids=lambda s: s.name)

TEXTS = [f"Land{n} lies by the sea. Its people number {n % 7} hundred. They sail to Port{n % 5}." for n in range(30)]
QUERIES = ["How many people has Land3?", "Who sails to Port4?", "nothing known", "", "这是什么？"]


def shelf(texts=TEXTS, embedder=None):
    passages = tuple(Passage(f"p{n}", f"d{n}", "", text) for n, text in enumerate(texts))
    return Shelf(passages, embedder or FakeEmbedder())


class Scattered(FakeEmbedder):
    """No two texts are equally near to a third: FAISS leaves open which of equals it gives."""

    def encode(self, texts, *, fresh=False):
        vectors = np.array([np.random.default_rng(zlib.crc32(t.encode())).normal(size=64) for t in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


# the contract


@every_setting
@pytest.mark.parametrize("k", [1, 4, 25, 30, 99])
def test_there_are_k_distinct_places_a_query_or_all_there_are(settings, k):
    found = Retriever(shelf(), settings).search(QUERIES, k=k)
    assert len(found) == len(QUERIES)
    for row in found:
        assert len(row) == len(set(row)) == min(k, len(TEXTS))
        assert set(row) <= set(range(len(TEXTS)))
        assert all(type(place) is int for place in row)


@every_setting
def test_the_same_is_found_again_fresh_or_not_alone_or_among_others_on_another_shelf(settings):
    retriever = Retriever(shelf(), settings)
    found = retriever.search(QUERIES, k=5)
    assert retriever.search(QUERIES, k=5) == found
    assert retriever.search(QUERIES, k=5, fresh=True) == found
    assert [retriever.search([query], k=5)[0] for query in QUERIES] == found
    assert Retriever(shelf(), settings).search(QUERIES, k=5) == found


@every_setting
def test_fewer_are_the_first_of_more(settings):
    retriever = Retriever(shelf(embedder=Scattered()), settings)
    assert [row[:3] for row in retriever.search(QUERIES, k=12)] == retriever.search(QUERIES, k=3)


@every_setting
def test_nothing_asked_or_nothing_there_gives_nothing(settings):
    assert Retriever(shelf(), settings).search([], k=3) == []
    assert Retriever(shelf(texts=[]), settings).search(["what"], k=3) == [[]]


@every_setting
def test_a_text_is_found_by_its_own_words(settings):
    assert [row[0] for row in Retriever(shelf(), settings).search(TEXTS, k=1)] == list(range(len(TEXTS)))


@every_setting
def test_a_fresh_search_embeds_each_query_once_and_no_text(settings):
    embedder = FakeEmbedder()
    retriever = Retriever(shelf(embedder=embedder), settings)
    retriever.search(QUERIES, k=2)
    assert embedder.fresh_texts == []
    retriever.search(QUERIES, k=2, fresh=True)
    needed = settings.way != "bm25" or settings.reranked
    assert embedder.fresh_texts == (QUERIES if needed else [])


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (RetrievalSettings(), "dense, 150 words"),
        (RetrievalSettings("hybrid", 80, reranked=True), "hybrid, 80 words, reranked"),
    ],
)
def test_settings_have_a_name(settings, name):
    assert settings.name == name


@pytest.mark.parametrize(("words", "counts"), [(75, [2, 4, 8]), (150, [1, 2, 4]), (300, [1, 1, 2]), (400, [1, 1, 1])])
def test_a_budget_of_words_is_so_many_passages(words, counts):
    assert [RetrievalSettings(words=words).count(budget) for budget in (150, 300, 600)] == counts


# BM25


class Numb(FakeEmbedder):
    """Takes everything but the first word for noise."""

    def encode(self, texts, *, fresh=False):
        return super().encode([text.split(" ")[0] for text in texts], fresh=fresh)


def test_bm25_finds_a_rare_word_that_dense_misses():
    texts = [f"What is a lake or hill {n}" for n in range(9)]
    texts[2] = "Error E4711 means a full disk"
    found = {
        way: Retriever(shelf(texts, Numb()), RetrievalSettings(way)).search(["What is E4711"], k=2) for way in WAYS
    }
    assert 2 not in found["dense"][0]
    assert found["bm25"][0][0] == 2
    assert 2 in found["hybrid"][0]


def test_a_word_that_is_everywhere_counts_for_less_than_a_rare_one():
    index = build_lexical(["the the the the", "the zebra", "the cow", "the dog"])
    assert index.search(["the zebra"], k=1) == [[1]]


@pytest.mark.parametrize(
    ("texts", "query", "place"),
    [
        (["Katzen schlafen", "Hunde bellen"], "Warum bellen HUNDE?", 1),
        (["东京是日本的首都。", "巴黎是法国的首都。"], "法国在哪里？", 1),
        (["Москва большая", "Париж красивый"], "какой париж", 1),
        (["किताब मेज़ पर है", "बिल्ली सोती है"], "बिल्ली कहाँ", 1),
        (["alpha", "x"], "x", 1),
    ],
    ids=["German", "Chinese", "Russian", "Hindi", "one letter"],
)
def test_bm25_works_in_any_language(texts, query, place):
    assert build_lexical(texts).matching([query], k=2)[0][0] == place


def test_texts_that_share_no_word_are_padding_not_matches():
    index = build_lexical(["one", "two", "", "one one"])
    assert index.search(["one"], k=4)[0][2:] == [1, 2]
    assert sorted(index.matching(["one"], k=4)[0]) == [0, 3]
    assert index.matching(["", "?"], k=4) == [[], []]
    assert build_lexical(["", "!"]).search(["one"], k=2) == [[0, 1]]


def test_indexing_is_silent(capfd):
    build_lexical(TEXTS).search(QUERIES, k=2)
    assert capfd.readouterr() == ("", "")


# fusion


def test_fusion_follows_the_formula_and_the_first_ranking_breaks_ties():
    assert fused([[1, 2, 3], [3, 4]]) == [3, 1, 2, 4]
    assert fused([[1], [2]]) == [1, 2]
    assert fused([[2], [1]]) == [2, 1]
    assert fused([[1, 2], []]) == [1, 2]
    assert fused([]) == []


# reranking


def test_the_best_sentence_lifts_a_long_text_above_one_that_is_near_as_a_whole():
    texts = [
        "The gate opens at nine. " + "Many other things are told here of roads and rivers. " * 3,
        "The gate is old",
    ]
    index = build_index(FakeEmbedder(), texts)
    query = "when does the gate open? it opens at nine"
    assert index.search([query], k=2) == [[1, 0]]
    asked = Asked((query,), FakeEmbedder())
    assert reranked(build_sentence_reranker(index, texts), asked, [[1, 0]]) == [[0, 1]]


def test_the_score_is_the_mean_of_the_two_cosines():
    embedder = FakeEmbedder()
    index = build_index(embedder, ["Title\nOne two. Three four."])
    (query, whole, first, second) = embedder.encode(["three", "Title\nOne two. Three four.", "One two.", "Three four."])
    found = build_sentence_reranker(index, ["One two. Three four."]).scores(Asked(("three",), embedder), [[0]])
    assert found[0][0] == pytest.approx((whole @ query + max(first @ query, second @ query)) / 2, abs=1e-6)


def test_a_text_without_sentences_keeps_its_own_cosine():
    index = build_index(FakeEmbedder(), ["title", "other"])
    found = build_sentence_reranker(index, ["", "other"]).scores(Asked(("title",), FakeEmbedder()), [[0, 1]])
    assert found[0] == pytest.approx([1, 0])


class Backwards:
    def scores(self, asked, candidates):
        return [list(map(float, range(len(row)))) for row in candidates]


def test_only_the_first_candidates_are_reranked():
    row = list(range(CANDIDATES + 3))
    found = reranked(Backwards(), Asked(("a",), FakeEmbedder()), [row])
    assert found == [[*reversed(row[:CANDIDATES]), *row[CANDIDATES:]]]


@pytest.mark.model
def test_a_cross_encoder_of_ones_own_scores_the_pairs(tmp_path):
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from harness.models import bundled

    tokenizer = AutoTokenizer.from_pretrained(bundled.require(bundled.EMBEDDER).parent)
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(tokenizer), num_labels=1, **small)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    passages = tuple(Passage(str(n), str(n), "", text) for n, text in enumerate(TEXTS))
    named = Shelf(passages, FakeEmbedder(), str(tmp_path))
    found = Retriever(named, RetrievalSettings("bm25", reranked=True)).search(QUERIES, k=5)
    assert all(len(set(row)) == 5 for row in found)
    scores = named.reranker.scores(Asked(tuple(QUERIES), FakeEmbedder()), found)
    assert all(np.all(np.diff(row) <= 1e-6) for row in scores)
