"""A judge: a model that compares two answers, both orders, blinded. A second opinion, never the only metric.

With people's labels in `human_labels.jsonl` its agreement with them is measured; below kappa 0.6 it decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

from harness.errors import ArmFailed
from harness.experiment.probes.base import Effort, Ground, PartlyAnswered, Variant, share_of_cases
from harness.experiment.probes.read import Evidence
from harness.experiment.wording import name_of
from harness.generation.isolation import completed, said
from harness.judging.judge import Judgment, Question, judge_pairs
from harness.judging.prompt import VERDICT
from harness.judging.tally import HumanLabel, PairTally, tally
from harness.models.base import TextModel
from harness.models.endpoint_ledger import BudgetSpent, Ledger, Prices
from harness.publish import numbers
from harness.records import CONTROL, Finding, Reading
from harness.scenario import JudgeWish, Scenario
from harness.store import RunFolder

MOST_ARMS = 3
"""The best so many arms are judged, each pair of them."""
MOST_TOKENS = 16
AT_ONCE = 64
"""Comparisons asked for before their judgments are on disk: more are not lost when a session is interrupted."""
UNDER_WAY = "judged.jsonl"
"""Judgments of a session that has not ended."""
EVEN = 0.5
"""The win rate of two arms that the judge does not tell apart."""


class JudgeProbe:
    """The best arms' answers in pairs."""

    name = "judge"
    question = "What does a judge say?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs two arms."""
        return None if len(arms) > 2 else "fewer than two arms took part"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Two prompts a case and pair."""
        pairs = min(len(arms) - 1, MOST_ARMS) * (min(len(arms) - 1, MOST_ARMS) - 1) // 2
        return Effort(0.0, 2 * pairs * share_of_cases(scenario, quick=quick), "pairs of answers, both orders, blinded")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """None: the judge reads the main run's answers. What it says is kept beside them.

        Raises:
            PartlyAnswered: some comparisons got no reply; those that did are kept.
        """
        home = RunFolder(ground.folder.path / "experiments" / self.name)
        home.path.mkdir(parents=True, exist_ok=True)
        home.mend()
        rows = [HumanLabel(one.case_id, one.first, one.second, one.label) for one in ground.scenario.human_labels]
        home.write("labels.json", rows)
        model, name = _judge(ground, home)
        home.write("judge.json", name)
        _judge_what_is_left(ground, model, home)
        yield from ()

    def finding(self, evidence: Evidence) -> Finding:
        """Win rates, position bias, agreement with people, and what standing that gives the judge."""
        home = RunFolder(evidence.home.path)
        made = tuple(home.lines("judgments.jsonl", Judgment))
        if evidence.done.broken and not any(judgment.asked for judgment in made):
            return Finding(self.name, ())
        labels = home.read("labels.json", tuple[HumanLabel, ...])
        return judge_finding(evidence, made, labels, judge=home.read("judge.json", str))


def _judge(ground: Ground, home: RunFolder) -> tuple[TextModel, str]:
    wish = ground.scenario.experiments.judge
    if wish.endpoint and wish.model:
        return _far_judge(wish, wish.endpoint, wish.model, home), f"{wish.model} (endpoint)"
    if wish.model:
        from harness.engines.local import LocalEngine

        engine = LocalEngine(wish.model)
        return engine.model, engine.identity.name
    return ground.bench.model, f"{ground.bench.model.description.name} (the model on trial)"


def _far_judge(wish: JudgeWish, url: str, model: str, home: RunFolder) -> TextModel:
    """A judge at an endpoint of its own, with a budget of its own; what is paid is kept beside its judgments."""
    from harness.models.endpoint import EndpointModel, EndpointState

    prices = None
    if wish.price_in is not None and wish.price_out is not None:
        prices = Prices(wish.price_in, wish.price_out, wish.currency)
    ledger = Ledger(prices, limit=wish.max_cost, currency=wish.currency)
    ledger.open(home)
    return EndpointModel(url, model, api_key_env=wish.key_variable, state=EndpointState(ledger=ledger))


def _judge_what_is_left(ground: Ground, model: TextModel, home: RunFolder) -> None:
    """Ask for the comparisons that have no judgment yet; only those that the judge replied to are stored."""
    questions, failures = _questions(ground), list[Exception]()
    files = ("judgments.jsonl", UNDER_WAY)
    known = {_key(judgment): judgment for name in files for judgment in home.lines(name, Judgment)}
    left = [question for question in questions if _key(question) not in known]
    for start in range(0, len(left), AT_ONCE):
        try:
            made = judge_pairs(
                model,
                left[start : start + AT_ONCE],
                instruction=ground.scenario.instruction,
                ask=lambda prompts: _ask(model, prompts, failures),
            )
        except BudgetSpent:
            if ground.scenario.experiments.judge.endpoint is None:  # it is the run's own budget
                raise
            limit = "its own budget (max_cost under [judge]) is spent; with a higher one the same command goes on"
            failures.insert(0, ArmFailed(limit))
            break
        home.append(UNDER_WAY, made)
        known |= {_key(judgment): judgment for judgment in made}
        ground.watcher.progress(len(known), len(questions))
    home.write_lines("judgments.jsonl", [known[_key(q)] for q in questions if _key(q) in known])
    (home.path / UNDER_WAY).unlink(missing_ok=True)
    missing = sum(_key(question) not in known for question in questions)
    if missing:
        raise PartlyAnswered(
            f"the judge did not reply to {missing:,} of {len(questions):,} comparisons ({said(failures[0])})"
        )


def _key(one: Question | Judgment) -> tuple[str, str, str]:
    return one.case_id, one.first_arm, one.second_arm


def _questions(ground: Ground) -> list[Question]:
    shown = _best(ground)
    predictions, cases = ground.folder.predictions(), ground.cases
    labelled = {(label.case_id, *sorted((label.first, label.second))) for label in ground.scenario.human_labels}
    wanted = {c.id for c in cases} | {name for name, *_ in labelled}
    return [
        Question(
            c.id, c.input, c.accepted, first, predictions[first][c.id].text, second, predictions[second][c.id].text
        )
        for first, second in combinations(shown, 2)
        for c in ground.scenario.cases
        if c.id in wanted and c.id in predictions[first] and c.id in predictions[second]
    ]


def _ask(model: TextModel, prompts: Sequence[str], failures: list[Exception]) -> list[str | None]:
    """The judge's replies, None where it failed; what failed is added to `failures`."""
    job = model.start(prompts, max_new_tokens=MOST_TOKENS, stop=VERDICT)
    found: dict[int, str | None] = {}
    for batch in job.batches:
        for place, made in completed(job, batch).items():
            found[place] = None if isinstance(made, Exception) else made.text
            failures += [made] if isinstance(made, Exception) else []
    return [found[place] for place in range(len(prompts))]


