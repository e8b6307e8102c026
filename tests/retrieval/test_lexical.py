"""BM25 over no texts, and over texts that share nothing with the query."""

from harness.retrieval.lexical import build_lexical

TEXTS = ["the harbour opens at six", "parking is free", "the harbour closes at nine"]


def test_over_no_texts_nothing_is_found():
    empty = build_lexical([])
    assert empty.search(["harbour"], k=3) == [[]]
    assert empty.matching(["harbour"], k=3) == [[]]


def test_texts_that_share_no_word_follow_in_their_order_and_match_nothing():
    index = build_lexical(TEXTS)
    assert index.search(["parking"], k=2) == [[1, 0]]
    assert index.matching(["parking", "zebra"], k=2) == [[1], []]
    assert index.search(["zebra"], k=5) == [[0, 1, 2]]
    assert index.search(["harbour"], k=0) == [[]]
