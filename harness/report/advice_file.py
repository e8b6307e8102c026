"""`advice.json` as a report uses it: what was advised, its sections in words, and its prices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.given import CannotRead, read_whole
from harness.publish.blocks import Section
from harness.publish.stored import NotASection, from_plain

NEWEST = 1
MOST_BYTES = 8 * 2**20


class _Item(msgspec.Struct, frozen=True):
    name: str
    amount: float
    per: str


class ApproachBill(msgspec.Struct, frozen=True):
    """What an approach costs; `items` say what for."""

    approach: str
    once: float
    monthly: float
    per_request: float
    items: tuple[_Item, ...] = ()


class TokenPrice(msgspec.Struct, frozen=True):
    """Money for a million tokens, and for a request whatever its tokens (search, reranking)."""

    approach: str
    model: str
    read: float
    written: float
    beside: float = 0.0


class Bills(msgspec.Struct, frozen=True):
    """The advice's costs."""

    currency: str
    prices_date: str
    requests_per_day: float
    approaches: tuple[ApproachBill, ...]
    token_prices: tuple[TokenPrice, ...] = ()


class _Recommendation(msgspec.Struct, frozen=True):
    approach: str


class _Hypothesis(msgspec.Struct, frozen=True):
    text: str = ""


class _Stored(msgspec.Struct, frozen=True):
    schema_version: int
    created: str
    title: str
    recommendation: _Recommendation
    costs: Bills
    hypothesis: _Hypothesis = _Hypothesis()
    sections: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class AdviceFile:
    """What a report takes over from an advice."""

    created: str
    """ISO 8601, UTC."""
    title: str
    approach: str
    sections: tuple[Section, ...]
    """Empty where the file was written by a version that kept none."""
    bills: Bills
    hypothesis: str = ""
    """The advice as a sentence that a trial can refute."""

    def section(self, anchor: str) -> Section | None:
        """One of the advice's own sections."""
        return next((one for one in self.sections if one.anchor == anchor), None)


def read_advice_file(path: Path) -> AdviceFile:
    """Read an `advice.json`.

    Raises:
        UserError: it cannot be read, is no advice, or is of a newer version.
    """
    stored = _decoded(path, _bytes(path))
    if stored.schema_version > NEWEST:
        raise UserError(
            f"{path} was written by a newer version (schema {stored.schema_version}, this one reads {NEWEST}); "
            "update bakeoff-advisor"
        )
    try:
        sections = tuple(from_plain(one) for one in stored.sections)
    except NotASection as error:
        raise UserError(f"{path} is damaged: {error}; write it again with `advise`") from None
    said = stored.hypothesis.text
    return AdviceFile(stored.created, stored.title, stored.recommendation.approach, sections, stored.costs, said)


def _bytes(path: Path) -> bytes:
    try:
        return read_whole(path, most=MOST_BYTES)
    except CannotRead as error:
        raise UserError(f"{path} {error}; --advice takes the advice.json that `advise` wrote") from None


def _decoded(path: Path, content: bytes) -> _Stored:
    try:
        return msgspec.json.decode(content, type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is no advice.json ({str(error) or 'nested too deeply'}); name the file that `advise` wrote"
        ) from None
