"""Which prompts are answered together."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.generation.batching import SHORTEST_PREFIX, batches_by_length, common_prefix

lengths = st.lists(st.integers(1, 300), max_size=60)
rows = st.integers(1, 8)
tokens = st.integers(1, 900)


@given(lengths, rows, tokens)
def test_every_prompt_is_in_exactly_one_batch(lengths, rows, tokens):
    batches = batches_by_length(lengths, rows=rows, tokens=tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))


@given(lengths, rows, tokens)
def test_no_batch_has_too_many_rows_or_tokens_but_a_single_long_prompt(lengths, rows, tokens):
    for batch in batches_by_length(lengths, rows=rows, tokens=tokens):
        assert len(batch) <= rows
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= tokens


@given(lengths, rows, tokens)
def test_the_longest_come_first_and_equals_in_their_order(lengths, rows, tokens):
    order = [i for batch in batches_by_length(lengths, rows=rows, tokens=tokens) for i in batch]
    assert order == sorted(order, key=lambda i: (-lengths[i], i))


@given(lengths, rows, tokens)
def test_a_batch_is_closed_only_when_the_next_prompt_does_not_fit(lengths, rows, tokens):
    batches = batches_by_length(lengths, rows=rows, tokens=tokens)
    for batch, following in pairwise(batches):
        assert len(batch) == rows or lengths[batch[0]] * (len(batch) + 1) > tokens, following


def test_without_prompts_there_is_no_batch():
    assert batches_by_length([], rows=4, tokens=100) == ()


prefixes = st.lists(st.integers(0, 3), max_size=SHORTEST_PREFIX * 2)
prompts_with_prefix = st.builds(
    lambda head, tails: [head + tail for tail in tails],
    prefixes,
    st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=2, max_size=6),
)


@given(prompts_with_prefix)
def test_the_common_prefix_is_shared_by_all_and_leaves_each_a_token(prompts):
    shared = common_prefix(prompts)
    assert all(prompt[:shared] == prompts[0][:shared] for prompt in prompts)
    assert shared == 0 or all(len(prompt) > shared for prompt in prompts)


@given(prompts_with_prefix)
def test_the_common_prefix_is_the_longest_one_or_too_short_to_matter(prompts):
    longest = 0
    while all(len(p) > longest + 1 for p in prompts) and len({p[longest] for p in prompts}) == 1:
        longest += 1
    assert common_prefix(prompts) == (longest if longest >= SHORTEST_PREFIX else 0)


@pytest.mark.parametrize("prompts", [[], [[1] * 50]], ids=["none", "one"])
def test_fewer_than_two_prompts_share_nothing(prompts):
    assert common_prefix(prompts) == 0


def test_equal_prompts_share_all_but_the_last_token():
    assert common_prefix([[7] * 40, [7] * 40]) == 39


def test_a_prompt_that_is_the_start_of_the_others_keeps_its_last_token():
    assert common_prefix([[7] * 30, [7] * 40]) == 29
