"""Every arm's scores on every case, in columns: 8 bytes a value instead of a record a case and arm.

It reads as the sequence of its `CaseScore`s, arm by arm, cases in their order; those are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.lines import OnDemand
from harness.records import CaseScore
from harness.scenario import Case

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.intp]
"""Indices of cases."""


class Roll:
    """Which cases there are: their ids, where each stands, and their groups."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.ids: list[str] = []
        self._groups: list[str | None] = []
        for case in cases:
            self.ids.append(case.id)
            self._groups.append(case.group)
        self.place = {name: place for place, name in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def with_texts(self, text: Callable[[str], str]) -> Roll:
        """The same cases, their ids and groups changed; ids must stay apart."""
        made = copy(self)
        made.ids = [text(name) for name in self.ids]
        made._groups = [group if group is None else text(group) for group in self._groups]
        made.place = {name: place for place, name in enumerate(made.ids)}
        return made

    def clusters(self, at: Places) -> tuple[str, ...] | None:
        """Each of these cases' cluster; None where every one stands for itself."""
        groups = [group for place in at if (group := self._groups[place]) is not None]
        return None if len(set(groups)) == len(groups) else self.grouped(at)

    def grouped(self, at: Places) -> tuple[str, ...]:
        """Each of these cases' cluster. A case without group is its own."""
        return tuple(
            f"case {self.ids[place]}" if (group := self._groups[place]) is None else f"group {group}" for place in at
        )


class Column(Mapping[str, CaseScore]):
    """One arm's scores; as a mapping: case id -> score."""

    def __init__(self, arm: str, roll: Roll, answer: Callable[[int], str]) -> None:
        """`answer`: the parsed answer to the case at a place."""
        self.arm, self.roll, self._answer = arm, roll, answer
        self.there: Flags = np.zeros(len(roll), dtype=bool)
        """Which cases it was scored on."""
        self.failed: Flags = np.zeros(len(roll), dtype=bool)
        self._values: dict[str, Floats] = {}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that some case has a value of."""
        return tuple(self._values)

    def put(self, place: int, *, failed: bool, values: Mapping[str, float]) -> None:
        """Note down a case's score."""
        self.there[place], self.failed[place] = True, failed
        for metric, value in values.items():
            if metric not in self._values:
                self._values[metric] = np.full(len(self.roll), np.nan)
            self._values[metric][place] = value

    def values_of(self, metric: str) -> Floats:
        """The values on all cases; not a number where there is none."""
        found = self._values.get(metric)
        return np.full(len(self.roll), np.nan) if found is None else found

    def answer(self, place: int) -> str:
        """The parsed answer to the case at a place."""
        return self._answer(place)

    def row(self, place: int) -> CaseScore:
        """The score of the case at a place."""
        found = {name: float(own[place]) for name, own in self._values.items() if not np.isnan(own[place])}
        return CaseScore(self.roll.ids[place], self.arm, self._answer(place), bool(self.failed[place]), found)

    @cached_property
    def places(self) -> Places:
        """Where the cases stand that it was scored on."""
        return np.flatnonzero(self.there)

    def __getitem__(self, name: str) -> CaseScore:
        place = self.roll.place.get(name)
        if place is None or not self.there[place]:
            raise KeyError(name)
        return self.row(place)

    def __contains__(self, name: object) -> bool:
        place = self.roll.place.get(name) if isinstance(name, str) else None
        return place is not None and bool(self.there[place])

    def __iter__(self) -> Iterator[str]:
        return (self.roll.ids[place] for place in self.places)

    def __len__(self) -> int:
        return len(self.places)

    def with_texts(self, text: Callable[[str], str], roll: Roll) -> Column:
        """The same scores on the same cases of another roll, each answer changed when it is asked for."""
        made = copy(self)
        made.roll, made._answer = roll, lambda place: text(self._answer(place))
        return made

    def along(self, roll: Roll) -> Column:
        """The same scores on another roll of cases; cases that it does not have are left out."""
        return self if self.roll is roll or self.roll.ids == roll.ids else column_of(self.arm, self.values(), roll)


class ScoreTable(OnDemand[CaseScore]):
    """All arms' columns; as a sequence: all scores, arm by arm."""

    kind = CaseScore

    def __init__(self, roll: Roll, columns: Mapping[str, Column]) -> None:
        self.roll, self.columns = roll, dict(columns)
        self._ends = np.cumsum([len(column) for column in self.columns.values()], dtype=int)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def _read(self, place: int) -> CaseScore:
        number = int(np.searchsorted(self._ends, place, side="right"))
        column = list(self.columns.values())[number]
        return column.row(column.places[place - (int(self._ends[number]) - len(column))])

    def __iter__(self) -> Iterator[CaseScore]:
        return (column.row(place) for column in self.columns.values() for place in column.places)

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same scores."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that have at least one score."""
        return tuple(arm for arm, column in self.columns.items() if len(column))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that some arm has a value of on some case."""
        return tuple(dict.fromkeys(metric for column in self.columns.values() for metric in column.metrics))

    def with_texts(self, text: Callable[[str], str]) -> ScoreTable:
        """The same scores, every id, group and answer changed; ids must stay apart."""
        roll = self.roll.with_texts(text)
        return ScoreTable(roll, {arm: column.with_texts(text, roll) for arm, column in self.columns.items()})


def table_of(scores: Sequence[CaseScore], cases: Sequence[Case]) -> ScoreTable:
    """The scores on these cases in columns."""
    if isinstance(scores, ScoreTable) and len(scores.roll) == len(cases):
        return scores
    rows: dict[str, list[CaseScore]] = {}
    for score in scores:
        rows.setdefault(score.arm, []).append(score)
    roll = Roll(cases)
    return ScoreTable(roll, {arm: column_of(arm, own, roll) for arm, own in rows.items()})


def column_of(arm: str, scores: Iterable[CaseScore], roll: Roll) -> Column:
    """One arm's scores on these cases in columns; of several of one case the last."""
    answers: dict[int, str] = {}
    made = Column(arm, roll, answers.__getitem__)
    for score in scores:
        place = roll.place.get(score.case_id)
        if place is not None:
            answers[place] = score.answer
            made.put(place, failed=score.failed, values=score.values)
    return made
