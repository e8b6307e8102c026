"""Sections of a document as plain JSON objects, so that one product can write them and another lay them out.

A block is an object with its `kind` (the name of its class in lower case) and its fields. Fields that this version does
not know are passed over: a newer one may add some.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import singledispatch
from typing import Any

import msgspec

from harness.publish.blocks import (
    Axis,
    Block,
    Bullets,
    Facts,
    Intervals,
    Lines,
    Paragraph,
    Parts,
    Place,
    Scatter,
    Section,
    Subheading,
    Table,
)

_KINDS: dict[str, type[Block]] = {
    one.__name__.lower(): one
    for one in (Paragraph, Subheading, Bullets, Facts, Table, Intervals, Scatter, Lines, Parts)
}
"""All but the case browser: its cases are a run's, which keeps them itself."""
_ANCHOR = re.compile(r"[a-z][a-z0-9-]{0,63}")
_LONGEST_NAME = 40


class NotASection(ValueError):
    """What was read is no section as `to_plain` writes it; the message says what is wrong, and where."""


class _Stored(msgspec.Struct, frozen=True):
    title: str
    anchor: str
    blocks: tuple[Any, ...]
    place: Place = Place.BODY


def to_plain(section: Section) -> dict[str, Any]:
    """The section as a JSON object of strings, numbers, lists and objects; the same section gives the same object.

    Raises:
        ValueError: a block of a kind that is not stored.
    """
    return {
        "title": section.title,
        "anchor": section.anchor,
        "place": section.place.value,
        "blocks": [_plain_block(block) for block in section.blocks],
    }


def from_plain(stored: object) -> Section:
    """The section that `to_plain` wrote, every field checked.

    Raises:
        NotASection: anything else; whatever comes in, nothing but this is raised.
    """
    kept = _converted(stored, _Stored, "a section")
    if not _ANCHOR.fullmatch(kept.anchor):
        raise NotASection(f"a section's anchor must be small letters, digits and hyphens; got {_shown(kept.anchor)}")
    blocks = tuple(_block(one, f"block {place} of {kept.anchor}") for place, one in enumerate(kept.blocks, 1))
    return Section(kept.title, kept.anchor, blocks, kept.place)


def _plain_block(block: Block) -> dict[str, Any]:
    kind = type(block).__name__.lower()
    if kind not in _KINDS:
        raise ValueError(f"a block of the kind {type(block).__name__} is not stored")
    plain: dict[str, Any] = {"kind": kind, **msgspec.to_builtins(block)}
    if isinstance(block, Table):
        plain["marked"] = sorted(block.marked)
    return plain


def _block(stored: object, where: str) -> Block:
    kind = stored.get("kind") if isinstance(stored, dict) else None
    found = _KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise NotASection(f"{where} must have one of the kinds {', '.join(_KINDS)}; got {_shown(kind)}")
    block: Block = _converted(stored, found, f"{where} ({kind})")
    if not all(math.isfinite(number) for number in _numbers(block)):
        raise NotASection(f"{where} ({kind}) holds a number that is not finite")
    for problem in _problems(block):
        raise NotASection(f"{where} ({kind}): {problem}")
    return block


def _converted(stored: object, wanted: Any, where: str) -> Any:
    try:
        return msgspec.convert(stored, wanted)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise NotASection(f"{where}: {error}") from None


def _numbers(value: object) -> Iterator[float]:
    """All floating-point numbers of a block, however deep."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _numbers(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _numbers(getattr(value, field.name))


@singledispatch
def _problems(_block: Block) -> Iterator[str]:
    """What types cannot say: parts that have to be of one length."""
    yield from ()


@_problems.register
def _(block: Table) -> Iterator[str]:
    if not block.columns:
        yield "it has no columns"
    if any(len(row) != len(block.columns) for row in block.rows):
        yield f"every row must have {len(block.columns)} cells"
    if any(not 0 <= place < len(block.rows) for place in block.marked):
        yield "a row is marked that it does not have"


@_problems.register
def _(block: Intervals) -> Iterator[str]:
    if block.top <= 0:
        yield "its axis ends at or below 0"


@_problems.register
def _(block: Lines) -> Iterator[str]:
    if any(line.spread and len(line.spread) != len(line.points) for line in block.lines):
        yield "a line must have as many intervals as points, or none"
    yield from _axis_problems(block.x, block.y)


@_problems.register
def _(block: Scatter) -> Iterator[str]:
    yield from _axis_problems(block.x, block.y)


@_problems.register
def _(block: Parts) -> Iterator[str]:
    if any(not len(row.sizes) == len(row.texts) == len(block.names) for row in block.rows):
        yield f"every row must have {len(block.names)} sizes and as many texts"
    if any(size < 0 for row in block.rows for size in row.sizes):
        yield "a size is below 0"
    yield from _axis_problems(block.axis)


def _axis_problems(*axes: Axis) -> Iterator[str]:
    for axis in axes:
        places = [place for place, _ in axis.ticks]
        if len(places) < 2 or any(not one < other for one, other in itertools.pairwise(places)):
            yield "an axis needs two marks or more, each above the one before"
        elif axis.logarithmic and places[0] <= 0:
            yield "a logarithmic axis begins at or below 0"


def _shown(value: object) -> str:
    """Something short and printable."""
    if not isinstance(value, str):
        return "nothing" if value is None else type(value).__name__
    return repr(value if len(value) <= _LONGEST_NAME else f"{value[:_LONGEST_NAME]}...")
