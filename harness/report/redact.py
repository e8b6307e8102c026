"""A report without personal data and secrets: every text in its records is masked once, before anything is laid out.

Nothing is left to the renderers, so all formats are masked alike. Ids are masked too, each to an id of its own, so that
look-ups still find what they found. Whose report it is (`client.toml`) is no part of the records and stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec

from harness.audit.personal import masked
from harness.lines import AllOf, ByName, OnDemand, by_name
from harness.report.data import ReportData
from harness.score_table import ScoreTable
from harness.spool import for_now

T = TypeVar("T")


def redacted(data: ReportData) -> ReportData:
    """The same report data with `[email]`, `[phone]`, `[card]`, `[iban]`, `[id number]` and `[secret]` in place of
    what is likely to be one: in cases, answers, passages, the instruction, the advice, what experiments say, and the
    runs beside it. What a large run reads from disk is masked onto disk, and gone when nobody reads it any more.

    Raises:
        UserError: the cache folder cannot be written.
    """
    return all_redacted([data])[0]


def all_redacted(runs: Sequence[ReportData]) -> list[ReportData]:
    """Several runs, each as `redacted`; an id that several of them have is masked alike in all.

    Raises:
        UserError: the cache folder cannot be written.
    """
    names = _names([one for data in runs for one in (data, *data.others)])
    return [_masked(data, names) for data in runs]


def _names(runs: Collection[ReportData]) -> dict[str, str]:
    """Ids that hold something to mask -> masked ids, all different."""
    forms = {name: form for name in _all_ids(runs) if (form := masked(name)) != name}
    taken = _like(set(forms.values()), _all_ids(runs)) if forms else set()
    counts, names = dict.fromkeys(forms.values(), 1), dict[str, str]()
    for name, form in forms.items():
        found = form
        while found in taken:
            counts[form] += 1
            found = f"{form} {counts[form]}"
        taken.add(found)
        names[name] = found
    return names


def _like(forms: set[str], ids: Iterable[str]) -> set[str]:
    """The ids that are one of these, or one with a number behind it."""
    return {name for name in ids if name in forms or re.sub(r" \d+$", "", name) in forms}


def _all_ids(runs: Iterable[ReportData]) -> Iterable[str]:
    return (name for data in runs for name in _ids(data))


def _ids(data: ReportData) -> Iterable[str]:
    for case in data.cases:
        yield from (name for name in (case.id, case.context_id, case.group) if name is not None)
    yield from data.passages
    yield from (passage.document_id for passage in data.passages.values())
    yield from (row.train_id for row in data.scenario.removed)
    yield from (shot for recipe in data.recipes for shot in recipe.shots)


def _masked(value: T, names: Mapping[str, str]) -> T:
    """The value with every text in it masked; records, tuples and tables are made anew."""
    known: Any = value
    if type(known) is str:
        known = names.get(known) or masked(known)
    elif isinstance(known, ScoreTable):
        known = known.with_texts(lambda text: names.get(text) or masked(text))
    elif isinstance(known, OnDemand):
        known = for_now((_masked(one, names) for one in known), known.kind)
    elif isinstance(known, AllOf):
        numbers: dict[str, int] = {}
        known = AllOf({arm: _masked_table(found, names, numbers=numbers) for arm, found in known.arms.items()})
    elif isinstance(known, tuple | list | frozenset | set):
        known = type(known)(_masked(one, names) for one in known)
    elif isinstance(known, Mapping):
        known = _masked_table(known, names, numbers={})
    elif isinstance(known, msgspec.Struct):
        known = msgspec.structs.replace(
            known, **{n: _masked(getattr(known, n), names) for n in known.__struct_fields__}
        )
    elif is_dataclass(known) and not isinstance(known, type):
        known = type(known)(**{f.name: _masked(getattr(known, f.name), names) for f in fields(known) if f.init})
    return known  # type: ignore[no-any-return]


def _masked_table(known: Mapping[str, T], names: Mapping[str, str], *, numbers: dict[str, int]) -> Mapping[str, T]:
    """`numbers`: those of the names (see `ByName`), shared by the tables that have the same ones."""
    if not isinstance(known, ByName):
        return {_masked(key, names): _masked(one, names) for key, one in known.items()}
    records = for_now((_masked(one, names) for one in known.values()), known.kind)
    return by_name(records, names=(_masked(name, names) for name in known), numbers=numbers)
