"""The forest of prompts: nothing lost, shared runs in front of what attends to them."""

from hypothesis import given
from hypothesis import strategies as st

from harness.generation.forest import plant

ids = st.integers(0, 2)
prompts_of_few_tokens = st.lists(st.lists(ids, min_size=1, max_size=30), max_size=14)
with_heads = st.builds(
    lambda head, tails: [head[: len(head) - cut] + tail for cut, tail in tails],
    st.lists(ids, min_size=20, max_size=40),
    st.lists(st.tuples(st.integers(0, 15), st.lists(ids, min_size=1, max_size=6)), max_size=14),
)
worths = st.integers(1, 60)


def whole(forest, place):
    """The tokens of a prompt from its start."""
    chain = [*forest.ancestors(place), place]
    return [token for part in chain for token in forest.segments[part].tokens]


@given(prompts_of_few_tokens | with_heads, worths)
def test_every_prompt_can_be_read_from_the_forest(prompts, worth):
    forest = plant(prompts, worth=worth)
    read = {forest.segments[place].prompt: whole(forest, place) for place in forest.leaves}
    assert read == dict(enumerate(prompts))


@given(prompts_of_few_tokens | with_heads, worths)
def test_every_prompt_keeps_its_last_token_to_itself(prompts, worth):
    forest = plant(prompts, worth=worth)
    assert all(forest.segments[place].tokens for place in forest.leaves)


@given(with_heads, worths)
def test_what_attends_to_a_shared_run_stands_in_one_run_behind_it(prompts, worth):
    forest = plant(prompts, worth=worth)
    for shared, segment in enumerate(forest.segments):
        if segment.prompt is None:
            under = [place for place in range(len(forest.segments)) if shared in forest.ancestors(place)]
            assert under == list(range(shared + 1, shared + 1 + len(under)))
            assert len(under) >= 2


@given(with_heads, worths, st.integers(0, 9))
def test_positions_count_from_the_prompts_start(prompts, worth, start):
    forest = plant(prompts, start=start, worth=worth)
    for place, segment in enumerate(forest.segments):
        before = sum(len(forest.segments[a].tokens) for a in forest.ancestors(place))
        assert segment.start == start + before


@given(with_heads, worths)
def test_no_run_is_shared_that_saves_less_than_it_costs(prompts, worth):
    forest = plant(prompts, worth=worth)
    for shared, segment in enumerate(forest.segments):
        if segment.prompt is None:
            under = sum(shared in forest.ancestors(place) for place in forest.leaves)
            assert len(segment.tokens) * (under - 1) >= worth


def test_equal_prompts_share_all_but_their_last_token():
    assert plant([[1] * 50] * 30).tokens == 49 + 30


def test_prompts_that_grow_token_by_token_need_no_deep_recursion():
    assert len(plant([[1] * n for n in range(1, 3000)], worth=10**9).leaves) == 2999
