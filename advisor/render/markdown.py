"""The advice as Markdown: everything that `advice.json` holds, for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from advisor.questionnaire import printable
from advisor.records import APPROACH_NAMES, APPROACHES, ARMS_OF, Advice, Standing, Vote
from advisor.render import words
from advisor.rules import load_knowledge

MOST_REASONS = 4


def advice_markdown(advice: Advice, *, chart: str | None = None) -> str:
    """The whole advice; `chart` is the file name of the cost picture beside it."""
    parts = [
        _head(advice),
        _ranking(advice),
        _reasons(advice),
        _changes(advice),
        _layers(advice),
        _ladder(advice),
        _costs(advice, chart),
        _risks(advice),
        _readiness(advice),
        _trial(advice),
        _answers(advice),
        _sources(advice),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def escaped(text: str) -> str:
    """Text that stays text in Markdown and in the HTML that is made of it."""
    flat = printable(" ".join(text.split()))
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", flat)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of escaped cells."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _head(advice: Advice) -> Iterator[str]:
    best = advice.recommendation.standing(advice.recommendation.approach)
    yield f"# {escaped(advice.title)}: {words.TITLES[best.approach]}"
    yield ""
    odds = f"{best.band} ({words.band_text(best.band)})"
    yield f"**Advice: {APPROACH_NAMES[best.approach]}.** Odds that it is the right one: {odds}."
    if advice.recommendation.runner_up:
        second = advice.recommendation.standing(advice.recommendation.runner_up)
        yield f"Runner-up: {APPROACH_NAMES[second.approach]} ({second.band})."
    yield ""
    yield f"Given {advice.created[:10]}, after {advice.asked} questions; {escaped(advice.stopped_because)}."
    if advice.experience.sentence:
        yield ""
        yield escaped(advice.experience.sentence)


def _ranking(advice: Advice) -> Iterator[str]:
    yield "## Ranking"
    yield ""
    rows = [
        (
            words.TITLES[one.approach],
            one.band,
            escaped(one.vetoes[0].reason if one.vetoes else words.band_text(one.band)),
        )
        for one in advice.recommendation.standings
    ]
    yield from table(("Approach", "Odds", "What that means"), rows)


def _reasons(advice: Advice) -> Iterator[str]:
    yield "## Reasons"
    yield ""
    yield "Points of evidence, as counted (three points of lead make odds of about 4.5 to 1)."
    for one in advice.recommendation.standings:
        yield ""
        yield f"### {words.TITLES[one.approach]}"
        yield ""
        yield from _votes(one)


def _votes(standing: Standing) -> Iterator[str]:
    for veto in standing.vetoes:
        yield f"- **Ruled out.** {escaped(veto.reason)} [{', '.join(veto.sources)}]"
    for word, side in (("For", 1), ("Against", -1)):
        votes = [vote for vote in standing.votes if vote.weight * side > 0][:MOST_REASONS]
        for vote in votes:
            yield f"- {word} ({words.signed(vote.weight)}): {escaped(vote.reason)} {_origin(vote)}"
    if not standing.votes and not standing.vetoes:
        yield "- Nothing that was answered speaks for or against it."


def _origin(vote: Vote) -> str:
    return f"[{', '.join(vote.sources)}; grade {vote.grade}]"


def _changes(advice: Advice) -> Iterator[str]:
    found = advice.sensitivity
    yield "## What would change the advice"
    yield ""
    if not found.flips:
        yield "No single change of an answer would."
    for flip in found.flips:
        yield f"- {escaped(words.flip_text(flip))}"
    if found.reversals:
        yield ""
        yield "How heavily a reason would have to count for the runner-up to draw level:"
        yield ""
        for one in found.reversals:
            yield f"- {escaped(one.reason)} Its lead of {one.weight:.1f} points {_needed(one.needed)}."
    if found.open_questions:
        yield ""
        first = found.open_questions[0]
        yield f"The unanswered question that matters most: {escaped(words.question_text(first.key))}"


def _needed(needed: float) -> str:
    return f"would have to fall to {needed:.1f}" if needed >= 0 else f"would have to turn against it ({needed:.1f})"


def _layers(advice: Advice) -> Iterator[str]:
    yield "## Layers"
    yield ""
    rows = [(one.name, words.use_text(one.use), escaped(one.reason)) for one in advice.layers]
    yield from table(("Layer", "Use", "Why"), rows)
    yield ""
    yield f"Tuning: {escaped(advice.tuning)}"


def _ladder(advice: Advice) -> Iterator[str]:
    yield "## What to try, in this order"
    yield ""
    for number, step in enumerate(advice.ladder, 1):
        yield f"{number}. **{escaped(step.title)}.** {escaped(step.what)} Stop when {escaped(step.stop_when)}. "
        yield f"   Go on when {escaped(step.go_on_when)}."


def _costs(advice: Advice, chart: str | None) -> Iterator[str]:
    costs = advice.costs
    yield "## Costs"
    yield ""
    yield (
        f"First year at {costs.requests_per_day:,.0f} requests a day, in {costs.currency}, "
        f"by the price table of {costs.prices_date}. Rough figures: change the prices to yours (`advise prices`)."
    )
    yield ""
    rows = [
        (
            words.TITLES[one.approach],
            words.money(one.once, costs.currency),
            words.money(one.monthly, costs.currency),
            words.money(1000 * one.per_request, costs.currency),
            words.money(one.first_year, costs.currency),
        )
        for one in costs.approaches
    ]
    yield from table(("Approach", "Once", "A month", "1,000 requests", "First year"), rows)
    if chart:
        yield ""
        yield f"![First-year cost against requests a day, a line for each approach]({chart})"
    yield ""
    for one in costs.break_evens:
        if advice.recommendation.approach in (one.first, one.second):
            yield f"- {escaped(one.text)}"
    yield ""
    yield "Assumed where nothing was said:"
    yield ""
    for assumed in costs.assumptions:
        yield f"- {escaped(assumed.name)}: {escaped(assumed.value)} ({escaped(assumed.because)})"
    for bill in costs.approaches:
        yield ""
        yield f"<details><summary>{words.TITLES[bill.approach]}: the bill</summary>"
        yield ""
        lines = [(escaped(i.name), words.money(i.amount, costs.currency), i.per, escaped(i.how)) for i in bill.items]
        yield from table(("Item", "Amount", "Per", "How"), lines)
        yield ""
        yield "</details>"


def _risks(advice: Advice) -> Iterator[str]:
    yield "## Risks to watch"
    yield ""
    for risk in advice.risks:
        yield f"- **{escaped(risk.name)}.** {escaped(risk.text)} Watch: {escaped(risk.watch)}"


def _readiness(advice: Advice) -> Iterator[str]:
    yield "## Data readiness"
    yield ""
    rows = [(one.item, one.state, escaped(one.have), escaped(one.todo)) for one in advice.readiness]
    yield from table(("Item", "State", "There is", "To do"), rows)


def _trial(advice: Advice) -> Iterator[str]:
    yield "## The advice as a hypothesis"
    yield ""
    yield escaped(advice.hypothesis.text)
    yield ""
    arms = ", ".join(f"`{arm}`" for arm in advice.hypothesis.arms)
    if set(ARMS_OF[advice.hypothesis.approach]) & set(advice.hypothesis.arms):
        yield f"To put it on trial: `bakeoff run` with the arms {arms}."
    else:
        yield f"The data cannot put it on trial yet; only {arms} could run."


def _answers(advice: Advice) -> Iterator[str]:
    yield "## The use case as answered"
    yield ""
    rows = [
        (
            escaped(words.question_text(one.key)),
            escaped(words.value_text(one.key, one.value)),
            escaped(words.source_text(one)),
        )
        for one in advice.answers
    ]
    yield from table(("Question", "Answer", "From"), rows)
    for conflict in advice.conflicts:
        said, measured = (words.value_text(conflict.key, one.value) for one in (conflict.said, conflict.measured))
        yield ""
        yield (
            f"The data disagree: {escaped(words.question_text(conflict.key))} You said “{escaped(said)}”; measured was "
            f"“{escaped(measured)}” ({escaped(conflict.measured.note)})."
        )


def _sources(advice: Advice) -> Iterator[str]:
    known = load_knowledge().sources
    cited = [source for one in advice.recommendation.standings for vote in one.votes for source in vote.sources]
    cited += [source for one in advice.recommendation.standings for veto in one.vetoes for source in veto.sources]
    yield "## Sources"
    yield ""
    yield "Grades: " + ", ".join(f"{grade} {text}" for grade, text in words.GRADES.items()) + "."
    yield ""
    for source in sorted(set(cited), key=_natural):
        yield f"- {source}: {escaped(known.get(source, 'not in this version of the knowledge'))}"
    yield ""
    yield f"Knowledge {advice.knowledge_digest[:12]}; approaches: {', '.join(APPROACHES)}."


def _natural(source: str) -> tuple[str, int]:
    digits = re.sub(r"\D", "", source)
    return re.sub(r"\d", "", source), int(digits or 0)


def questions_markdown() -> str:
    """The whole questionnaire as a handout."""
    return "\n".join(_handout()) + "\n"


def _handout() -> Iterator[str]:
    from advisor.questionnaire import load_questionnaire

    yield "# Which approach? The questions"
    yield ""
    yield "Every question may be left open: write “don't know”. Keys in brackets are for answers files."
    topic = ""
    for number, question in enumerate(load_questionnaire().questions, 1):
        if question.topic != topic:
            topic = question.topic
            yield ""
            yield f"## {topic}"
        yield ""
        yield f"**{number}. {escaped(question.text)}** (`{question.key}`)"
        yield ""
        yield f"{escaped(question.help)} *Example:* {escaped(question.example)}"
        yield ""
        for choice in question.choices:
            more = f" - {escaped(choice.help)}" if choice.help else ""
            yield f"- [ ] {escaped(choice.label)} (`{choice.value}`){more}"
        if question.kind.value == "boolean":
            yield "- [ ] yes (`true`)"
            yield "- [ ] no (`false`)"
        if question.unit:
            usual = ", ".join(f"{one.value:,} ({escaped(one.label)})" for one in question.suggestions)
            yield f"- Number of {question.unit.many}: ________ (for instance {usual})"
        yield "- [ ] don't know"
