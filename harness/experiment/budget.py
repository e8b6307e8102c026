"""The error budget: an arm that keeps failing is stopped early, and the run goes on without it.

An arm is stopped while cases are still open to it; one that has answered all its cases is scored, its failures as wrong
answers. The control is never stopped. What was stopped is kept in `over_budget.json`, so that going on with a run does
not begin it again; `--retry-errors` does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.experiment.wording import name_of
from harness.publish import numbers
from harness.records import CONTROL, LeftOut, Prediction
from harness.scenario import ErrorBudget
from harness.store import RunFolder

FILE = "over_budget.json"
MOST_CAUSES = 3
LONGEST_CAUSE = 160


@dataclass(frozen=True, slots=True)
class Cause:
    """An error message without what differs from case to case, and how often it came."""

    message: str
    count: int


@dataclass(frozen=True, slots=True)
class OverBudget:
    """An arm that was stopped because it failed too often."""

    arm: str
    errors: int
    cases: int
    """Cases that it had answered or tried."""
    of: int
    causes: tuple[Cause, ...]
    """The most common ones, the most frequent first."""

    @property
    def reason(self) -> str:
        """What the report says of it."""
        causes = "; ".join(f"{cause.message} ({numbers.counted(cause.count, 'time')})" for cause in self.causes)
        return (
            f"stopped after {numbers.counted(self.errors, 'error')} in {numbers.counted(self.cases, 'case')}: {causes}"
        )

    @property
    def left_out(self) -> LeftOut:
        """It takes no part in the comparison."""
        return LeftOut(self.arm, self.reason)


class Tally:
    """Counts an arm's errors while it answers."""

    def __init__(self, arm: str, budget: ErrorBudget, *, of: int) -> None:
        self._arm, self._budget, self._of = arm, budget, of
        self._cases = 0
        self._errors: list[str] = []

    def count(self, predictions: Iterable[Prediction]) -> OverBudget | None:
        """Count these too; what to say of the arm where it is to be stopped now."""
        for prediction in predictions:
            self._cases += 1
            if prediction.error:
                self._errors.append(prediction.error)
        errors = len(self._errors)
        over = errors >= self._budget.fewest and errors > self._budget.share * self._cases
        if not over or self._arm == CONTROL or self._cases >= self._of:
            return None
        return OverBudget(self._arm, errors, self._cases, self._of, common_causes(self._errors))


def common_causes(errors: Iterable[str]) -> tuple[Cause, ...]:
    """The three most common messages, the most frequent first, equals in the order in which they came."""
    counted = Counter(normalised(error) for error in errors)
    return tuple(Cause(message, count) for message, count in counted.most_common(MOST_CAUSES))


def normalised(message: str) -> str:
    """A message without quoted texts, addresses and numbers, so that the same fault of many cases is one."""
    text = re.sub(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|“[^”]*”""", "'…'", message)
    text = re.sub(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{16,}\b|\d+(?:[.,:]\d+)*", "N", text)
    return text if len(text) <= LONGEST_CAUSE else f"{text[: LONGEST_CAUSE - 1]}…"


def over_budget(folder: RunFolder) -> dict[str, OverBudget]:
    """Arms of the run that were stopped for their errors."""
    found = folder.read(FILE, tuple[OverBudget, ...]) if folder.has(FILE) else ()
    return {one.arm: one for one in found}


def keep_over_budget(folder: RunFolder, over: Mapping[str, OverBudget]) -> None:
    """Write which arms were stopped for their errors."""
    if over or folder.has(FILE):
        folder.write(FILE, tuple(over.values()))


def budget_sentences(folder: RunFolder) -> tuple[str, ...]:
    """What the verdict says of these arms."""
    return tuple(
        f"{_name(one.arm)} takes no part in the comparison: it was {one.reason}. Mend that and run the same command "
        "with --retry-errors."
        for one in over_budget(folder).values()
    )


def _name(arm: str) -> str:
    name = name_of(arm)
    return name[0].upper() + name[1:]
