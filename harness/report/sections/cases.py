"""Section 8: every case with every arm's answer, grouped by which arms won it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from harness.publish import numbers
from harness.publish.blocks import (
    Block,
    CaseBrowser,
    CaseGroup,
    Column,
    Mark,
    Paragraph,
    Place,
    Section,
    ShownAnswer,
    ShownCase,
    ShownPassage,
    Table,
)
from harness.publish.text import joined
from harness.records import CaseScore, Passage, Prediction
from harness.report.data import ReportData
from harness.report.names import arm_label, arm_name, metric_title
from harness.scenario import Case

HIT = "hit_at_k"
"""Whether the right document was among those retrieved, 0 or 1."""
RIGHT = 0.5
"""A graded answer counts as right from here on, where failures are told apart."""
CLEAR_LEAD = 0.1
"""By how much an arm must be ahead of the next on a graded metric to count as the best on a case."""

_PER_CASE = ("accuracy", "exact_match", "exact_object", "field_f1", "token_f1", "chrf", "rouge_l")
_ROUNDING = 1e-9

ALL_RIGHT, NONE_RIGHT, EQUAL, NO_SCORE = "All right", "None right", "About equal", "No arm scored"


def cases_section(data: ReportData) -> Section:
    """How often each outcome came up, and the cases behind it."""
    if not data.arms or not data.cases:
        return Section("Every case", "cases", (Paragraph("No arm answered, so there are no answers to show."),))
    metric = case_metric(data)
    graded = metric is not None and is_graded(data, metric)
    groups = _grouped(data, metric, graded=graded)
    browser = CaseBrowser(groups, tuple(arm_label(arm) for arm in data.arms), _Passages(data.passages))
    blocks: list[Block] = [Paragraph(_rule(data, metric, graded=graded)), _counts(groups, len(data.cases)), browser]
    return Section("Every case", "cases", tuple(blocks), Place.DETAIL)


def case_metric(data: ReportData) -> str | None:
    """The rule's metric if single cases have it (macro F1, for one, they have not), else the nearest that they have."""
    found = data.case_table.metrics
    wanted = (data.verdict.metric, *_PER_CASE, *found)
    return next((metric for metric in wanted if metric in found), None)


def is_graded(data: ReportData, metric: str) -> bool:
    """Whether the metric knows more than right (1) and wrong (0)."""
    values = [column.values_of(metric) for column in data.case_table.columns.values()]
    return any(bool(((own != 0) & (own != 1) & ~np.isnan(own)).any()) for own in values)


def right_group(right: tuple[str, ...], arms: tuple[str, ...]) -> str:
    """Title of the cases that exactly the arms `right`, of all `arms`, got right."""
    if not right:
        return NONE_RIGHT
    if len(right) == len(arms):
        return ALL_RIGHT
    if len(right) > 1 and len(right) == len(arms) - 1:
        return f"All right but {next(arm_name(arm) for arm in arms if arm not in right)}"
    return f"Only {joined([arm_name(arm) for arm in right])} right"


def graded_group(values: dict[str, float]) -> str:
    """Title of a case by its scores: the best arm if it is ahead of the next by `CLEAR_LEAD` or more."""
    ranked = sorted(values, key=lambda arm: -values[arm])
    if not ranked or values[ranked[0]] <= 0:
        return NO_SCORE
    if len(ranked) > 1 and values[ranked[0]] - values[ranked[1]] >= CLEAR_LEAD - _ROUNDING:
        return f"Best: {arm_name(ranked[0])}"
    return EQUAL


def _grouped(data: ReportData, metric: str | None, *, graded: bool) -> tuple[CaseGroup, ...]:
    members: dict[str, array[int]] = {}
    for place, title in enumerate(_titles(data, metric, graded=graded)):
        members.setdefault(title, array("Q")).append(place)
    ordered = sorted(members, key=_group_order(data, members))
    return tuple(CaseGroup(title, _Cases(data, members[title], metric, graded)) for title in ordered)


def _titles(data: ReportData, metric: str | None, *, graded: bool) -> Iterator[str]:
    """Each case's group, in their order."""
    if metric is None or not data.real_arms:
        yield from ("All cases" for _ in data.cases)
        return
    columns = {arm: column for arm, column in data.case_table.columns.items() if arm in data.real_arms}
    found = {arm: (column.there, np.nan_to_num(column.values_of(metric))) for arm, column in columns.items()}
    arms = tuple(arm for arm in data.real_arms if arm in found)
    for place in range(len(data.cases)):
        values = {arm: float(found[arm][1][place]) for arm in arms if found[arm][0][place]}
        right = tuple(arm for arm, value in values.items() if value == 1)
        yield graded_group(values) if graded else right_group(right, tuple(values))


