"""Documents cut into passages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.retrieval.chunks import WORDS, chunk_documents
from harness.scenario import Document

PIECES = st.sampled_from(
    ["word", "Word.", "What?", "e.g.", "done!", "\n", "\n\n", " ", "   ", "\t", "ende。", "x" * 40]
)
TEXTS = st.lists(PIECES, max_size=80).map(" ".join)
DOCUMENTS = st.lists(TEXTS, max_size=4).map(
    lambda texts: [Document(f"d{n}", f"Title {n}", text) for n, text in enumerate(texts)]
)


def sentences(n, words=10):
    return " ".join(f"{'word ' * (words - 2)}number {i}." for i in range(n))


@given(DOCUMENTS, st.integers(1, 20))
def test_no_letter_is_lost_repeated_or_moved(documents, words):
    passages = chunk_documents(documents, words=words)
    for document in documents:
        texts = [p.text for p in passages if p.document_id == document.id]
        assert "".join("".join(texts).split()) == "".join(document.text.split())


@given(DOCUMENTS, st.integers(5, 20))
def test_words_stay_whole_but_for_endless_ones(documents, words):
    passages = chunk_documents(documents, words=words)
    assert " ".join(p.text for p in passages).split() == " ".join(d.text for d in documents).split()


@given(DOCUMENTS, st.integers(1, 20))
def test_no_passage_is_longer_than_asked_empty_or_ragged(documents, words):
    for passage in chunk_documents(documents, words=words):
        assert 1 <= len(passage.text.split()) <= words
        assert passage.text == passage.text.strip()


@given(DOCUMENTS, st.integers(1, 20))
def test_passages_keep_the_documents_order_and_title_and_have_ids_of_their_own(documents, words):
    passages = chunk_documents(documents, words=words)
    assert len({p.id for p in passages}) == len(passages)
    assert list(dict.fromkeys(p.document_id for p in passages)) == [d.id for d in documents if d.text.strip()]
    titles = {d.id: d.title for d in documents}
    assert all(p.title == titles[p.document_id] for p in passages)


def test_a_document_that_fits_is_one_passage_under_its_own_id():
    (passage,) = chunk_documents([Document("d", "T", "One.\n\nTwo.\n")])
    assert (passage.id, passage.document_id, passage.title, passage.text) == ("d", "d", "T", "One.\nTwo.")


def test_the_passages_of_a_long_document_are_numbered_from_1():
    passages = chunk_documents([Document("d", "T", sentences(40))])
    assert [p.id for p in passages] == ["d#1", "d#2", "d#3"]
    assert all(len(p.text.split()) <= WORDS for p in passages)


def test_a_long_paragraph_is_cut_between_sentences():
    for passage in chunk_documents([Document("d", "T", sentences(40))]):
        assert passage.text.endswith(".")


def test_a_paragraph_that_fits_is_never_cut():
    paragraphs = [sentences(1, words=9).strip() for _ in range(10)]
    text = "\n\n".join(paragraphs)
    for passage in chunk_documents([Document("d", "T", text)], words=20):
        assert set(passage.text.split("\n")) <= set(paragraphs)


def test_a_sentence_that_is_too_long_is_cut_between_words():
    passages = chunk_documents([Document("d", "T", "word " * 25)], words=10)
    assert [len(p.text.split()) for p in passages] == [10, 10, 5]


@pytest.mark.parametrize("text", ["", " \n\n\t"])
def test_a_document_without_words_gives_no_passage(text):
    assert chunk_documents([Document("d", "T", text)]) == ()


def test_short_documents_are_never_put_together():
    documents = [Document(f"d{n}", "", "One word.") for n in range(3)]
    assert [p.document_id for p in chunk_documents(documents)] == ["d0", "d1", "d2"]


def test_ids_differ_also_where_a_document_is_called_like_anothers_piece():
    passages = chunk_documents([Document("d", "T", "word " * 25), Document("d#1", "T", "word")], words=20)
    assert len({p.id for p in passages}) == len(passages)


def test_a_long_text_without_spaces_is_cut_too():
    assert len(chunk_documents([Document("d", "T", "这是一个很长的句子。" * 200)])) > 1
