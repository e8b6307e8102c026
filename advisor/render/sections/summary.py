"""The first page: the question, the advice and its odds, three numbers, what would change our mind, the next step."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.records import APPROACH_NAMES, ARMS_OF, Advice, ApproachCost, Standing
from advisor.render import words
from harness.publish import numbers
from harness.publish.blocks import Block, Bullets, Fact, Facts, Paragraph, Section, Subheading
from harness.publish.text import joined

MOST = 3
"""Reasons for it, and answers that would change the advice, on this page."""
THOUSAND = 1000

_HEADLINES = {"very likely": "Advice: {name}", "likely": "Advice: {name}", "possible": "Advice: lean towards {name}"}
_LEADS = {
    "very likely": "Choose {name}: it is very likely the right approach, with odds of {odds}.",
    "likely": "Plan for {name}: it is likely the right approach, with odds {odds}.",
    "possible": "Lean towards {name}: it leads the other approaches, but is no more than possibly right (odds {odds}).",
}
_WEAK_HEADLINE = "Advice: {name}, if anything; nothing is settled"
_WEAK_LEAD = "Lean towards {name}, if anything: the answers so far do not settle which approach is right (odds {odds})."


def summary_section(advice: Advice) -> Section:
    """The section that the document opens with; its title is the headline."""
    best = advice.recommendation.standing(advice.recommendation.approach)
    blocks: tuple[Block, ...] = (
        Paragraph(_question(advice)),
        Paragraph(lead(best), lead=True),
        Paragraph(_what_speaks_for_it(best)),
        *_conflicts(advice),
        Facts((_odds(advice, best), _money(advice), _effort(advice)), key=True),
        Subheading("What would change our mind"),
        Bullets((*_changes(advice), _trial_change(best))),
        Subheading("Next step"),
        Paragraph(next_step(advice)),
    )
    return Section(headline(best), "advice", blocks)


def headline(best: Standing) -> str:
    """The advice in a few words, no bolder than its odds."""
    return _HEADLINES.get(best.band, _WEAK_HEADLINE).format(name=APPROACH_NAMES[best.approach])


def lead(best: Standing) -> str:
    """The recommendation in one sentence, no bolder than its odds."""
    said = _LEADS.get(best.band, _WEAK_LEAD)
    return said.format(name=APPROACH_NAMES[best.approach], odds=words.band_text(best.band))


def _question(advice: Advice) -> str:
    return (
        f"The question: for “{advice.title}”, should the model be prompted, given documents to read (RAG), fine-tuned, "
        "or several of these at once?"
    )


def _what_speaks_for_it(best: Standing) -> str:
    reasons = [vote.reason for vote in best.votes if vote.weight > 0][: MOST - 1]
    if not reasons:
        return (
            "No answer speaks for it in particular; it leads because nothing speaks more strongly for another approach."
        )
    return f"What speaks for it: {' '.join(reasons)}"


def _conflicts(advice: Advice) -> Iterator[Paragraph]:
    if advice.conflicts:
        yield Paragraph(
            "The data contradict something that was said; the section “The use case as answered” says what.", note=True
        )


def _odds(advice: Advice, best: Standing) -> Fact:
    second = advice.recommendation.runner_up
    remark = words.band_text(best.band)
    if second:
        remark += f"; runner-up: {APPROACH_NAMES[second]}, {advice.recommendation.standing(second).band}"
    return Fact("Odds that it is the right one", best.band, remark)


def _money(advice: Advice) -> Fact:
    """The first year at the volume that was named; where none was, 1,000 requests, which do not hang on it."""
    costs, bill = advice.costs, _bill(advice)
    when = f"estimate with prices of {numbers.date(costs.prices_date)}"
    known = volume_is_known(advice)
    if known or bill.per_request == 0:
        label = f"First year at {numbers.count(costs.requests_per_day)} requests a day"
        remark = "all included" if known else "all included, the volume assumed"
        return Fact(label, numbers.money(bill.first_year, costs.currency), f"{remark}; {when}")
    label = f"{numbers.count(THOUSAND)} requests"
    return Fact(label, numbers.money(THOUSAND * bill.per_request, costs.currency), f"running costs alone; {when}")


def _effort(advice: Advice) -> Fact:
    """Days of work to build it, which the bill names; where it does not, the money paid once."""
    bill, currency = _bill(advice), advice.costs.currency
    once = numbers.money(bill.once, currency)
    days = next((item.how.partition(" x ")[0] for item in bill.items if item.name == "building"), "")
    if not days:
        return Fact("To set it up", once, "paid once; an estimate")
    return Fact("Work to build it", days, f"{once} once with data, training and test; an estimate")


def _bill(advice: Advice) -> ApproachCost:
    return next(bill for bill in advice.costs.approaches if bill.approach == advice.recommendation.approach)


def volume_is_known(advice: Advice) -> bool:
    """Whether somebody said how many requests there will be."""
    return any(one.key == "requests_per_day" and one.value is not None for one in advice.answers)


def _changes(advice: Advice) -> Iterator[str]:
    """Answers that would change the advice, and an open question that may."""
    found = advice.sensitivity
    shown = found.flips[: MOST - 1] if len(found.flips) >= MOST else found.flips
    if not shown:
        yield "No other answer to a single question would change the advice."
    yield from (words.flip_text(flip) for flip in shown)
    named = {flip.key for flip in shown}
    open_ones = [one.key for one in found.open_questions if one.could_flip and one.key not in named]
    if open_ones and len(shown) < MOST:
        yield f"An answer to the open question that matters most: {words.question_text(open_ones[0])}"


def _trial_change(best: Standing) -> str:
    return (
        f"A trial on your own cases in which another approach is better than {APPROACH_NAMES[best.approach]} by a "
        "margin that was named before."
    )


def next_step(advice: Advice) -> str:
    """The trial, or what is missing for it."""
    names = joined([words.ARMS[arm][0] if arm in words.ARMS else arm for arm in advice.hypothesis.arms])
    if not can_be_tried(advice):
        return (
            "The data cannot put this advice on trial yet: close the gaps that the section “Data readiness” lists, "
            "then ask for the advice again."
        )
    return (
        "Put the advice on trial before anything is built on it: keep cases with right answers apart, let the "
        f"approaches answer them side by side ({names}), and decide by a rule that is fixed before."
    )


def can_be_tried(advice: Advice) -> bool:
    """Whether the arms that can run include one of the advised approach."""
    return bool(set(ARMS_OF[advice.hypothesis.approach]) & set(advice.hypothesis.arms))
