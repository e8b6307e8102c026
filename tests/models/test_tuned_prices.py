"""A tuned model may cost more than the one that it came from, also in batches."""

import pytest

from harness.models.endpoint_ledger import Ledger, Prices


@pytest.mark.parametrize(
    ("asked", "batched", "money"),
    [
        ({}, False, 3.0),
        ({}, True, 1.5),
        ({"tuned": True}, False, 30.0),
        ({"tuned": True}, True, 15.0),
    ],
)
def test_what_a_tuned_model_is_asked_has_its_own_price(asked, batched, money):
    ledger = Ledger(Prices(1.0, 2.0, "USD"), tuned=Prices(10.0, 20.0, "USD"), batch_discount=0.5)
    assert ledger.price(1_000_000, 1_000_000, batched=batched, **asked) == pytest.approx(money)
    ledger.asks_tuned = True
    assert ledger.price(1_000_000, 1_000_000, tuned=False) == pytest.approx(3.0)
    assert ledger.price(1_000_000, 1_000_000) == pytest.approx(30.0)
