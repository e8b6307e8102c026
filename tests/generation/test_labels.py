"""A trie of labels: what may follow, and when a label can no longer be another."""

from hypothesis import given
from hypothesis import strategies as st

from harness.generation.labels import LabelTrie

STOP = 99
TRIE = LabelTrie([[1, 2], [1, 2, 3, 4], [1, 5], [7]], stop=STOP)


def test_only_what_goes_on_to_a_label_may_follow():
    assert set(TRIE.allowed([])) == {1, 7}
    assert set(TRIE.allowed([1])) == {2, 5}
    assert set(TRIE.allowed([1, 2])) == {STOP, 3}
    assert TRIE.allowed([1, 2, STOP]) == ()
    assert TRIE.allowed([8]) == ()


def test_a_label_that_can_be_no_other_is_complete():
    assert TRIE.rest([7]) == (STOP,)
    assert TRIE.rest([1, 5]) == (STOP,)
    assert TRIE.rest([1, 2, 3]) == (4, STOP)
    assert TRIE.rest([1, 2]) == ()
    assert TRIE.rest([1]) == ()


@given(st.sets(st.tuples(*[st.integers(0, 2)] * 3) | st.tuples(st.integers(0, 2)), min_size=1), st.randoms())
def test_every_walk_ends_at_a_label_and_every_label_can_be_reached(labels, rng):
    trie = LabelTrie([list(label) for label in labels], stop=STOP)
    for label in labels:
        for place in range(len(label)):
            assert label[place] in trie.allowed(label[:place])
        assert STOP in trie.allowed(label)
    walk = []
    while options := trie.allowed(walk):
        walk.append(rng.choice(options))
    assert tuple(walk[:-1]) in labels
