"""The tree that a report is before anybody lays it out: sections of a few kinds of block.

All strings are plain text. None holds markup of any kind; each renderer escapes every one of them for its own format.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One or more sentences."""

    text: str
    note: bool = False
    """A remark beside the matter, set smaller."""


@dataclass(frozen=True, slots=True)
class Subheading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value, with a remark where it needs one."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Labelled values. `key` marks the few numbers that matter most."""

    facts: tuple[Fact, ...]
    key: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column."""

    title: str
    number: bool = False
    """Holds numbers: aligned to the right."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of a row names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()
    """Indices of rows to set off. What the mark means is also written in the row."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval, as numbers for the picture and as the text that says the same."""

    label: str
    value: float
    low: float
    high: float
    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Intervals:
    """A picture of values with their intervals on one axis from 0 to `top`."""

    caption: str
    bars: tuple[Bar, ...]
    top: float
    ticks: tuple[tuple[float, str], ...]
    """(place on the axis, its label), from 0 to `top`."""
    target: float | None = None
    """A line to reach, in the values' unit."""
    target_text: str = ""


class Mark(StrEnum):
    """How an answer is marked. Graded answers have a number instead of right or wrong."""

    RIGHT = "right"
    WRONG = "wrong"
    GRADED = "graded"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One arm's answer to one case."""

    arm: str
    """The arm's display name."""
    mark: Mark
    score: str
    """`right`, `wrong`, `62 points` or `not measured`."""
    value: float | None
    """The same as a number, 0..1."""
    answer: str
    raw: str = ""
    """What the model wrote, where that is more than the answer read out of it."""
    remark: str = ""
    """An error, an empty answer, or an answer cut at the longest length."""
    trouble: bool = False
    """The answer failed or was cut."""
    passages: tuple[str, ...] = ()
    """Keys into `CaseBrowser.passages`, best first."""


@dataclass(frozen=True, slots=True)
class ShownCase:
    """One case with every arm's answer, in the browser's order of arms."""

    id: str
    question: str
    expected: tuple[str, ...]
    """Accepted answers, the first one first."""
    answers: tuple[ShownAnswer, ...]


@dataclass(frozen=True, slots=True)
class CaseGroup:
    """Cases with the same outcome."""

    title: str
    cases: tuple[ShownCase, ...]


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A retrieved passage."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class CaseBrowser:
    """All cases, grouped by who won them."""

    groups: tuple[CaseGroup, ...]
    arms: tuple[str, ...]
    """Display names, in the order of every case's answers."""
    passages: dict[str, ShownPassage]


Block = Paragraph | Subheading | Bullets | Facts | Table | Intervals | CaseBrowser


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the report; `anchor` is its id in links."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report; its first section is the verdict and has the headline as its title."""

    title: str
    subtitle: str
    verdict: Section
    sections: tuple[Section, ...]
