"""The first page: the question, the recommendation, three numbers, what would change our mind, the next step."""

from __future__ import annotations

from collections.abc import Iterator

from harness.publish import numbers
from harness.publish.blocks import Block, Bullets, Fact, Facts, Paragraph, Section, Subheading
from harness.publish.text import joined
from harness.records import CONTROL, Comparison, Reading, VerdictKind, seen_from
from harness.report.data import ReportData
from harness.report.names import approach_in_sentence, arm_in_sentence, arm_name, metric_title
from harness.report.prices import own_machines, priced
from harness.report.sections import verdict

MOST_REASONS = 4
"""Things that would change our mind, on the first page."""
THOUSAND = 1000

_ARE_EDITED = ("prompt", "few_shot")
_ARE_INDEXED = ("rag",)
_ARE_TRAINED = ("lora", "rag_lora", "lora_documents", "full_tuning", "classifier")
_TIME = "time to update"
_STALE = "nothing updated"


def summary_section(data: ReportData) -> Section:
    """The section that the report opens with; its title is the headline."""
    first, *_ = (*data.verdict.sentences, verdict.headline(data.verdict) + ".")
    notes = (verdict.exploratory_note(data.verdict), verdict.QUICK_NOTE if data.scenario.quick else None)
    relation = " ".join(part for part in (verdict.advice_sentence(data.verdict.advice), _not_on_trial(data)) if part)
    blocks: list[Block] = [
        Paragraph(question(data)),
        Paragraph(first, lead=True),
        *([Paragraph(relation)] if relation else []),
        Facts(three_facts(data), key=True),
        *(Paragraph(note) for note in notes if note),
        *(Paragraph(caution, note=True) for caution in data.verdict.cautions),
        Subheading("What would change our mind"),
        Bullets(reasons_to_change(data)),
        Subheading("Next step"),
        Paragraph(next_step(data)),
    ]
    return Section(verdict.headline(data.verdict), "verdict", tuple(blocks))


def question(data: ReportData) -> str:
    """What was asked."""
    title = data.advice.title if data.advice else data.scenario.name
    return (
        f"The question: for “{title}”, should the model be prompted, given documents to read (RAG), fine-tuned, or "
        "several of these at once?"
    )


def _not_on_trial(data: ReportData) -> str | None:
    """Of an advice that this run cannot confirm or refute; None where there is none."""
    if data.advice is None:
        return None
    tried = data.verdict.advice.advised
    if tried is not None:
        brought = approach_in_sentence(data.advice.approach)
        other = f"The advice that this report takes over is another one: {brought}. It was not on trial."
        return other if tried != data.advice.approach else None
    advised, day = approach_in_sentence(data.advice.approach), numbers.date(data.advice.created)
    return (
        f"The advice was {advised}. It is dated {day}, after this run began, so this trial neither confirms nor "
        "refutes it."
    )


def three_facts(data: ReportData) -> tuple[Fact, ...]:
    """Quality with its interval, the cost of 1,000 requests, the time to update."""
    arm = data.shown_arm
    if arm is None:
        return (Fact("Recommended arm", "none"),)
    return (verdict.score_fact(data, arm), cost_fact(data, arm), update_fact(data, arm))


def cost_fact(data: ReportData, arm: str) -> Fact:
    """Money for 1,000 requests where prices are known, else their tokens."""
    label = f"{numbers.count(THOUSAND)} requests of {arm_in_sentence(arm)}"
    cost, prices = data.cost_of.get(arm), priced(data)
    if cost is None or not numbers.is_measured(cost.tokens_in, cost.tokens_out):
        return Fact(label, numbers.NOT_MEASURED)
    tokens = f"{numbers.mean_count(cost.tokens_in)} tokens read and {numbers.mean_count(cost.tokens_out)} written each"
    if prices is None or arm not in prices.arms:
        total = numbers.count(THOUSAND * (cost.tokens_in + cost.tokens_out))
        why = "there is no price for this arm" if prices else _why_without_price(data)
        return Fact(label, f"{total} tokens", f"{tokens}; {why}")
    price = prices.arms[arm]
    model = f", as a {price.model}" if price.model else ""
    return Fact(label, numbers.money(THOUSAND * price.request, prices.currency), f"{tokens}{model}, at {prices.source}")


