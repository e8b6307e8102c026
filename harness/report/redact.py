"""A report without personal data and secrets: every text in its records is masked once, before anything is laid out.

Nothing is left to the renderers, so all formats are masked alike. Ids are masked too, each to an id of its own, so that
look-ups still find what they found. Whose report it is (`client.toml`) is no part of the records and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec

from harness.audit.personal import masked
from harness.lines import AllOf
from harness.report.data import ReportData

T = TypeVar("T")


def redacted(data: ReportData) -> ReportData:
    """The same report data with `[email]`, `[phone]`, `[card]`, `[iban]`, `[id number]` and `[secret]` in place of
    what is likely to be one: in cases, answers, passages, the instruction, the advice, what experiments say, and the
    runs beside it. The masked records are held in memory, however large the run."""
    return _masked(data, _names([data, *data.others]))


def _names(runs: Iterable[ReportData]) -> dict[str, str]:
    """Ids that hold something to mask -> masked ids, all different."""
    ids = dict.fromkeys(name for data in runs for name in _ids(data))
    taken, names = {name for name in ids if masked(name) == name}, dict[str, str]()
    for name in ids:
        if name not in taken:
            names[name] = _free(masked(name), taken | set(names.values()))
    return names


def _ids(data: ReportData) -> Iterable[str]:
    yield from (case.id for case in data.cases)
    yield from (case.context_id for case in data.cases if case.context_id is not None)
    yield from data.passages
    yield from (passage.document_id for passage in data.passages.values())
    yield from (row.train_id for row in data.scenario.removed)
    yield from (shot for recipe in data.recipes for shot in recipe.shots)


def _free(name: str, taken: set[str]) -> str:
    count, found = 1, name
    while found in taken:
        count += 1
        found = f"{name} {count}"
    return found


def _masked(value: T, names: Mapping[str, str]) -> T:
    """The value with every text in it masked; records, tuples and tables are made anew."""
    known: Any = value
    if type(known) is str:
        known = names.get(known) or masked(known)
    elif isinstance(known, tuple | list | frozenset | set):
        known = type(known)(_masked(one, names) for one in known)
    elif isinstance(known, Mapping):
        known = {_masked(key, names): _masked(one, names) for key, one in known.items()}
    elif isinstance(known, msgspec.Struct):
        known = msgspec.structs.replace(
            known, **{n: _masked(getattr(known, n), names) for n in known.__struct_fields__}
        )
    elif isinstance(known, Sequence | AllOf) and not isinstance(known, str | bytes):  # read from disk
        known = tuple(_masked(one, names) for one in known)
    elif is_dataclass(known) and not isinstance(known, type):
        known = type(known)(**{f.name: _masked(getattr(known, f.name), names) for f in fields(known) if f.init})
    return known  # type: ignore[no-any-return]
