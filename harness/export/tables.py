"""A run as flat tables: one row a case and arm, a score, a pair of arms, an arm's cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from harness.records import Prediction
from harness.report.data import ReportData

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FlatTable:
    """Rows with the same columns."""

    name: str
    rows: tuple[dict[str, Cell], ...]


def flat_tables(runs: Sequence[ReportData]) -> tuple[FlatTable, ...]:
    """`predictions`, `scores`, `comparisons` and `costs` of all runs; the column `run` says whose row it is.

    Every table has the same columns in each row; a metric that a run did not score is None there.
    """
    makers = {"predictions": _predictions, "scores": _scores, "comparisons": _comparisons, "costs": _costs}
    names = run_names(runs)
    found = []
    for name, make in makers.items():
        rows: list[dict[str, Cell]] = [
            {"run": run, **row} for run, data in zip(names, runs, strict=True) for row in make(data)
        ]
        columns = dict.fromkeys(column for row in rows for column in row)
        found.append(FlatTable(name, tuple({column: row.get(column) for column in columns} for row in rows)))
    return tuple(found)


def run_names(runs: Sequence[ReportData]) -> tuple[str, ...]:
    """What each run is called: its scenario and the moment it began; a number where two would be alike."""
    names: list[str] = []
    for data in runs:
        name = f"{data.scenario.name} {data.provenance.started}"
        alike = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({alike + 1})" if alike else name)
    return tuple(names)


def _predictions(data: ReportData) -> Iterator[dict[str, Cell]]:
    cases = {case.id: case for case in data.cases}
    for one in data.predictions:
        case, score = cases[one.case_id], data.case_score_of.get((one.case_id, one.arm))
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
