"""Reading an experiment back: what each variant answered, how that scores, and paired differences. No model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.experiment.score import clusters_of, score_cases
from harness.lines import by_name
from harness.metrics.form import FACTS, IN_FORM, in_form, longest_words
from harness.metrics.registry import metric_named
from harness.records import Measurement, Prediction, Reading, Recipe, Usage
from harness.scenario import Case, Kind
from harness.score_table import Column
from harness.stats.paired import Interval, mean_interval, paired_interval
from harness.store import RunFolder


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """Which arm under which condition a variant's folder holds."""

    arm: str
    condition: str
    number: int = 0
    """Its place in the experiment."""
    seed: int = 0
    size: float = 0.0
    failed: str = ""
    """Why it could not be prepared or answered; empty where it was."""


@dataclass(frozen=True, slots=True)
class Done:
    """How an experiment ended: `done.json`."""

    cannot: str = ""
    """What it lacks on this scenario; empty where it could be run."""
    broken: str = ""
    """Why it is not whole, such as an endpoint that was down: the next run tries again what is missing."""
    added_later: bool = False
    """It was asked for when a verdict was there already."""
    inputs: str = ""
    """Digest of what it reads beside the main run's input."""
    partly: bool = False
    """Where it is broken: in part only, and what was answered is reported."""


@dataclass(frozen=True)  # no slots: the scores are cached in the instance
class Answered:
    """A variant's answers."""

    record: VariantRecord
    cases: Sequence[Case]
    predictions: Mapping[str, Prediction]
    recipe: Recipe | None
    usage: tuple[Usage, ...]
    kind: Kind
    labels: tuple[str, ...]
    keys: tuple[str, ...] = ()
    words: int = 0
    """Words of the longest answer in form."""

    @property
    def arm(self) -> str:
        """The arm."""
        return self.record.arm

    @property
    def condition(self) -> str:
        """The condition that it answered under."""
        return self.record.condition

    @property
    def complete(self) -> bool:
        """Whether every case has an answer or an error."""
        return not self.record.failed and bool(self.cases) and all(c.id in self.predictions for c in self.cases)

    @cached_property
    def scores(self) -> Column:
        """Case id -> score."""
        table = score_cases(self.cases, {self.arm: self.predictions}, self._forms(), kind=self.kind, labels=self.labels)
        return table.columns[self.arm]

    def _forms(self) -> Iterator[Measurement]:
        """Form is read off the raw answer, so it needs no model here either."""
        if self.kind not in FACTS:
            return
        for name, made in self.predictions.items():
            good = in_form(made.text, kind=self.kind, labels=self.labels, keys=self.keys, words=self.words)
            yield Measurement(name, self.arm, IN_FORM, float(good))

    def values(self, metric: str) -> dict[str, float]:
        """Case id -> value of the metric."""
        found, ids = self.scores.values_of(metric), self.scores.roll.ids
        return {ids[place]: float(found[place]) for place in np.flatnonzero(~np.isnan(found))}

    @property
    def seconds(self) -> float:
        """Preparing and answering."""
        return sum(one.seconds for one in self.usage)

    def seconds_of(self, stage: str) -> float:
        """`prepare` or `answer`."""
        return sum(one.seconds for one in self.usage if one.stage == stage)