@dataclass(frozen=True, slots=True)
class _Cases(Sequence[ShownCase]):
    """Some of the cases as they are shown, each made when it is asked for."""

    data: ReportData
    places: Sequence[int]
    metric: str | None
    graded: bool

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> ShownCase: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ShownCase]: ...
    def __getitem__(self, index: int | slice) -> ShownCase | Sequence[ShownCase]:
        if isinstance(index, slice):
            return _Cases(self.data, self.places[index], self.metric, self.graded)
        return _shown_case(self.data, self.data.cases[self.places[index]], self.metric, graded=self.graded)


def _group_order(data: ReportData, members: Mapping[str, Sequence[int]]) -> Callable[[str], tuple[int, int, str]]:
    """All right, none right, then one winner in the arms' order, then the rest, largest first."""
    singles = [title.format(arm_name(arm)) for title in ("Only {} right", "Best: {}") for arm in data.real_arms]
    fixed = [ALL_RIGHT, NONE_RIGHT, *singles]
    return lambda title: (fixed.index(title) if title in fixed else len(fixed), -len(members[title]), title)


def _shown_case(data: ReportData, case: Case, metric: str | None, *, graded: bool) -> ShownCase:
    answers = tuple(_shown_answer(data, (case.id, arm), metric, graded=graded) for arm in data.arms)
    return ShownCase(case.id, case.input, case.accepted, answers)


def _shown_answer(data: ReportData, key: tuple[str, str], metric: str | None, *, graded: bool) -> ShownAnswer:
    scored, made = data.case_score_of.get(key), data.prediction_of.get(key)
    value = _value(scored, metric)
    answer = scored.answer if scored else ""
    return ShownAnswer(
        arm=arm_label(key[1]),
        mark=_mark(value, graded=graded),
        score=numbers.points(value) if graded else _right_or_wrong(value),
        value=value,
        answer=answer,
        raw=made.text if made and made.text.strip() != answer.strip() else "",
        remark=_remark(scored, made),
        trouble=bool((scored and scored.failed) or (made and made.finish in ("length", "error"))),
        passages=tuple(name for name in made.passages if name in data.passages) if made else (),
        kind=failure_kind(scored, made, value),
    )


def failure_kind(scored: CaseScore | None, made: Prediction | None, value: float | None) -> str:
    """What is wrong with an answer, in a few words; empty where nothing is."""
    if made is None:
        return "no answer recorded"
    if made.error:
        return "error"
    if scored is None or value is None or value >= RIGHT:
        return ""
    if scored.failed or made.finish == "length":
        return "nothing to read" if scored.failed else "cut off"
    return _wrong(scored)


def _wrong(scored: CaseScore) -> str:
    """What is wrong with a whole answer."""
    if scored.values.get("contains") == 1:
        return "right thing, wrong form"
    if HIT not in scored.values:
        return "wrong"
    return "document found, answer wrong" if scored.values[HIT] > 0 else "document not found"


def _value(scored: CaseScore | None, metric: str | None) -> float | None:
    return scored.values.get(metric) if scored and metric else None


def _mark(value: float | None, *, graded: bool) -> Mark:
    if value is None:
        return Mark.MISSING
    if graded:
        return Mark.GRADED
    return Mark.RIGHT if value == 1 else Mark.WRONG


def _right_or_wrong(value: float | None) -> str:
    return numbers.NOT_MEASURED if value is None else "right" if value == 1 else "wrong"


def _remark(scored: CaseScore | None, made: Prediction | None) -> str:
    if made is None:
        return "no answer was recorded"
    if made.error:
        return f"error: {made.error}"
    parts = ["cut off at the longest length"] if made.finish == "length" else []
    return "; ".join([*parts, "nothing in it that counts as an answer"] if scored and scored.failed else parts)


class _Passages(Mapping[str, ShownPassage]):
    """Passages as they are shown, each made when it is asked for."""

    def __init__(self, passages: Mapping[str, Passage]) -> None:
        self._passages = passages

    def __getitem__(self, name: str) -> ShownPassage:
        passage = self._passages[name]
        return ShownPassage(passage.title or passage.document_id, passage.text)

    def __iter__(self) -> Iterator[str]:
        return iter(self._passages)

    def __len__(self) -> int:
        return len(self._passages)


def _counts(groups: tuple[CaseGroup, ...], cases: int) -> Table:
    columns = (Column("Outcome"), Column("Cases", number=True), Column("Share", number=True))
    rows = tuple(
        (group.title, numbers.count(len(group.cases)), numbers.share(len(group.cases) / cases)) for group in groups
    )
    return Table("How often each outcome came up", columns, rows)


def _rule(data: ReportData, metric: str | None, *, graded: bool) -> str:
    if metric is None:
        return "No scores of single cases were kept, so the cases are not grouped."
    by = metric_title(metric)
    other = "" if metric == data.verdict.metric else f"{metric_title(data.verdict.metric)} has no value for one case. "
    if graded:
        best = f"Grouped by the arm that is best in {by}, where it leads the next by {numbers.gap(CLEAR_LEAD)} or more"
        return f"{other}{best}; otherwise “{EQUAL}”. The control is shown but not counted."
    return f"{other}Grouped by which arms were right in {by}. The control is shown but not counted."
