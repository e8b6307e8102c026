"""Training rows that stand in the eval set too: copies, and rows that are copies but for a slip of the pen.

Templates are full of rows that look alike and are different cases: another number, another name, "from A to B" against
"from B to A". Such a pair must not be removed, so near duplicates have to agree word by word, whatever their embeddings
say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from harness.audit.text import normalised, words
from harness.scenario import Case, RemovedRow

Vectors = npt.NDArray[np.floating]

SAME_TEXT = 0.92
"""Least `difflib` ratio of two normalised inputs that count as one."""

_ARTICLES = {"a", "an", "the"}
_SMALL_WORDS = frozenset(
    _ARTICLES | {"is", "are", "s", "so", "well", "just", "also", "please", "thanks", "hi", "hello"}
)
"""Words that come and go without making another case; "not", "to" and "from" are none of them."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_BLOCK = 4_000_000  # similarities held at once: 16 MB
_LONG = 2_000  # characters; longer texts are compared by words, because difflib is quadratic


def exact_leaks(train: Sequence[Case], cases: Sequence[Case]) -> tuple[RemovedRow, ...]:
    """Find training rows whose input is an eval input (after Unicode, case and white space are folded)."""
    inputs = [normalised(row.input) for row in train]
    wanted, first = set(inputs), dict[str, str]()
    for case in cases if train else ():
        text = normalised(case.input)
        if text in wanted:
            first.setdefault(text, case.id)
    return tuple(
        RemovedRow(row.id, first[text], "exact") for row, text in zip(train, inputs, strict=True) if text in first
    )


def near_duplicates(
    train: Sequence[Case],
    cases: Sequence[Case],
    *,
    train_vectors: Vectors,
    case_vectors: Vectors,
    threshold: float = 0.85,
) -> tuple[RemovedRow, ...]:
    """Find training rows that are an eval case but for a small word or a slip of the pen; exact copies are passed over.

    Vectors are embeddings of the inputs, one row a case, shapes (n_train, d) and (n_eval, d). A pair counts where their
    cosine reaches `threshold`, the numbers in both are the same, the words agree in order but for small words and
    single-letter slips, and the texts' ratio reaches 0.92. A row is matched with its most similar such case.
    """
    if not train or not cases:
        return ()
    rows, targets = [_fold(case) for case in train], [_fold(case) for case in cases]
    exact = {target.text for target in targets}
    found: list[RemovedRow] = []
    for index, candidates in _similar(train_vectors, case_vectors, threshold=threshold):
        if rows[index].text in exact:
            continue
        match = next((hit for hit in candidates if _is_same(rows[index], targets[hit[0]])), None)
        if match:
            found.append(RemovedRow(train[index].id, cases[match[0]].id, "near duplicate", round(match[1], 4)))
    return tuple(found)


def without_leaks(train: Sequence[Case], removed: Sequence[RemovedRow]) -> tuple[Case, ...]:
    """Give the training rows that stay."""
    gone = {row.train_id for row in removed}
    return tuple(case for case in train if case.id not in gone)


@dataclass(frozen=True, slots=True)
class _Folded:
    """An input prepared for comparison."""

    text: str
    words: list[str]
    """In their own case: a capital inside a sentence marks a name."""
    bag: Counter[str]
    """Case-folded words but the small ones."""
    numbers: Counter[str]


def _fold(case: Case) -> _Folded:
    found = words(case.input)
    folded = map(str.casefold, found)
    bag = Counter(word for word in folded if word not in _SMALL_WORDS)
    return _Folded(normalised(case.input), found, bag, Counter(_NUMBER.findall(case.input)))


def _similar(
    train_vectors: Vectors, case_vectors: Vectors, *, threshold: float
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Yield (train index, [(eval index, cosine), most similar first]) where any reaches the threshold."""
    cases = _unit(case_vectors)
    step = max(_BLOCK // len(cases), 1)
    for start in range(0, len(train_vectors), step):
        cosines = _unit(train_vectors[start : start + step]) @ cases.T
        for offset in np.flatnonzero((cosines >= threshold).any(axis=1)):
            hits = np.flatnonzero(cosines[offset] >= threshold)
            order = hits[np.argsort(-cosines[offset, hits], kind="stable")]
            yield start + int(offset), [(int(hit), min(float(cosines[offset, hit]), 1.0)) for hit in order]


def _unit(vectors: Vectors) -> Vectors:
    single = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(single, axis=1, keepdims=True)
    unit: Vectors = single / np.maximum(lengths, 1e-12)
    return unit


def _is_same(first: _Folded, second: _Folded) -> bool:
    """Cheapest test first; the order does not change the answer."""
    if first.numbers != second.numbers:
        return False
    slips = max(1, len(first.words) // 25)
    changed = ((first.bag - second.bag) + (second.bag - first.bag)).total()
    return changed <= 2 * slips and _words_agree(first.words, second.words, slips=slips) and _texts_agree(first, second)


def _words_agree(first: list[str], second: list[str], *, slips: int) -> bool:
    """Whether one text becomes the other by small words and at most `slips` slips of the pen, order kept."""
    left, right = [word.casefold() for word in first], [word.casefold() for word in second]
    made = 0
    for tag, i, i_end, j, j_end in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        gone = [at for at in range(i, i_end) if left[at] not in _SMALL_WORDS]
        come = [at for at in range(j, j_end) if right[at] not in _SMALL_WORDS]
        made += len(gone)
        if len(gone) != len(come) or not all(_is_slip(first, second, at=pair) for pair in zip(gone, come, strict=True)):
            return False
    return made <= slips


def _is_slip(first: list[str], second: list[str], *, at: tuple[int, int]) -> bool:
    """One letter changed, missing, doubled or two swapped in a word of five or more that is no name."""
    one, other = first[at[0]], second[at[1]]
    names = min(at) > 0 and one[0].isupper() and other[0].isupper()
    long_enough = min(len(one), len(other)) >= 5
    return long_enough and not names and _one_edit(one.casefold(), other.casefold())


def _one_edit(one: str, other: str) -> bool:
    """Whether the Damerau-Levenshtein distance (adjacent swaps count 1) of two different words is 1."""
    if len(one) > len(other):
        one, other = other, one
    same = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    a, b = one[same:], other[same:]
    swapped = len(a) >= 2 and a[:2] == b[1::-1] and a[2:] == b[2:]
    return a[1:] == b[1:] or a == b[1:] or swapped


def _texts_agree(first: _Folded, second: _Folded) -> bool:
    if max(len(first.text), len(second.text)) > _LONG:
        return SequenceMatcher(None, first.words, second.words, autojunk=False).ratio() >= SAME_TEXT
    return SequenceMatcher(None, first.text, second.text, autojunk=False).ratio() >= SAME_TEXT
