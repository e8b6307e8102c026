"""Training rows and their order."""

from hypothesis import given
from hypothesis import strategies as st

from harness.generation.batching import SHORTEST_PREFIX
from harness.tuning.examples import Row, RowSet, row_set, shuffled_batches

ids = st.integers(0, 2)
tails = st.lists(st.tuples(st.lists(ids, min_size=1, max_size=5), st.lists(ids, min_size=1, max_size=3)), max_size=6)
heads = st.lists(ids, max_size=SHORTEST_PREFIX + 6)
rows_with_prefix = st.builds(
    lambda head, tails: [Row((*head, *prompt), tuple(answer)) for prompt, answer in tails], heads, tails
)


def whole(rows: RowSet) -> list[Row]:
    return [Row((*rows.prefix, *row.prompt), row.answer) for row in rows.rows]


@given(rows_with_prefix)
def test_prefix_and_rest_make_the_whole_rows_again(rows):
    assert whole(row_set(rows)) == rows


@given(rows_with_prefix, heads)
def test_a_given_prefix_changes_no_row_either(rows, prefix):
    assert whole(row_set(rows, prefix=prefix)) == rows


@given(rows_with_prefix)
def test_every_row_keeps_a_token_of_its_prompt(rows):
    assert all(row.prompt for row in row_set(rows).rows)


@given(rows_with_prefix)
def test_tokens_count_whole_rows(rows):
    assert row_set(rows).tokens == sum(len(r.prompt) + len(r.answer) for r in rows)


def test_dev_rows_share_the_training_rows_prefix():
    prefix = tuple(range(30))
    dev = row_set([Row((*prefix, 99), (1,))], prefix=prefix)
    assert (dev.prefix, dev.rows) == (prefix, (Row((99,), (1,)),))


def test_a_row_that_does_not_start_with_the_prefix_keeps_all_rows_whole():
    prefix = tuple(range(30))
    rows = [Row((*prefix, 99), (1,)), Row((5, 6), (1,))]
    assert row_set(rows, prefix=prefix) == RowSet((), tuple(rows))


sized = st.builds(lambda lengths: [Row((0,) * n, (1,)) for n in lengths], st.lists(st.integers(1, 50), max_size=80))


@given(sized, st.integers(1, 16), st.integers(0, 5))
def test_every_row_is_in_exactly_one_batch_of_at_most_that_size(rows, size, seed):
    batches = shuffled_batches(rows, size=size, seed=seed)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    assert all(1 <= len(batch) <= size for batch in batches)


@given(sized, st.integers(1, 16), st.integers(0, 5))
def test_there_are_no_more_batches_than_needed(rows, size, seed):
    assert len(shuffled_batches(rows, size=size, seed=seed)) == -(-len(rows) // size)


def test_the_order_follows_the_seed():
    rows = [Row((0,) * (n % 7 + 1), (1,)) for n in range(100)]
    first = shuffled_batches(rows, size=8, seed=1)
    assert first == shuffled_batches(rows, size=8, seed=1)
    assert first != shuffled_batches(rows, size=8, seed=2)
