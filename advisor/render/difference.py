"""What changed from one advice to another, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.questionnaire import printable
from advisor.records import APPROACH_NAMES, Advice, Answer
from advisor.render import words


def difference_lines(first: Advice, second: Advice) -> Iterator[str]:
    """The advice, the answers, the odds and the reasons that differ; one sentence where nothing does."""
    titles = [f"{printable(one.title)} ({printable(one.created[:10])})" for one in (first, second)]
    yield " -> ".join(titles)
    body = [*_advised(first, second), *_answers(first, second), *_odds(first, second), *_reasons(first, second)]
    yield from body or ["Nothing differs: same answers, same odds, same reasons."]
    if first.knowledge_digest != second.knowledge_digest:
        yield "The knowledge behind the advice was changed between the two, too."


def _advised(first: Advice, second: Advice) -> Iterator[str]:
    was, now = first.recommendation.approach, second.recommendation.approach
    if was != now:
        yield f"Advice: {APPROACH_NAMES[was]} -> {APPROACH_NAMES[now]}"


def _answers(first: Advice, second: Advice) -> Iterator[str]:
    before, after = _by_key(first), _by_key(second)
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if (was and was.value) != (now and now.value):
            yield f"Answer: {words.question_text(key)} {_said(was)} -> {_said(now)}"


def _by_key(advice: Advice) -> dict[str, Answer]:
    return {one.key: one for one in advice.answers}


def _said(answer: Answer | None) -> str:
    return "not answered" if answer is None else words.value_text(answer.key, answer.value)


def _odds(first: Advice, second: Advice) -> Iterator[str]:
    for one in first.recommendation.standings:
        now = second.recommendation.standing(one.approach)
        if one.band != now.band:
            yield f"Odds of {APPROACH_NAMES[one.approach]}: {one.band} -> {now.band}"


def _reasons(first: Advice, second: Advice) -> Iterator[str]:
    """Reasons about either advised approach that came or went."""
    for approach in dict.fromkeys((first.recommendation.approach, second.recommendation.approach)):
        before = {vote.rule: vote for vote in first.recommendation.standing(approach).votes}
        after = {vote.rule: vote for vote in second.recommendation.standing(approach).votes}
        for word, gained, other in (("No longer", before, after), ("Now", after, before)):
            for rule in gained:
                if rule not in other:
                    vote = gained[rule]
                    side = "for" if vote.weight > 0 else "against"
                    yield f"{word} {side} {APPROACH_NAMES[approach]}: {vote.reason}"