def _why_without_price(data: ReportData) -> str:
    if data.advice and own_machines(data.advice.bills):
        return "the machines are the client's own, and the appendix has their bill"
    return "no prices were given"


def update_fact(data: ReportData, arm: str) -> Fact:
    """How long it takes until a changed fact is in the answers."""
    label = "Time to take in a change"
    measured = _fastest_update(data, arm)
    if measured is not None:
        return Fact(label, numbers.seconds(measured.value), f"{measured.condition}; measured on changed documents")
    if arm in _ARE_TRAINED:
        seconds = data.cost_of[arm].train_seconds if arm in data.cost_of else None
        return Fact(label, numbers.seconds(seconds or None), "to train it anew, once the examples are there")
    if arm in _ARE_EDITED:
        return Fact(label, "an edit", "the text of the prompt is changed; nothing is trained or indexed")
    if arm in _ARE_INDEXED:
        return Fact(label, numbers.NOT_MEASURED, "a new index; the experiment facts_change measures it")
    return Fact(label, numbers.NOT_MEASURED, "new examples are put into its index")


def _fastest_update(data: ReportData, arm: str) -> Reading | None:
    """The time of the fastest update after which the arm is shown to score higher than with nothing updated."""
    finding = data.finding_of.get("facts_change")
    own = [reading for reading in finding.readings if reading.arm == arm] if finding else []
    scores = {reading.condition: reading for reading in own if reading.measure == data.verdict.metric}
    before = scores.get(_STALE)
    helped = {name for name, one in scores.items() if before and one.low is not None and one.low > before.value}
    times = [reading for reading in own if reading.measure == _TIME and reading.condition in helped]
    return min(times, key=lambda reading: reading.value, default=None)


def reasons_to_change(data: ReportData) -> tuple[str, ...]:
    """What would change the recommendation, the likeliest first; each rests on a number of this report."""
    found = [*_open_gap(data), *_narrow_lead(data), *_other_metrics(data), *_weights(data), *_answers(data)]
    return (*found[: MOST_REASONS - 1], _another_model(data))


def _open_gap(data: ReportData) -> Iterator[str]:
    settled = verdict.settling(data)
    if settled:
        yield settled


def _narrow_lead(data: ReportData) -> Iterator[str]:
    """The strongest rival, and by how little it may be behind; in a tie, by how much it would have to be ahead."""
    pair = closest_rival(data)
    if pair is None or data.verdict.kind not in (VerdictKind.WINNER, VerdictKind.TIE):
        return
    margin = numbers.gap(data.verdict.margin)
    if data.verdict.kind is VerdictKind.TIE:
        pair = seen_from(pair, pair.second)
        lead = numbers.difference_interval(pair.difference, pair.low, pair.high)
        yield (
            f"New cases on which {arm_in_sentence(pair.first)} is ahead of {arm_in_sentence(pair.second)} by the "
            f"{margin} that count; in this trial it was {lead}."
        )
        return
    lead = numbers.difference_interval(pair.difference, pair.low, pair.high)
    yield (
        f"New cases on which {arm_in_sentence(pair.first)} is not ahead of {arm_in_sentence(pair.second)} by the "
        f"{margin} that count; in this trial it was {lead}."
    )


def closest_rival(data: ReportData) -> Comparison | None:
    """The recommended (or best) arm against the strongest of the others, the difference as the first minus the other;
    None where there is no such pair."""
    arm = data.shown_arm
    if arm is None:
        return None
    for rival in (score.arm for score in data.verdict.scores if score.arm not in (arm, CONTROL)):
        for pair in data.verdict.comparisons:
            if {pair.first, pair.second} == {arm, rival}:
                return seen_from(pair, arm)
    return None


def _other_metrics(data: ReportData) -> Iterator[str]:
    """Metrics by which the same rule would recommend another arm."""
    others = [one for one in data.verdict.under_other_metrics if one.arm and one.arm != data.verdict.arm]
    if others and data.verdict.arm:
        said = joined([f"{metric_title(one.metric)} ({arm_name(one.arm or '')})" for one in others])
        yield f"Judging by another metric: the same rule recommends another arm by {said}."


