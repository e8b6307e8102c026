"""The case browser's data as one JSON text that may stand inside an HTML page.

Equal texts are stored once. Where everything would be too large for one page, long texts are cut, and if that is not
enough, cases are left out, evenly over the outcomes; the JSON says which of the two happened, and the page shows it.
"""

from __future__ import annotations

import msgspec

from harness.publish.blocks import CaseBrowser, Mark, ShownAnswer, ShownCase
from harness.publish.text import shortened, visible

BUDGET = 6 * 2**20
"""Most bytes of JSON."""
LIMITS = (4000, 1500, 600, 250)
"""Longest texts tried, in characters, until the whole is within the budget."""
SAMPLE = 500
"""Cases by which it is guessed how many there is room for."""
LEAST_ROW = 20
"""Bytes of an answer's row, at least, beside its texts."""

_HTML_UNSAFE = {b"<": b"\\u003c", b">": b"\\u003e", b"&": b"\\u0026"}


class AnswerRow(msgspec.Struct, array_like=True, frozen=True):
    """One answer; texts are indices into `Payload.texts`, passages into `Payload.passages`."""

    mark: str
    score: int
    value: float | None
    answer: int
    raw: int
    remark: int
    trouble: bool
    passages: tuple[int, ...]
    kind: int
    """Index into `Payload.kinds`."""


class CaseRow(msgspec.Struct, array_like=True, frozen=True):
    """One case; `group` is an index into `Payload.groups`."""

    id: str
    group: int
    question: int
    expected: tuple[int, ...]
    answers: tuple[AnswerRow, ...]


class Payload(msgspec.Struct, frozen=True):
    """What the page's script reads."""

    arms: tuple[str, ...]
    groups: tuple[str, ...]
    kinds: tuple[str, ...]
    """Kinds of failure; the first one is empty and stands for none."""
    graded: bool
    total: int
    limit: int
    cut: bool
    """Whether any text was cut at `limit` characters."""
    texts: tuple[str, ...]
    passages: tuple[tuple[int, int], ...]
    cases: tuple[CaseRow, ...]


class _Texts:
    """Texts stored once each, safe to show and no longer than `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cut = False
        self.known = {"": 0}
        self.size = 0
        """Characters, and so bytes at least."""

    def add(self, text: str) -> int:
        """Index of `text`, whose first `limit` characters are kept."""
        self.cut = self.cut or len(text) > self.limit
        short = shortened(visible(text), self.limit)
        if short not in self.known:
            self.known[short] = len(self.known)
            self.size += len(short)
        return self.known[short]


class _Packer:
    """Cases -> rows, collecting the texts and passages that they use."""

    def __init__(self, browser: CaseBrowser, limit: int) -> None:
        self.browser = browser
        self.texts = _Texts(limit)
        self.places: dict[str, int] = {}
        self.passages: list[tuple[int, int]] = []
        self.kinds = {"": 0}

    def case(self, case: ShownCase, group: int) -> CaseRow:
        add = self.texts.add
        expected = tuple(add(text) for text in case.expected)
        answers = tuple(self.answer(answer) for answer in case.answers)
        return CaseRow(visible(case.id), group, add(case.question), expected, answers)

    def answer(self, answer: ShownAnswer) -> AnswerRow:
        add = self.texts.add
        return AnswerRow(
            mark=answer.mark.value,
            score=add(answer.score),
            value=None if answer.value is None else round(answer.value, 3),
            answer=add(answer.answer),
            raw=add(answer.raw),
            remark=add(answer.remark),
            trouble=answer.trouble,
            passages=tuple(self.passage(name) for name in answer.passages),
            kind=self.kinds.setdefault(visible(answer.kind), len(self.kinds)),
        )

    def passage(self, name: str) -> int:
        if name not in self.places:
            passage = self.browser.passages[name]
            self.places[name] = len(self.passages)
            self.passages.append((self.texts.add(passage.title), self.texts.add(passage.text)))
        return self.places[name]


def case_json(browser: CaseBrowser, *, budget: int = BUDGET) -> str:
    """The JSON text, at most about `budget` bytes, without any character that HTML could act on."""
    for limit in LIMITS:
        encoded = _encoded(browser, limit, most=budget)
        if encoded is not None:
            return encoded.decode()
    total = sum(len(group.cases) for group in browser.groups)
    some = min(1.0, SAMPLE / total)
    of_some = _encoded(browser, LIMITS[-1], part=some)
    part = min(1.0, 0.95 * some * budget / len(of_some or b" "))
    while True:
        encoded = _encoded(browser, LIMITS[-1], part=part, most=budget if part * total > 1 else None)
        if encoded is not None:
            return encoded.decode()
        part *= 0.9


def _encoded(browser: CaseBrowser, limit: int, *, part: float = 1.0, most: int | None = None) -> bytes | None:
    """JSON of the first `part` (0..1) of each group's cases, at least one of each; None where it is over `most` bytes.

    No more is held than that, however many cases there are.
    """
    packer, rows, answers = _Packer(browser, limit), list[CaseRow](), 0
    for place, group in enumerate(browser.groups):
        for case in group.cases[: max(1, round(part * len(group.cases)))]:
            rows.append(packer.case(case, place))
            answers += len(case.answers)
            if most is not None and packer.texts.size + LEAST_ROW * answers > most:
                return None
    encoded = msgspec.json.encode(_payload(packer, tuple(rows)))
    for sign, code in _HTML_UNSAFE.items():
        encoded = encoded.replace(sign, code)
    return encoded if most is None or len(encoded) <= most else None


def _payload(packer: _Packer, rows: tuple[CaseRow, ...]) -> Payload:
    groups = packer.browser.groups
    return Payload(
        arms=tuple(visible(arm) for arm in packer.browser.arms),
        groups=tuple(visible(group.title) for group in groups),
        kinds=tuple(packer.kinds),
        graded=any(answer.mark == Mark.GRADED.value for row in rows for answer in row.answers),
        total=sum(len(group.cases) for group in groups),
        limit=packer.texts.limit,
        cut=packer.texts.cut,
        texts=tuple(packer.texts.known),
        passages=tuple(packer.passages),
        cases=rows,
    )
