"""A run as flat tables: one row a case and arm, a score, a pair of arms, an arm's cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import NoneType
from typing import get_args, get_type_hints

from harness.records import ArmScore, Comparison, Cost, Prediction
from harness.report.data import ReportData

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FlatTable:
    """Rows with the same columns."""

    name: str
    columns: dict[str, type]
    """Each column's type, `str`, `int`, `float` or `bool`; any may be None in a row, or in all."""
    rows: Iterable[dict[str, Cell]]
    """Made when they are asked for, each time anew."""


def flat_tables(runs: Sequence[ReportData]) -> tuple[FlatTable, ...]:
    """`predictions`, `scores`, `comparisons` and `costs` of all runs; the column `run` says whose row it is.

    Every table has the same columns in each row; a metric that a run did not score is None there.
    """
    makers = {"predictions": _predictions, "scores": _scores, "comparisons": _comparisons, "costs": _costs}
    names = run_names(runs)
    metrics = dict.fromkeys(f"metric_{name}" for data in runs for name in data.case_table.metrics)
    columns = COLUMNS | {"predictions": COLUMNS["predictions"] | dict.fromkeys(metrics, float)}
    named = tuple(zip(names, runs, strict=True))
    found = []
    for name, make in makers.items():
        own = {"run": str, **columns[name]}
        found.append(FlatTable(name, own, _Rows(make, named, tuple(own))))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table over all runs."""

    make: Callable[[ReportData], Iterator[dict[str, Cell]]]
    runs: Sequence[tuple[str, ReportData]]
    columns: Sequence[str]

    def __iter__(self) -> Iterator[dict[str, Cell]]:
        for name, data in self.runs:
            for row in self.make(data):
                whole = {"run": name, **row}
                yield {column: whole.get(column) for column in self.columns}


def _types(record: type) -> dict[str, type]:
    """Fields of a record and the type of each that is not None."""
    hints = get_type_hints(record).items()
    return {name: next(one for one in get_args(hint) or (hint,) if one is not NoneType) for name, hint in hints}


COLUMNS: dict[str, dict[str, type]] = {
    "predictions": {
        "case_id": str,
        "arm": str,
        "input": str,
        "expected": str,
        "group": str,
        "text": str,
        "answer": str,
        "failed": bool,
        "tokens_in": int,
        "tokens_out": int,
        "seconds": float,
        "finish": str,
        "error": str,
        "passages": str,
    },
    "scores": {**_types(ArmScore), "decides": bool},
    "comparisons": _types(Comparison),
    "costs": _types(Cost),
}
"""Columns of each table beside `run`; `predictions` has one more for each metric."""


def run_names(runs: Sequence[ReportData]) -> tuple[str, ...]:
    """What each run is called: its scenario and the moment it began; a number where two would be alike."""
    names: list[str] = []
    for data in runs:
        name = f"{data.scenario.name} {data.provenance.started}"
        alike = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({alike + 1})" if alike else name)
    return tuple(names)


def _predictions(data: ReportData) -> Iterator[dict[str, Cell]]:
    answers = ((case, data.prediction_of.get((case.id, arm))) for arm in data.arms for case in data.cases)
    for case, one in answers:
        if one is None:
            continue
        score = data.case_score_of.get((one.case_id, one.arm))
        yield {
            "case_id": one.case_id,
            "arm": one.arm,
            "input": case.input,
            "expected": case.output,
            "group": case.group,
            "text": one.text,
            "answer": score.answer if score else None,
            "failed": score.failed if score else one.error is not None,
            **_prediction_facts(one),
            **{f"metric_{name}": value for name, value in (score.values if score else {}).items()},
        }


def _prediction_facts(one: Prediction) -> dict[str, Cell]:
    return {
        "tokens_in": one.tokens_in,
        "tokens_out": one.tokens_out,
        "seconds": one.seconds,
        "finish": one.finish,
        "error": one.error,
        "passages": "\n".join(one.passages) or None,
    }


def _scores(data: ReportData) -> Iterator[dict[str, Cell]]:
    for one in data.score_of.values():
        yield asdict(one) | {"decides": one.metric == data.verdict.metric}


def _comparisons(data: ReportData) -> Iterator[dict[str, Cell]]:
    for one in data.verdict.comparisons:
        yield asdict(one)


def _costs(data: ReportData) -> Iterator[dict[str, Cell]]:
    for one in data.costs:
        yield asdict(one)
