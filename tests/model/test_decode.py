"""Greedy answers: batches, shared prefixes and early stops change no token."""

import random

import pytest
from plain_library import plain_tokens

from harness.generation.batching import common_prefix
from harness.generation.decode import LocalTextModel, greedy, prefix_cache
from harness.models.base import Message, Stop

pytestmark = pytest.mark.model

MOST = 24


def random_rows(seed, *, n, prefix=0):
    rng = random.Random(seed)
    head = [rng.randrange(256) for _ in range(prefix)]
    return [head + [rng.randrange(256) for _ in range(rng.randint(1, 60))] for _ in range(n)]


def answers(loaded, rows, *, prefix=0, most=MOST):
    cache = prefix_cache(loaded, rows[0][:prefix]) if prefix else None
    return greedy(loaded, [r[prefix:] for r in rows], cache=cache, prefix=prefix, max_new_tokens=most)


@pytest.mark.parametrize("prefix", [0, 24, 90])
@pytest.mark.parametrize("seed", range(4))
def test_the_tokens_are_those_of_plain_generate(tiny, seed, prefix):
    rows = random_rows(seed, n=9, prefix=prefix)
    found = answers(tiny, rows, prefix=prefix)
    assert [ids for ids, _ in found] == [plain_tokens(tiny, row, most=MOST) for row in rows]
    assert len({len(ids) for ids, _ in found}) > 1, "some stop early"


@pytest.mark.parametrize("prefix", [0, 40])
def test_how_a_prompt_is_answered_does_not_depend_on_its_company(tiny, prefix):
    rows = random_rows(11, n=12, prefix=prefix)
    together = answers(tiny, rows, prefix=prefix)
    rng = random.Random(5)
    for _ in range(4):
        order = rng.sample(range(12), k=rng.randint(1, 12))
        assert answers(tiny, [rows[i] for i in order], prefix=prefix) == [together[i] for i in order]


def test_an_answer_says_whether_it_stopped_or_was_cut(tiny):
    for ids, finish in answers(tiny, random_rows(3, n=12), most=6):
        assert len(ids) <= 6
        assert finish == ("stop" if ids[-1] in tiny.stop_ids else "length")
        assert not set(ids[:-1]) & tiny.stop_ids


def test_the_shared_prefix_is_computed_once_and_may_be_used_again(tiny):
    rows = random_rows(7, n=6, prefix=50)
    cache = prefix_cache(tiny, rows[0][:50])
    suffixes = [row[50:] for row in rows]
    first, second = (greedy(tiny, suffixes, cache=cache, prefix=50, max_new_tokens=MOST) for _ in range(2))
    assert first == second


def conversations(n):
    rng = random.Random(2)
    words = ["river", "Zürich", "seven", "blue", "…", "why?"]
    return [
        [Message("system", "Answer with a word, please."), Message("user", " ".join(rng.choices(words, k=n % 9 + 1)))]
        for n in range(n)
    ]


def completions(model, prompts, **options):
    job = model.start(prompts, max_new_tokens=MOST, **options)
    return {i: done for batch in job.batches for i, done in zip(batch, job.answer(batch), strict=True)}


def test_a_job_answers_every_prompt_as_it_is_answered_alone(tiny):
    model = LocalTextModel(tiny)
    prompts = [model.render(turns) for turns in conversations(40)]
    assert common_prefix([tiny.encode(p) for p in prompts]) > 0
    together = completions(model, prompts)
    assert sorted(together) == list(range(40))
    for index in range(0, 40, 7):
        assert completions(model, [prompts[index]])[0] == together[index]
    assert all(done.tokens_in == model.count_tokens(prompts[i]) for i, done in together.items())


def test_a_job_plans_the_same_batches_every_time(tiny):
    model = LocalTextModel(tiny)
    prompts = [model.render(turns) for turns in conversations(40)]
    assert model.start(prompts, max_new_tokens=4).batches == model.start(prompts, max_new_tokens=9).batches


@pytest.mark.parametrize("stop", [Stop("five", lambda text: len(text) >= 5), Stop("never", lambda text: False)])
def test_an_early_stop_only_cuts_the_end_off(tiny, stop):
    model = LocalTextModel(tiny)
    prompts = [model.render(turns) for turns in conversations(24)]
    whole, cut = completions(model, prompts), completions(model, prompts, stop=stop)
    for index, done in cut.items():
        assert whole[index].text.startswith(done.text.rstrip("�"))
        assert done.tokens_out <= whole[index].tokens_out
    if stop.name == "never":
        assert cut == whole


def test_stop_tokens_and_special_tokens_are_not_in_the_text(tiny):
    texts = [done.text for done in completions(LocalTextModel(tiny), ["abc", "xyz", "12345"]).values()]
    assert not any("<|" in text for text in texts)