def _best(ground: Ground) -> list[str]:
    """The arms with the highest means, best first, and those that people compared."""
    evidence = Evidence(ground.folder, JudgeProbe.name)
    means = {
        arm: sum(run.values(evidence.metric).values()) / max(1, len(run.cases))
        for arm, run in evidence.main.items()
        if arm != CONTROL and arm in ground.arms
    }
    named = [arm for label in ground.scenario.human_labels for arm in (label.first, label.second) if arm in means]
    ranked = sorted(means, key=lambda arm: -means[arm])[:MOST_ARMS]
    return list(dict.fromkeys([*ranked, *named]))


def judge_finding(evidence: Evidence, made: Sequence[Judgment], labels: Sequence[HumanLabel], *, judge: str) -> Finding:
    """What the judgments come to."""
    rule = evidence.folder.rule().rule
    groups = {name: case.group for name, case in evidence.cases.items() if case.group is not None}
    found = tally(made, labels=labels, alpha=rule.alpha, resamples=rule.resamples, seed=rule.seed, groups=groups)
    wins = tuple(_sentence(pair) for pair in found.pairs)
    reasons = (f"The judge was {judge}. {found.standing.reasons[0]}", *found.standing.reasons[1:])
    readings = [_win_rate(pair) for pair in found.pairs]
    bias = found.bias
    readings.append(Reading("judge", "both orders", "position", bias.share, bias.low, bias.high, n=bias.compared))
    if found.agreement is not None:
        kappa = found.agreement
        readings.append(
            Reading("judge", "people", "kappa", kappa.kappa, kappa.low, kappa.high, n=kappa.labels, unit="ratio")
        )
    readings = [reading for reading in readings if not math.isnan(reading.value)]
    bearing = wins if found.standing.trusted else reasons[:1]
    return Finding("judge", (*reasons, *wins), tuple(readings), evidence.seconds, bearing=bearing)


def _sentence(pair: PairTally) -> str:
    """A preference only where the interval of the win rate excludes one half, and how much could not be read."""
    first, second, read = name_of(pair.first_arm), name_of(pair.second_arm), pair.wins + pair.losses + pair.ties
    if not read:
        return (
            f"The judge gave no verdict that could be read in any of {pair.unreadable:,} comparisons of {first} with "
            f"{second}."
        )
    rate, low, high = pair.win_rate, pair.low, pair.high
    if high < EVEN:  # told from the side of the arm that is preferred
        first, second, rate, low, high = second, first, 1 - rate, 1 - high, 1 - low
    span = f"{numbers.share(low)} to {numbers.share(high)}"
    often = f"in {numbers.share(rate)} of {read:,} comparisons, ties counted half ({span})."
    text = (
        f"The judge prefers {first} to {second} {often}"
        if low > EVEN
        else f"The judge shows no preference between {first} and {second}: {first} is preferred {often}"
    )
    return text + _unread(pair, of=read + pair.unreadable)


def _unread(pair: PairTally, *, of: int) -> str:
    """How many comparisons are in no rate."""
    if not pair.unreadable:
        return ""
    gave = "1 gave" if pair.unreadable == 1 else f"{pair.unreadable:,} gave"
    left = "is" if pair.unreadable == 1 else "are"
    return f" Of {of:,} comparisons {gave} no verdict that could be read and {left} left out."


def _win_rate(pair: PairTally) -> Reading:
    n = pair.wins + pair.losses + pair.ties
    return Reading(
        pair.first_arm, f"against {name_of(pair.second_arm)}", "win rate", pair.win_rate, pair.low, pair.high, n=n
    )
