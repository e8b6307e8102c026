"""Judges whose habits are known, and questions for them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.judging.judge import Question
from harness.models.base import AT_END, Completion, ModelDescription


@dataclass
class PlantedJudge:
    """A `TextModel` that replies with what `habit(answer_a, answer_b)` says, four prompts at a time."""

    habit: Callable[[str, str], str]
    window: int = 4096
    asked: list[str] = field(default_factory=list)
    """Every prompt answered, in order."""

    @property
    def description(self):
        return ModelDescription("planted", "p" * 64, "float32", "cpu", self.window, 0)

    def render(self, messages):
        return "\n\n".join(m.content for m in messages)

    def count_tokens(self, text):
        return len(text.split())

    def start(self, prompts, *, max_new_tokens, stop=AT_END, temperature=0.0, seed=0):
        assert temperature == 0
        return PlantedJob(self, tuple(prompts))

    def reply(self, prompt):
        shown = [re.search(rf"BEGIN ANSWER {x} (\w+)\n(.*?)\nEND ANSWER {x} \1", prompt, re.DOTALL) for x in "AB"]
        return self.habit(*(found.group(2) for found in shown))


@dataclass
class PlantedJob:
    """A `Job` whose batches run from the last prompt to the first, as a job may choose them."""

    model: PlantedJudge
    prompts: tuple[str, ...]

    @property
    def batches(self):
        backwards = range(len(self.prompts))[::-1]
        return tuple(tuple(backwards[start : start + 4]) for start in range(0, len(backwards), 4))

    def answer(self, batch):
        prompts = [self.prompts[i] for i in batch]
        self.model.asked += prompts
        return [Completion(self.model.reply(prompt), 1, 1, "stop") for prompt in prompts]


def longest(answer_a, answer_b):
    """The longer answer wins: a judge that reads what it judges."""
    if len(answer_a) == len(answer_b):
        return "TIE"
    return "A" if len(answer_a) > len(answer_b) else "B"


def always_a(answer_a, answer_b):
    return "A"


LENGTHS = ((3, 1), (1, 3), (2, 2), (4, 1))
"""Of the first and the second arm's answers, again and again."""


def questions(n, *, first_arm="rag", second_arm="lora"):
    """One a case; the answers differ, if only in their letter."""
    lengths = [LENGTHS[i % len(LENGTHS)] for i in range(n)]
    return [
        Question(f"c{i}", f"question {i}", (f"reference {i}",), first_arm, "x" * first, second_arm, "y" * second)
        for i, (first, second) in enumerate(lengths)
    ]


def truth(question):
    """What a person who values length says."""
    return {"A": "first", "B": "second", "TIE": "tie"}[longest(question.first, question.second)]