def _weights(data: ReportData) -> Iterator[str]:
    standing = data.verdict.standing
    if standing is None or data.verdict.arm is None:
        return
    best = max(standing.totals, key=lambda arm: standing.totals[arm])
    if best != data.verdict.arm:
        name, chance = arm_in_sentence(best), numbers.share(standing.best_probability[best])
        yield f"All criteria weighed together: then {name} comes first, with a probability of {chance}."
        return
    total = sum(standing.weights.values())
    others = [one for one in standing.reversals if one.arm != best]
    if others:
        nearest = min(others, key=lambda one: abs(one.weight - standing.weights[one.criterion] / total))
        now = standing.weights[nearest.criterion] / total
        way = "More" if nearest.weight > now else "Less"
        at, instead = numbers.share(nearest.weight), numbers.share(now)
        where = f"at {at} instead of {instead}" if at != instead else f"a little {way.lower()} than {instead}"
        first = arm_in_sentence(nearest.arm)
        yield f"{way} weight on {nearest.criterion}: {where} {first} comes first among all criteria."


def _answers(data: ReportData) -> Iterator[str]:
    """Answers about the use case that would change the advice, in its own words; none where the trial has decided."""
    if data.verdict.kind in (VerdictKind.WINNER, VerdictKind.TIE):
        return
    section = data.advice.section("changes") if data.advice else None
    for block in section.blocks if section else ():
        if isinstance(block, Bullets):
            yield from block.items[:1]
            return


def _another_model(data: ReportData) -> str:
    return f"Another model: all of this was measured with {data.provenance.model} and holds for it alone."


def next_step(data: ReportData) -> str:
    """What to do now, by what the trial came to."""
    if data.verdict.kind is VerdictKind.COULD_NOT_COMPARE:
        return _mend_the_trial(data)
    if data.verdict.exploratory and data.verdict.kind is not VerdictKind.NOT_ENOUGH_CASES:
        return "Confirm the verdict on cases that nobody has seen answers to, under a rule that is fixed before."
    if data.scenario.quick and data.verdict.kind is not VerdictKind.NOT_ENOUGH_CASES:
        return "Run the full trial (this one was a quick first look); then decide."
    return {
        VerdictKind.WINNER: _build,
        VerdictKind.TIE: _take_the_cheapest,
        VerdictKind.NONE_USEFUL: _mend_first,
        VerdictKind.NOT_ENOUGH_CASES: _more_cases,
    }.get(data.verdict.kind, _mend_the_trial)(data)


def _build(data: ReportData) -> str:
    name = arm_in_sentence(data.verdict.arm or "")
    return (
        f"Build {name} as it was set up here (the appendix has every setting), let it answer real requests beside the "
        f"present way of working, and keep these {numbers.counted(len(data.cases), 'case')} as the test that every "
        "change must pass."
    )


def _take_the_cheapest(data: ReportData) -> str:
    if data.verdict.arm is None:
        return "Choose by cost, speed and upkeep: quality does not tell these arms apart."
    return (
        f"Start with {arm_in_sentence(data.verdict.arm)}, the cheapest of the arms that do the job equally well, and "
        "come back to the others only if real requests turn out harder than these cases."
    )


def _mend_first(data: ReportData) -> str:
    return (
        "Build none of these yet. Read the cases that no arm got right, decide whether the model or the data fall "
        "short, and try a larger model or better examples before the next trial."
    )


def _more_cases(data: ReportData) -> str:
    needed = data.verdict.cases_needed
    again = "run the full trial" if data.scenario.quick else "run the trial again"
    if needed is None:
        return f"Collect more cases of the same kind, then {again}; nothing need be set up anew."
    more = max(1, needed - len(data.cases))
    return (
        f"Collect about {numbers.counted(more, 'more case', 'more cases')} of the same kind, then {again}; until then "
        "take the cheapest arm that is good enough, and call it provisional."
    )


def _mend_the_trial(data: ReportData) -> str:
    return "Mend what stopped the arms (the appendix says what), then run it again."
