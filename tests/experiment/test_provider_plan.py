"""What the plan says that a provider's fine-tuning and its tuned model's answers cost."""

import pytest

from harness.experiment.provider_plan import tuning_plan, with_tuning
from harness.experiment.requests import Asking, Sizes, arm_asking, asking_sentences, endpoint_plan, total
from harness.records import CONTROL
from harness.scenario import EndpointWish, FineTuningWish

SIZES = Sizes(10, 20, 5, 0)
CASES, DISCOUNT = 100, 0.5


@pytest.mark.parametrize("arms", [("lora",), ("prompt", "lora"), (CONTROL, "prompt", "lora")])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("options", [0, 3])
def test_the_tuned_models_own_prices_are_lower_in_batches_like_all_others(arms, batch, options):
    """Where the tuned model costs three times as much its requests cost three times as much, in batches and out."""

    def one(name, dev):
        alike = name if name == CONTROL else "lora"  # the plan's surcharge is of the mean request
        return arm_asking(alike, SIZES, cases=CASES, dev=dev, options=options if dev else 0, timed=0)

    def money(factor):
        tuned = FineTuningWish(price=0.0, epochs=1, price_in=factor, price_out=2 * factor)
        wish = EndpointWish("http://h/v1", "m", price_in=1.0, price_out=2.0, fine_tuning=tuned, batch_discount=DISCOUNT)

        asked = {name: one(name, dev=8) for name in arms}
        batched = total([one(name, dev=0) for name in arms]) if batch else Asking()
        plan = endpoint_plan(wish, asked, {}, framing=Asking(), batched=batched, most=None)
        tuning = tuning_plan(wish, arms, SIZES, rows=9, held=1, trainings={})
        return with_tuning(plan, tuning, wish).money

    share = sum(name == "lora" for name in arms) / sum(name != CONTROL for name in arms)
    assert money(1.0) > 0
    assert money(3.0) == pytest.approx(money(1.0) * (1 + 2 * share), rel=1e-3)


def unpriced(**more):
    wish = EndpointWish("http://h/v1", "m", **more)
    return wish, endpoint_plan(wish, {"lora": Asking(4, 100, 20)}, {}, framing=Asking(), batched=Asking(), most=None)


def test_where_no_prices_were_named_what_is_not_known_is_said():
    wish, plan = unpriced()
    assert asking_sentences(plan) == [
        "About 4 requests to http://h/v1, with 100 tokens read and 20 written; what is in the cache of earlier runs is "
        "not asked again.",
        "What that costs is not known: no prices were named (--price IN/OUT, or [endpoint] price_in).",
    ]
    assert tuning_plan(wish, ("lora",), SIZES, rows=9, held=1, trainings={}) is None


def test_where_only_fine_tuning_has_a_price_its_money_is_known_and_that_of_the_requests_is_not():
    wish, plan = unpriced(fine_tuning=FineTuningWish(price=1000.0, epochs=2))
    tuning = tuning_plan(wish, ("lora",), SIZES, rows=9, held=1, trainings={})
    both = with_tuning(plan, tuning, wish)
    assert (both.money, both.training_money) == (None, tuning.money)
    assert tuning.money > 0
    assert asking_sentences(both)[1] == (
        "What the requests cost is not known: no prices were named for them (--price IN/OUT)."
    )


@pytest.mark.parametrize(("names", "adapters"), [(("prompt", CONTROL), {}), (("lora",), {"lora": "served"})])
def test_where_no_arm_is_tuned_by_the_provider_there_is_nothing_to_pay_for(names, adapters):
    wish, _ = unpriced(fine_tuning=FineTuningWish(price=1.0, epochs=1), adapters=adapters)
    assert tuning_plan(wish, names, SIZES, rows=9, held=1, trainings={}) is None
