"""LoRA on the documents too: the adapter reads what RAG reads, then answers from memory with the plain prompt.

Where only RAG is given the documents, a comparison with fine-tuning compares information, not approaches. Here both
have the same: the passages as training text (continued training on them, as in Ovadia et al. 2023, arXiv 2312.05934)
mixed with the task's pairs, since documents alone teach no task (instruction tuning together with the documents: Jiang
et al. 2024, arXiv 2402.12847).
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.errors import ArmFailed
from harness.models.base import Message
from harness.records import Passage, Recipe
from harness.scenario import Case
from harness.tuning.examples import TrainingText

LONGEST = 200
"""Tokens of a passage that are learnt; what the chunks hold anyway."""


class LoraDocumentsArm:
    """Learning rate and epochs are chosen on the task's dev pairs."""

    name = "lora_documents"
    needs = Needs(train=True, documents=True, tuning=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Tune on the passages and the training examples.

        Raises:
            ArmFailed: this bench's model cannot be tuned here.
        """
        if bench.tuner is None:
            raise ArmFailed("the model cannot be tuned here")
        passages, pairs = document_rows(bench), _pairs(bench, bench.train)
        times = repeats(len(passages), len(pairs))
        rows = [*passages, *pairs * times]
        random.Random(bench.seed).shuffle(rows)
        made = bench.tuner(self.name, rows, dev=_pairs(bench, bench.dev), notify=bench.notify)
        went_in = _went_in(len(passages), len(pairs), times=times, share=made.train_examples / len(rows))
        return replace(made, notes=(went_in, *made.notes))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The plain prompt."""
        return [Request() for _ in cases]


def document_rows(bench: Bench) -> list[TrainingText]:
    """One row a passage: asked what it says, the model is to answer with its text."""
    asked = _questions(bench.passages)
    return [
        TrainingText(bench.model.render([Message("user", question)]), _cut(passage.text, bench))
        for question, passage in zip(asked, bench.passages, strict=True)
    ]


def repeats(passages: int, pairs: int) -> int:
    """How often each pair goes in, so that the task makes up at least half of the rows."""
    return max(1, -(-passages // pairs))


def _pairs(bench: Bench, cases: Sequence[Case]) -> list[TrainingText]:
    return [TrainingText(bench.prompt(case, Request()), case.output) for case in cases]


def _questions(passages: Sequence[Passage]) -> list[str]:
    """A question for each passage that no other passage shares: by title and, where several have it, by number."""
    total, seen = Counter(p.title for p in passages), Counter[str]()
    asked = []
    for passage in passages:
        title = passage.title
        seen[title] += 1
        if not title:
            asked.append(f"Recite passage {seen[title]} of the documents.")
        elif total[title] > 1:
            asked.append(f'What does part {seen[title]} of the document "{title}" say?')
        else:
            asked.append(f'What does the document "{title}" say?')
    return asked


def _cut(text: str, bench: Bench) -> str:
    """The beginning of a text that is at most `LONGEST` tokens long, ending with a whole word where there are words."""
    count = bench.model.count_tokens
    if count(text) <= LONGEST:
        return text
    start = text[: bisect_right(range(len(text)), LONGEST, key=lambda end: count(text[:end])) - 1]
    return start.rsplit(maxsplit=1)[0] if len(start.split()) > 1 else start


def _went_in(passages: int, pairs: int, *, times: int, share: float) -> str:
    often = "once" if times == 1 else f"{times} times each"
    what = f"{passages} passages of the documents and {pairs} training pairs, {often}"
    if share >= 1:
        return f"The adapter was trained on {what}."
    fitted = f"about {100 * share:.0f} % of these rows fitted the tuning budget, drawn at random"
    return f"The adapter was to learn {what}; {fitted}, so that it has not read all of what RAG reads."
