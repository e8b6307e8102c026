"""What a report is made of: the records of one run, and look-ups in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.lines import AllOf, Pairs
from harness.publish.client_file import TokenPrices
from harness.records import (
    CONTROL,
    LADDER,
    ArmScore,
    CaseScore,
    Cost,
    Finding,
    Passage,
    Prediction,
    Provenance,
    Recipe,
    StoredScenario,
    Verdict,
)
from harness.report.advice_file import AdviceFile
from harness.scenario import Case, DecisionRule
from harness.score_table import ScoreTable, table_of


@dataclass(frozen=True)  # no slots: the look-ups are cached in the instance
class ReportData:
    """Everything in a run folder that the report speaks of. Nothing here needs a model library.

    Of a large run, cases, predictions and passages are read from disk when they are asked for; scores are columns.
    """

    scenario: StoredScenario
    rule: DecisionRule
    cases: Sequence[Case]
    verdict: Verdict
    scores: tuple[ArmScore, ...]
    """All metrics, all arms."""
    case_scores: Sequence[CaseScore]
    predictions: Collection[Prediction]
    passages: Mapping[str, Passage]
    recipes: tuple[Recipe, ...]
    costs: tuple[Cost, ...]
    provenance: Provenance
    findings: tuple[Finding, ...] = ()
    """What the experiments found."""
    advice: AdviceFile | None = None
    """The advice that was given before, in words; brought by the reader of the run, not part of it."""
    prices: TokenPrices | None = None
    """The client's own prices."""
    others: tuple[ReportData, ...] = ()
    """Further runs to set beside this one."""

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """Arms that took part: best first on the rule's metric, then any others in ladder order."""
        ranked = [score.arm for score in self.verdict.scores]
        answers = self.predictions
        answering = answers.arms if isinstance(answers, AllOf) else {prediction.arm for prediction in answers}
        others = {*answering, *(score.arm for score in self.scores)}
        return (*ranked, *sorted(others - set(ranked), key=ladder_place))

    @property
    def endpoint(self) -> str:
        """Address of the server that answered; empty: the weights were on the run's machine."""
        return self.provenance.endpoint

    @cached_property
    def real_arms(self) -> tuple[str, ...]:
        """`arms` without the control."""
        return tuple(arm for arm in self.arms if arm != CONTROL)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that were scored, the rule's first."""
        found = dict.fromkeys(score.metric for score in self.scores)
        return tuple(sorted(found, key=lambda metric: metric != self.verdict.metric))

    @cached_property
    def score_of(self) -> dict[tuple[str, str], ArmScore]:
        """(arm, metric) -> score. The verdict's own scores come first, so that the two never disagree."""
        everything = (*self.scores, *self.verdict.scores)
        return {(score.arm, score.metric): score for score in everything}

    @cached_property
    def case_table(self) -> ScoreTable:
        """`case_scores` in columns."""
        return table_of(self.case_scores, self.cases)

    @cached_property
    def case_score_of(self) -> Mapping[tuple[str, str], CaseScore]:
        """(case id, arm) -> score of that answer."""
        return Pairs(self.case_table.columns)

    @cached_property
    def prediction_of(self) -> Mapping[tuple[str, str], Prediction]:
        """(case id, arm) -> raw answer."""
        if isinstance(self.predictions, AllOf):
            return Pairs(self.predictions.arms)
        return {(prediction.case_id, prediction.arm): prediction for prediction in self.predictions}

    @cached_property
    def cost_of(self) -> dict[str, Cost]:
        """Arm -> what it costs to run."""
        return {cost.arm: cost for cost in self.costs}

    @cached_property
    def recipe_of(self) -> dict[str, Recipe]:
        """Arm -> what it settled on dev."""
        return {recipe.arm: recipe for recipe in self.recipes}

    @cached_property
    def finding_of(self) -> dict[str, Finding]:
        """Experiment -> what it found."""
        return {finding.experiment: finding for finding in self.findings}

    @cached_property
    def shown_arm(self) -> str | None:
        """The recommended arm; without one, the best that is not the control; None if no arm was scored."""
        if self.verdict.arm is not None:
            return self.verdict.arm
        return next((score.arm for score in self.verdict.scores if score.arm != CONTROL), None)


def ladder_place(arm: str) -> tuple[int, str]:
    """Sort key: the ladder's order, then other arms by name, the control last."""
    if arm == CONTROL:
        return (len(LADDER) + 1, arm)
    return (LADDER.index(arm) if arm in LADDER else len(LADDER), arm)