@dataclass(frozen=True)  # no slots: look-ups are cached
class Evidence:
    """Everything that an experiment's finding may rest on."""

    folder: RunFolder
    experiment: str

    @property
    def home(self) -> RunFolder:
        """The experiment's own folder."""
        return RunFolder(self.folder.path / "experiments" / self.experiment)

    @property
    def done(self) -> Done:
        """How the experiment ended."""
        return self.home.read("done.json", Done) if self.home.has("done.json") else Done()

    @cached_property
    def kind(self) -> Kind:
        """What answers look like."""
        return Kind(self.folder.scenario().kind)

    @cached_property
    def metric(self) -> str:
        """The rule's metric."""
        return self.folder.rule().rule.metric

    @property
    def is_share(self) -> bool:
        """Whether the rule's metric is a share of right answers."""
        return metric_named(self.metric).right_or_wrong

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        """The main run's eval cases by id."""
        cases = self.folder.cases()
        return by_name(cases, (case.id for case in cases))

    @cached_property
    def words(self) -> int:
        """Words of the longest answer in form."""
        return longest_words(self.folder.cases())

    @cached_property
    def clusters(self) -> tuple[str, ...] | None:
        """The main run's cases by group; None where every case stands for itself."""
        return clusters_of(self.folder.cases())

    @cached_property
    def variants(self) -> tuple[Answered, ...]:
        """What was answered, in the order of its making; failed ones included, unfinished ones not."""
        found = []
        for path in sorted(self.home.path.glob("*/variant.json")):
            one = self._answered(RunFolder(path.parent))
            if one.complete or one.record.failed:
                found.append(one)
        return tuple(sorted(found, key=lambda one: (one.record.number, one.arm, one.condition)))

    def of(self, condition: str) -> dict[str, Answered]:
        """Arm -> its complete answers under this condition."""
        return {v.arm: v for v in self.variants if v.condition == condition and v.complete}

    @cached_property
    def main(self) -> dict[str, Answered]:
        """Arm -> its answers in the main run."""
        stored = self.folder.scenario()
        recipes = {recipe.arm: recipe for recipe in self.folder.recipes()}
        out = {left.arm for left in self.folder.left_out()}
        return {
            arm: Answered(
                VariantRecord(arm, "as run"),
                self._answered_of(predictions),
                predictions,
                recipes.get(arm),
                tuple(u for u in self.folder.usage() if u.arm == arm),
                self.kind,
                stored.labels,
                stored.keys,
                self.words,
            )
            for arm, predictions in self.folder.predictions().items()
            if arm not in out
        }

    def _answered_of(self, predictions: Mapping[str, Prediction]) -> Sequence[Case]:
        """The cases that are answered; all of them, as a rule."""
        cases = self.folder.cases()
        return cases if all(c.id in predictions for c in cases) else tuple(c for c in cases if c.id in predictions)

    def _answered(self, place: RunFolder) -> Answered:
        record, stored = place.read("variant.json", VariantRecord), self.folder.scenario()
        return Answered(
            record,
            place.cases() if place.has("cases.jsonl") else (),
            place.predictions().get(record.arm, {}),
            place.recipe(record.arm),
            place.usage(),
            self.kind,
            stored.labels,
            stored.keys,
            self.words,
        )

    # statistics, all by the run's own rule

    def mean(self, values: Mapping[str, float], *, right_or_wrong: bool) -> Interval:
        """Mean with its interval; groups of cases count as the run's rule has them."""
        rule, ids = self.folder.rule().rule, list(values)
        return mean_interval(
            [values[name] for name in ids],
            alpha=rule.alpha,
            right_or_wrong=right_or_wrong,
            resamples=rule.resamples,
            seed=rule.seed,
            clusters=self._clusters(ids),
        )

    def difference(self, first: Mapping[str, float], second: Mapping[str, float]) -> Interval:
        """Mean paired difference, first minus second, on the cases that both have."""
        rule, ids = self.folder.rule().rule, [name for name in first if name in second]
        gaps = np.array([first[name] - second[name] for name in ids])
        return paired_interval(
            gaps, alpha=rule.alpha, resamples=rule.resamples, seed=rule.seed, clusters=self._clusters(ids)
        )

    def reading(self, one: Answered, *, metric: str = "", condition: str = "") -> Reading:
        """A variant's mean on a metric (the rule's) as a row."""
        name = metric or self.metric
        share = metric_named(name).right_or_wrong
        found = self.mean(one.values(name), right_or_wrong=share)
        return Reading(
            one.arm,
            condition or one.condition,
            name,
            found.estimate,
            found.low,
            found.high,
            n=len(one.cases),
            failed=int(one.scores.failed.sum()),
            unit="share" if share else "points",
        )

    def failures(self) -> tuple[str, ...]:
        """A sentence for every variant that could not be prepared or answered."""
        return tuple(
            f"{v.arm} under “{v.condition}” could not be run: {v.record.failed}"
            for v in self.variants
            if v.record.failed
        )

    @property
    def seconds(self) -> float:
        """What the variants took."""
        return sum(v.seconds for v in self.variants)

    def _clusters(self, ids: Sequence[str]) -> tuple[str, ...] | None:
        known = [self.cases.get(name.split("~")[0]) for name in ids]
        cases = [case for case in known if case is not None]
        return clusters_of(cases) if len(cases) == len(ids) else None
