"""Where the client's own machines answer, tokens have no price, and the first page says why."""

from dataclasses import replace

import builders
import msgspec

from harness.report.advice_file import AdviceFile, Bills
from harness.report.sections.summary import cost_fact


def test_a_price_that_there_cannot_be_is_not_called_a_price_that_nobody_gave():
    item = {"name": "own machines", "amount": 500.0, "per": "month"}
    bill = {"approach": "rag", "once": 10.0, "monthly": 510.0, "per_request": 0.0, "items": [item]}
    bills = {"currency": "USD", "prices_date": "2026-01-01", "requests_per_day": 800.0, "approaches": [bill]}
    brought = AdviceFile("2026-01-01T00:00:00Z", "T", "rag", (), msgspec.convert(bills, Bills))
    assert cost_fact(builders.winner(), "rag").remark.endswith("no prices were given")
    remark = cost_fact(replace(builders.winner(), advice=brought), "rag").remark
    assert remark.endswith("the machines are the client's own, and the appendix has their bill")
