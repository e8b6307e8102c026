"""An error budget as users write it: a number of errors, or a share of the cases answered."""

from __future__ import annotations

import re

from harness.scenario import USUAL_BUDGET, ErrorBudget

EXPECTED = 'expected a number of errors such as 20, or a share of the cases answered such as "25%" (100% never stops)'


def error_budget(said: object) -> ErrorBudget | None:
    """The budget; None where it cannot be read as one.

    20 stops an arm at the 21st error; 25% where at least 10 errors are more than 25 % of the cases answered so far.
    """
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(%?)\s*", str(said), flags=re.ASCII)
    if found is None or isinstance(said, bool) or (not found[2] and "." in found[1]):
        return None
    if not found[2]:
        return ErrorBudget(int(found[1]) + 1, 0.0)
    share = float(found[1]) / 100
    return ErrorBudget(USUAL_BUDGET.fewest, share) if share <= 1 else None
