"""Answers looked for in one document after the other, against looking for each in all of them."""

import random

from harness.audit.answerability import standing_in
from harness.audit.sought import MOST_WORDS, WHOLE_WORDS
from harness.audit.text import bare
from harness.scenario import Document

WORDS = [f"w{n}" for n in range(30)]


def plainly(answers, texts):
    """Each answer in each text."""
    found = set()
    for answer in answers:
        words = set(answer.split())
        for text in texts:
            if len(answer.split()) <= WHOLE_WORDS:
                held = f" {answer} " in f" {text} "
            else:
                held = len(words & set(text.split())) >= MOST_WORDS * len(words)
            if held:
                found.add(answer)
    return found


def test_every_answer_is_found_that_looking_one_by_one_finds():
    chosen = random.Random(0)
    texts = [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 25))) for _ in range(60)]
    answers = [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 14))) for _ in range(400)]
    answers += [" ".join(texts[n].split()[2 : 2 + chosen.randint(1, 12)]) or "w1" for n in range(60)]
    expected = plainly(answers, [bare(text) for text in texts])
    assert standing_in(answers, [Document(str(n), "", text) for n, text in enumerate(texts)]) == expected
    long = {answer for answer in expected if len(answer.split()) > WHOLE_WORDS}
    assert 0 < len(long) < len(expected) < len(set(answers))
