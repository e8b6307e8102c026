"""An optional second opinion: a language model says which of two arms' answers is better.

Each pair is asked in both orders, and only a verdict that survives the swap counts as a win; one that does not is a tie
(L. Zheng et al., "Judging LLM-as-a-judge with MT-Bench and Chatbot Arena", arXiv 2306.05685, 2023, section 3.4; there
GPT-4 kept its verdict in 65 % of swaps of close answers). Whether the judge deserves trust is `harness.judging.tally`'s
question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.judging.prompt import VERDICT, Letter, comparison_messages, read_verdict
from harness.models.base import TextModel

Choice: TypeAlias = Literal["first", "second", "tie"]

Ask: TypeAlias = Callable[[Sequence[str]], Sequence[str | None]]
"""Replies to prompts, in their order; None where asking failed, so that there is no reply to read."""


@dataclass(frozen=True, slots=True)
class Question:
    """Two arms' answers to one case."""

    case_id: str
    input: str
    references: tuple[str, ...]
    first_arm: str
    first: str
    """The first arm's answer."""
    second_arm: str
    second: str


@dataclass(frozen=True, slots=True)
class Judgment:
    """What the judge made of one question."""

    case_id: str
    first_arm: str
    second_arm: str
    forward: Choice | None
    """With the first arm's answer shown as A; None: unreadable or not asked (too long for the judge's window)."""
    backward: Choice | None
    """With the first arm's answer shown as B."""
    verdict: Choice | None
    """What both orders say; a tie where they differ; None where either could not be read."""
    asked: bool = True
    """False: the answers are the same, which is a tie that nobody had to judge."""


def judge_pairs(
    model: TextModel,
    questions: Sequence[Question],
    *,
    instruction: str,
    show_references: bool = True,
    max_new_tokens: int = 16,
    ask: Ask | None = None,
) -> list[Judgment]:
    """Have every question judged in both orders; equal answers are a tie without asking.

    Args:
        model: the judge.
        questions: two answers each.
        instruction: the task, as the arms were given it.
        show_references: whether the judge is shown the reference answers.
        max_new_tokens: longest reply; a judge that reasons before its verdict needs hundreds.
        ask: how rendered prompts are answered (cached, failures isolated, ...); None: by the model, batch after batch,
            and what it raises is raised.

    Returns:
        one judgment a question, in the same order; a question of which a prompt has no reply is left out.
    """
    open_questions = [question for question in questions if not _same(question)]
    prompts = [
        prompt
        for question in open_questions
        for prompt in _both_orders(model, question, instruction=instruction, show_references=show_references)
    ]
    answer = ask or (lambda fitting: answered(model, fitting, max_new_tokens=max_new_tokens))
    replies = iter(_replies(prompts, answer, room=_room(model, max_new_tokens)))
    made = [_settled(question, replies) for question in questions]
    return [judgment for judgment in made if judgment is not None]


def answered(model: TextModel, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
    """The model's replies to these prompts, greedy, in their order."""
    if not prompts:
        return []
    job = model.start(prompts, max_new_tokens=max_new_tokens, stop=VERDICT)
    replies: dict[int, str] = {}
    for batch in job.batches:
        replies |= {i: completion.text for i, completion in zip(batch, job.answer(batch), strict=True)}
    return [replies[i] for i in range(len(prompts))]


def settle(forward: Choice | None, backward: Choice | None) -> Choice | None:
    """One verdict from both orders.

    A verdict that was read in one order only has not been held against the position, and is none.
    """
    if forward is None or backward is None:
        return None
    return forward if forward == backward else "tie"


def _same(question: Question) -> bool:
    return question.first.strip() == question.second.strip()


def _both_orders(model: TextModel, question: Question, *, instruction: str, show_references: bool) -> tuple[str, str]:
    def rendered(answer_a: str, answer_b: str) -> str:
        references = question.references if show_references else ()
        return model.render(
            comparison_messages(
                instruction, question.input, answer_a=answer_a, answer_b=answer_b, references=references
            )
        )

    return rendered(question.first, question.second), rendered(question.second, question.first)


def _room(model: TextModel, max_new_tokens: int) -> Callable[[str], bool]:
    """Whether a prompt and its reply fit the judge's window."""
    most = model.description.window - max_new_tokens
    return lambda prompt: model.count_tokens(prompt) <= most


def _replies(prompts: Sequence[str], ask: Ask, *, room: Callable[[str], bool]) -> list[str | None]:
    """The reply to each prompt; empty where it is too long to be asked: nothing is cut to make a prompt fit."""
    fitting = [i for i, prompt in enumerate(prompts) if room(prompt)]
    asked = dict(zip(fitting, ask([prompts[i] for i in fitting]) if fitting else [], strict=True))
    return [asked.get(i, "") for i in range(len(prompts))]


def _settled(question: Question, replies: Iterator[str | None]) -> Judgment | None:
    """The judgment; None where one of the two orders has no reply."""
    if _same(question):
        return _judgment(question, "tie", "tie", asked=False)
    both = next(replies), next(replies)
    if both[0] is None or both[1] is None:
        return None
    forward: dict[Letter | None, Choice] = {"A": "first", "B": "second", "TIE": "tie"}
    backward: dict[Letter | None, Choice] = {"A": "second", "B": "first", "TIE": "tie"}
    return _judgment(question, forward.get(read_verdict(both[0])), backward.get(read_verdict(both[1])))


def _judgment(question: Question, forward: Choice | None, backward: Choice | None, *, asked: bool = True) -> Judgment:
    return Judgment(
        question.case_id,
        question.first_arm,
        question.second_arm,
        forward,
        backward,
        verdict=settle(forward, backward),
        asked=asked,
    )
