"""The tree that a document is before anybody lays it out: sections of a few kinds of block.

All strings are plain text. None holds markup of any kind; each renderer escapes every one of them for its own format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One or more sentences."""

    text: str
    note: bool = False
    """A remark beside the matter, set smaller."""
    lead: bool = False
    """The sentence to remember, set larger."""


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


Ticks = tuple[tuple[float, str], ...]
"""(place on an axis, its label), ascending."""


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
    """A picture of values with their intervals, one below the other, on one axis from 0 to `top`."""

    caption: str
    bars: tuple[Bar, ...]
    top: float
    ticks: Ticks
    """From 0 to `top`."""
    target: float | None = None
    """A line to reach, in the values' unit."""
    target_text: str = ""
    alt: str = ""
    """The picture in words."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a `Scatter`, or a point to mark in `Lines`."""

    label: str
    x: float
    y: float
    low: float | None = None
    """Ends of the interval of `y`."""
    high: float | None = None
    tone: int = 0
    """Colour and shape: the same number is the same thing in all pictures of a document."""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of `Lines`; `spread` is the interval of `y` at each point where it is known."""

    label: str
    points: tuple[tuple[float, float], ...]
    """(x, y), x ascending."""
    spread: tuple[tuple[float, float], ...] = ()
    """(low, high) at each of `points`; empty: not known."""
    tone: int = 0
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a picture. On a logarithmic one all values are above 0."""

    title: str
    ticks: Ticks
    """The first and the last one are the ends of the axis."""
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Scatter:
    """A picture of points with names: one measure against another."""

    caption: str
    x: Axis
    y: Axis
    dots: tuple[Dot, ...]
    alt: str


@dataclass(frozen=True, slots=True)
class Lines:
    """A picture of lines with names."""

    caption: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    alt: str
    dots: tuple[Dot, ...] = ()
    """Points to mark, such as where two lines cross."""
    upright: tuple[tuple[float, str], ...] = ()
    """(x, words): places on the x axis to mark with an upright line."""
    level: tuple[tuple[float, str], ...] = ()
    """(y, words): heights to mark with a level line."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `Parts`: its name, a size for each part, and what is written into each (empty: nothing)."""

    label: str
    sizes: tuple[float, ...]
    texts: tuple[str, ...]
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """A picture of wholes and their parts: a bar a row, cut into the parts `names`, in this order."""

    caption: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    axis: Axis
    alt: str


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
    kind: str = ""
    """What is wrong with it, in a few words: `error`, `cut off`, `document not found`; empty where nothing is."""


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
    cases: Sequence[ShownCase]


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
    passages: Mapping[str, ShownPassage]


Picture = Intervals | Scatter | Lines | Parts
Block = Paragraph | Subheading | Bullets | Facts | Table | Picture | CaseBrowser


class Place(StrEnum):
    """Where a section belongs."""

    BODY = "body"
    DETAIL = "detail"
    """In the document's body, but not among the slides of a talk."""
    APPENDIX = "appendix"
    """For the reader who checks: after everything else, and not among the slides."""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a document; `anchor` is its id in links."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]
    place: Place = Place.BODY


@dataclass(frozen=True, slots=True)
class Report:
    """A whole document; its first section is the summary, one page, and has the headline as its title."""

    title: str
    subtitle: str
    summary: Section
    sections: tuple[Section, ...]
    """Those of the appendix last."""
    footer: str = ""
    """One sentence at the end: what made this."""
