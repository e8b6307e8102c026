"""Tokens drawn from their probabilities."""

import numpy as np
import pytest

from harness.generation.held import chosen_tokens, rest_of
from harness.generation.labels import LabelTrie, LabelWalk
from harness.generation.sampling import Drawn, gumbel, noise_for

torch = pytest.importorskip("torch")

STOP = 4
SCORES = torch.tensor([1.0, 2.0, 0.0, -1.0, 0.5])


def shares(temperature, held=lambda: None, *, n=4000):
    noise = noise_for([1], seed=0)
    drawn = [Drawn(temperature, noise, held()).choose(SCORES) for _ in range(n)]
    return np.bincount(drawn, minlength=5) / n


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_their_scores_say(temperature):
    assert shares(temperature) == pytest.approx(torch.softmax(SCORES / temperature, 0).numpy(), abs=0.03)


def test_held_tokens_come_as_often_as_among_those_that_may_follow():
    trie = LabelTrie([[0], [2, 3]], stop=STOP)
    allowed = torch.softmax(SCORES[[0, 2]], 0).numpy()
    assert shares(1.0, lambda: LabelWalk(trie)) == pytest.approx([allowed[0], 0, allowed[1], 0, 0], abs=0.03)


def test_what_is_drawn_goes_on_as_what_it_is_held_to():
    drawn = Drawn(1.0, noise_for([1], seed=0), LabelWalk(LabelTrie([[0, 1]], stop=STOP)))
    assert drawn.choose(SCORES) == 0
    assert drawn.rest() == (1, STOP)
    assert Drawn(1.0, noise_for([1], seed=0)).rest() == ()


def test_the_noise_is_of_the_prompt_and_the_seed():
    draw = lambda prompt, seed: noise_for(prompt, seed=seed).random(4).tolist()  # noqa: E731
    assert draw([1, 2], 3) == draw((1, 2), 3)
    assert len({str(draw(prompt, seed)) for prompt in ([1, 2], [12], [2, 1], []) for seed in (0, 1, -1)}) == 12


def test_no_noise_ever_wins_by_itself():
    class Zeros:
        def random(self, n, dtype):
            return np.zeros(n, dtype=dtype)

    assert np.isneginf(gumbel(Zeros(), 3)).all()
    drawn = gumbel(noise_for([], seed=0), 100_000)
    assert drawn.dtype == np.float32
    assert not np.isposinf(drawn).any()
    assert drawn.mean() == pytest.approx(np.euler_gamma, abs=0.02)


def test_half_precision_scores_are_drawn_from_too():
    assert Drawn(1e-6, noise_for([1], seed=0)).choose(SCORES.bfloat16()) == 1


# what decoding asks


def test_free_rows_take_the_likeliest_and_rows_that_are_over_take_nothing():
    logits = torch.stack([SCORES, -SCORES, SCORES])
    trie = LabelTrie([[0], [2]], stop=STOP)
    assert chosen_tokens(logits, None) == [1, 3, 1]
    assert chosen_tokens(logits, [LabelWalk(trie), LabelWalk(trie), None]) == [0, 2, 0]


def test_a_rest_that_does_not_fit_is_left_to_the_model():
    walk = LabelWalk(LabelTrie([[0, 1, 2]], stop=STOP))
    assert rest_of(walk, room=3) == ()
    assert rest_of(walk, room=4) == (0, 1, 2, STOP)
    assert rest_of(None, room=4) == ()
