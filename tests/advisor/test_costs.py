"""Bills, what they are made of, and where they cross."""

import math
from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from advisor.costs import (
    MOST_MACHINES,
    Bill,
    Hosting,
    break_even,
    break_even_volume,
    cost_of,
    payback_months,
    smallest_gain_that_pays,
)
from advisor.prices import Prices, read_prices
from advisor.records import APPROACHES, ApproachCost, CostItem

PRICES = read_prices(None)
SUPPORT = {
    "task": "facts_qa",
    "gap": "facts",
    "requests_per_day": 2000,
    "corpus_tokens": 3_000_000,
    "fact_change_rate": "weekly",
    "input_tokens": 80,
    "instruction_tokens": 900,
    "labelled_examples": 300,
    "eval_examples": 200,
    "model_size": "frontier",
    "task_stability": "stable",
}
CONTRACTS = {
    "task": "extraction",
    "gap": "form",
    "requests_per_day": 300,
    "input_tokens": 9000,
    "instruction_tokens": 1500,
    "privacy": "on_premises",
    "labelled_examples": 600,
}


def bills(values, prices=PRICES):
    return {one.approach: one for one in cost_of(values, prices=prices).approaches}


def priced(**changes):
    names = {name.replace("__", "."): float(value) for name, value in changes.items()}
    assert names.keys() <= PRICES.figures.keys()
    return Prices(PRICES.date, PRICES.currency, {**PRICES.figures, **names})


def item(bill, name):
    return next((one.amount for one in bill.items if one.name == name), 0.0)


def plain(approach, once=0.0, month=0.0, request=0.0):
    return ApproachCost(approach, once, month, request, once + 12 * month, ())


def bill(approach, once=0.0, month=0.0, request=0.0, hosting=None):
    items = [CostItem("a", once, "once", ""), CostItem("b", month, "month", ""), CostItem("c", request, "request", "")]
    return Bill(approach, tuple(items), hosting)


# ---- the worked example of the evidence base, part (d): 20 labels for each of 77 categories at 0.30, 50 for training


@pytest.mark.parametrize(
    ("prompted", "cents", "queries"),
    [("GPT-4, 3 examples", 24.0, 2_100), ("Claude 2, 20 similar examples", 1.4, 38_000)],
)
def test_the_worked_example_breaks_even_where_the_evidence_says(prompted, cents, queries):
    once = 20 * 77 * 0.30 + 50
    assert once == pytest.approx(512)
    found = break_even_volume(plain("few_shot", request=cents / 100), plain("fine_tuning", once=once), months=1)
    assert found == pytest.approx(queries, rel=0.04), prompted


def test_the_labels_of_the_worked_example_cost_462():
    prices = priced(labels__overlap=0, labels__for_tuning_class=20)
    found = bills({"task": "classification", "classes": 77, "labelled_examples": 0}, prices)["fine_tuning"]
    assert item(found, "labelled examples") == pytest.approx(462)


# ---- the closed forms


def test_break_even_takes_fixed_costs_of_a_month_and_once_over_the_months():
    first, second = plain("prompting", 100, 10, 0.05), plain("fine_tuning", 1300, 30, 0.01)
    assert break_even_volume(first, second) == pytest.approx((20 + 1200 / 12) / 0.04)
    assert break_even_volume(first, second, months=24) == pytest.approx((20 + 1200 / 24) / 0.04)


def test_fewer_wrong_answers_bring_the_break_even_forward():
    first, second = plain("prompting", request=0.01), plain("fine_tuning", once=1200, request=0.02)
    assert break_even_volume(first, second) is None
    assert break_even_volume(first, second, gain=0.1, error_cost=2) == pytest.approx(100 / (0.2 - 0.01))


@pytest.mark.parametrize(
    ("first", "second", "volume"),
    [
        (plain("prompting", request=0.02), plain("rag", once=1200, request=0.02), None),
        (plain("prompting", once=50, request=0.02), plain("rag", once=50, request=0.01), None),
        (plain("prompting", request=4), plain("rag", once=12, request=2), 0.5),
    ],
    ids=["same price a request", "nothing to earn back", "half a request"],
)
def test_lines_cross_above_0_or_not_at_all(first, second, volume):
    assert break_even_volume(first, second) == break_even_volume(second, first) == volume
    assert break_even_volume(first, second, gain=0.5) == break_even_volume(first, second, error_cost=2) == volume


@pytest.mark.parametrize(
    ("second", "months"),
    [
        (plain("rag", once=1200, request=0.01), 1200 / (1000 * 0.04)),
        (plain("rag", once=1200, month=10, request=0.01), 1200 / (1000 * 0.04 - 10)),
        (plain("rag", once=1200, month=40, request=0.01), None),
        (plain("rag", once=1200, request=0.06), None),
        (plain("rag", once=0, request=0.01), 0),
        (plain("rag", once=0, request=0.05), 0),
    ],
)
def test_payback_is_what_is_built_over_what_is_saved(second, months):
    found = payback_months(plain("prompting", request=0.05), second, requests_per_month=1000)
    assert found == (None if months is None else pytest.approx(months))


def test_payback_takes_what_the_first_one_costs_too_and_fewer_wrong_answers():
    first, second = plain("prompting", 200, 30, 0.05), plain("rag", 1000, 40, 0.06)
    assert payback_months(first, second, requests_per_month=1000) is None
    found = payback_months(first, second, requests_per_month=1000, gain=0.1, error_cost=0.5)
    assert found == pytest.approx(800 / (1000 * (0.05 - 0.01) - 10))
    for half in ({"gain": 0.1}, {"error_cost": 0.5}):
        assert payback_months(first, second, requests_per_month=1000, **half) is None
    slowly = plain("rag", once=12, request=0.0495)
    assert payback_months(plain("prompting", request=0.05), slowly, requests_per_month=1000) == pytest.approx(24)
    even = plain("rag", once=0.5, request=0.05)
    assert payback_months(plain("prompting", request=0.05), even, requests_per_month=1000) is None


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0, 0.1), st.floats(1, 1e6), st.floats(0.01, 100))
def test_the_smallest_gain_that_pays_makes_the_volume_the_break_even(once, month, request, volume, error_cost):
    first, second = plain("prompting", 10, 10, 0.02), plain("fine_tuning", once, month, request)
    gain = smallest_gain_that_pays(first, second, requests_per_month=volume, error_cost=error_cost)
    totals = [volume * one.per_request + one.monthly + one.once / 12 for one in (first, second)]
    assert totals[1] - volume * gain * error_cost == pytest.approx(totals[0], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("volume", "price"), [(0, 1), (1, 0), (-1, 1)])
def test_no_smallest_gain_without_a_volume_and_a_price_of_errors(volume, price):
    with pytest.raises(ValueError, match=r"^the requests a month and the price of a wrong answer must be above 0$"):
        smallest_gain_that_pays(plain("rag"), plain("rag"), requests_per_month=volume, error_cost=price)


# ---- which is cheaper, in words

ABOVE_12_000 = (
    "Above about 12,000 requests a day fine-tuning is cheaper than prompting over the first year; below it, prompting."
)


@pytest.mark.parametrize(
    ("first", "second", "order", "volume", "text"),
    [
        (
            bill("prompting", request=0.02),
            bill("fine_tuning", once=0.01 * 365 * 12_345, request=0.01),
            ("prompting", "fine_tuning"),
            12_345,
            ABOVE_12_000,
        ),
        (
            bill("fine_tuning", once=0.01 * 365 * 12_345, request=0.01),
            bill("prompting", request=0.02),
            ("prompting", "fine_tuning"),
            12_345,
            ABOVE_12_000,
        ),
        (
            bill("prompting", request=0.02),
            bill("rag", once=0.01 * 365 * 1.2, request=0.01),
            ("prompting", "rag"),
            1.2,
            "Above about 1 request a day retrieval (RAG) is cheaper than prompting over the first year; "
            "below it, prompting.",
        ),
        (
            bill("prompting", request=0.02),
            bill("rag", once=5, request=0.03),
            ("prompting", "rag"),
            None,
            "At every volume prompting is cheaper than retrieval (RAG) over the first year.",
        ),
        (
            bill("prompting", once=5, request=0.02),
            bill("rag", request=0.02),
            ("rag", "prompting"),
            None,
            "At every volume retrieval (RAG) is cheaper than prompting over the first year.",
        ),
        (
            bill("prompting", request=0.02),
            bill("rag", once=1e9, request=0.01),
            ("prompting", "rag"),
            None,
            "Up to 10,000,000 requests a day prompting is cheaper than retrieval (RAG) over the first year.",
        ),
        (
            bill("prompting", once=5, request=0.02),
            bill("rag", once=5, request=0.02),
            ("prompting", "rag"),
            None,
            "Prompting and retrieval (RAG) cost the same.",
        ),
    ],
)
def test_the_break_even_says_which_is_cheaper_where(first, second, order, volume, text):
    found = break_even(first, second)
    assert (found.first, found.second) == order
    assert found.requests_per_day == (None if volume is None else pytest.approx(volume))
    assert found.text == text


@pytest.mark.parametrize(("highest", "steps"), [(350, [100, 200, 300]), (300, [100, 200, 300]), (99, []), (100, [100])])
def test_own_machines_grow_in_steps_up_to_the_highest_volume(highest, steps):
    own = bill("fine_tuning", hosting=Hosting(month=30, capacity=100, size="small"))
    assert list(own.steps(highest)) == steps
    assert list(bill("rag").steps(highest)) == []
    assert len(list(own.steps(1e12))) == MOST_MACHINES


@pytest.mark.parametrize("request_price", [0.02, 1e6])
def test_a_difference_of_cents_decides_too(request_price):
    """Where so many requests are looked at that cents are lost in rounding, the lowest volume decides."""
    dear, cheap = bill("prompting", once=0.5, request=request_price), bill("rag", request=request_price)
    for found in (break_even(dear, cheap), break_even(cheap, dear)):
        assert (found.first, found.second, found.requests_per_day) == ("rag", "prompting", None)


def test_steps_of_own_machines_are_looked_at_one_by_one():
    by_token = bill("prompting", request=0.01)
    own = bill("fine_tuning", hosting=Hosting(month=365 / 12, capacity=150, size="small"))
    found = break_even(by_token, own)
    # 100 requests a day pay for the first machine and 200 for the second; the third, from 300 on, is paid at once.
    assert found.requests_per_day == pytest.approx(200)
    assert found.text == (
        "Above about 200 requests a day fine-tuning is cheaper than prompting over the first year; below about 100, "
        "prompting; in between it depends on how full the machines are."
    )


def test_a_stretch_in_the_middle_where_the_other_one_is_cheaper_is_said():
    small = bill("fine_tuning", once=120, hosting=Hosting(month=30, capacity=80, size="small"))
    large = bill("prompting", hosting=Hosting(month=60, capacity=100, size="medium"))
    found = break_even(small, large)
    assert found.text == (
        "Fine-tuning is cheaper than prompting over the first year, except between about 80 and 100 requests a day, "
        "where prompting is."
    )


def test_several_stretches_where_the_other_one_is_cheaper_are_said_together():
    small = bill("fine_tuning", hosting=Hosting(month=30, capacity=80, size="small"))
    large = bill("prompting", hosting=Hosting(month=40, capacity=90, size="medium"))
    assert break_even(small, large).text == (
        "Fine-tuning is cheaper than prompting over the first year, except between about 80 and 180 requests a day, "
        "where it depends on how full the machines are."
    )


HOSTINGS = st.none() | st.builds(Hosting, st.floats(1, 1e4), st.floats(20, 1e5), st.just("small"))
BILLS = st.builds(bill, st.just("rag"), st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 0.1), HOSTINGS)


@settings(max_examples=60, deadline=None)
@given(BILLS, BILLS, st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_the_break_even_agrees_with_the_bills_on_both_sides(one, two, places):
    two = replace(two, approach="prompting")
    found = break_even(one, two)
    named = {"rag": one, "prompting": two}
    first, second = named[found.first], named[found.second]
    carried = [1000 * each.hosting.capacity for each in (one, two) if each.hosting]
    end = min([1e7, *carried])

    def dearer(volume):
        amounts = [each.at(volume).first_year for each in (first, second)]
        return 0.0 if math.isclose(*amounts, rel_tol=1e-9) else amounts[1] - amounts[0]

    volume = found.requests_per_day
    if volume is None:
        assert all(dearer(end**place) >= 0 for place in places)
        return
    above = [volume * (end / volume) ** place for place in places]
    assert all(dearer(each) <= 0 for each in above if each > volume * (1 + 1e-9))
    just_below, just_above = dearer(volume * (1 - 1e-6)), dearer(volume * (1 + 1e-6))
    assert just_below >= 0 >= just_above
    if "in between" not in found.text and "except" not in found.text:
        assert all(dearer(volume**place) >= 0 for place in places if volume**place < volume * (1 - 1e-9))


# ---- whole bills

ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "task": st.sampled_from(["facts_qa", "classification", "extraction", "rewriting", "code", "agent"]),
        "gap": st.sampled_from(["facts", "form", "both", "none"]),
        "requests_per_day": st.integers(0, 10**8),
        "input_tokens": st.integers(0, 10**6),
        "instruction_tokens": st.integers(0, 10**5),
        "labelled_examples": st.integers(0, 10**7),
        "eval_examples": st.integers(0, 10**4),
        "classes": st.integers(0, 2000),
        "corpus_tokens": st.integers(0, 10**10),
        "fact_change_rate": st.sampled_from(["static", "yearly", "monthly", "weekly", "daily", "realtime"]),
        "task_stability": st.sampled_from(["stable", "yearly", "monthly"]),
        "model_size": st.sampled_from(["frontier", "medium", "small"]),
        "model_access": st.sampled_from(["api_no_tuning", "api_tuning", "open_weights"]),
        "privacy": st.sampled_from(["none", "on_premises", "not_in_weights"]),
        "question_shape": st.sampled_from(["lookup", "multi_document", "whole_corpus"]),
    },
)


@settings(max_examples=60, deadline=None)
@given(ANSWERS)
def test_every_first_year_is_the_sum_of_its_items_and_none_is_negative(values):
    costs = cost_of(values, prices=PRICES)
    assert tuple(one.approach for one in costs.approaches) == APPROACHES
    requests = 365 * costs.requests_per_day
    times = {"once": 1, "month": 12, "request": requests}
    for one in costs.approaches:
        assert all(each.amount > 0 and math.isfinite(each.amount) for each in one.items)
        assert one.first_year == pytest.approx(sum(each.amount * times[each.per] for each in one.items))
        assert one.first_year == pytest.approx(one.once + 12 * one.monthly + requests * one.per_request)


@settings(max_examples=40, deadline=None)
@given(ANSWERS)
def test_the_curve_rises_covers_the_asked_volume_and_agrees_with_the_bills(values):
    costs = cost_of(values, prices=PRICES)
    volumes = [point.requests_per_day for point in costs.curve]
    assert volumes == sorted(set(volumes))
    assert volumes[0] <= 10
    assert volumes[-1] >= 1e6
    for approach in APPROACHES:
        amounts = [point.first_year[approach] for point in costs.curve]
        assert all(left <= right * (1 + 1e-12) for left, right in pairwise(amounts))
    asked = next(point for point in costs.curve if point.requests_per_day == max(1, costs.requests_per_day))
    if costs.requests_per_day >= 1:
        assert asked.first_year == {one.approach: pytest.approx(one.first_year) for one in costs.approaches}


def test_all_ten_pairs_are_compared():
    pairs = {frozenset((one.first, one.second)) for one in cost_of({}, prices=PRICES).break_evens}
    assert len(pairs) == 10


def test_break_even_volumes_lie_on_the_curve_where_the_lines_meet():
    costs = cost_of(SUPPORT, prices=PRICES)
    points = {point.requests_per_day: point.first_year for point in costs.curve}
    crossings = [one for one in costs.break_evens if one.requests_per_day]
    assert crossings
    for one in crossings:
        amounts = points[one.requests_per_day]
        assert amounts[one.first] == pytest.approx(amounts[one.second])


# ---- what the answers change


def test_a_request_costs_its_tokens_the_cached_ones_less():
    found = bills(SUPPORT)["prompting"]
    assert found.per_request == pytest.approx(((900 + 80) * 3 + 150 * 15) / 1e6)


@pytest.mark.parametrize(("length", "share"), [(1023, 0), (1024, 0.8), (5000, 0.8)])
def test_instructions_are_cached_from_the_length_that_providers_cache(length, share):
    found = bills({**SUPPORT, "instruction_tokens": length})["prompting"]
    read = length * (1 - share + share * 0.1)
    assert item(found, "reading the instructions") == pytest.approx(read * 3 / 1e6)
    how = next(one.how for one in found.items if one.name == "reading the instructions")
    assert ("none of them cached" in how) == (share == 0)


def test_retrieval_reads_passages_and_searches_besides():
    found = bills(SUPPORT)
    more = found["rag"].per_request - found["prompting"].per_request
    assert more == pytest.approx(5 * 300 * 3 / 1e6 + 0.0002 + 0.001)
    several = bills({**SUPPORT, "question_shape": "multi_document"})["rag"].per_request
    assert several - found["rag"].per_request == pytest.approx(5 * 300 * 3 / 1e6)


def test_few_shot_reads_its_examples_uncached():
    found = bills(SUPPORT)
    more = found["few_shot"].per_request - found["prompting"].per_request
    assert more == pytest.approx(5 * (80 + 150) * 3 / 1e6 + 0.0002)


def test_a_tuned_small_model_reads_little_and_pays_its_premium():
    found = bills(SUPPORT)["fine_tuning"]
    assert found.per_request == pytest.approx(2 * ((180 + 80) * 0.15 + 150 * 0.60) / 1e6)


@pytest.mark.parametrize(
    ("answers", "size"),
    [
        ({"task": "classification", "model_size": "frontier"}, "small"),
        ({"task": "classification", "model_size": "medium"}, "small"),
        ({"task": "code", "model_size": "frontier"}, "medium"),
        ({"task": "code", "model_size": "medium"}, None),
        ({"task": "code", "model_size": "small"}, None),
    ],
)
def test_the_size_of_the_tuned_model_is_said_where_it_is_another(answers, size):
    said = {one.name: one.value for one in cost_of(answers, prices=PRICES).assumptions}
    assert said.get("size of the tuned model") == size


def test_the_whole_corpus_is_not_in_the_prompt_but_its_price_is_said():
    small = cost_of({**SUPPORT, "corpus_tokens": 100_000}, prices=PRICES)
    note = next(one for one in small.assumptions if one.name == "documents in the prompt")
    assert note.because == "all 100,000 tokens in each prompt would add 0.0840 to the price of a request"
    names = [one.name for one in cost_of(SUPPORT, prices=PRICES).assumptions]
    assert "documents in the prompt" not in names


@pytest.mark.parametrize(("have", "missing"), [(0, 200), (150, 50), (200, 0), (900, 0)])
def test_only_missing_test_examples_are_paid_for(have, missing):
    found = bills({**SUPPORT, "eval_examples": have}, priced(labels__for_test=200))["rag"]
    assert item(found, "test examples") == pytest.approx(missing * 3.00 * 1.2)


def test_only_missing_labels_are_paid_for():
    each = 3.00 * 1.2
    for have, missing in ((0, 500), (300, 200), (500, 0), (9000, 0)):
        found = bills({**SUPPORT, "labelled_examples": have})["fine_tuning"]
        assert item(found, "labelled examples") == pytest.approx(missing * each)


@pytest.mark.parametrize(("task", "price"), [("classification", 0.30), ("extraction", 1.50), ("generation", 3.00)])
def test_a_label_costs_what_its_task_makes_of_it(task, price):
    found = bills({"task": task, "labelled_examples": 0})["fine_tuning"]
    assert item(found, "labelled examples") == pytest.approx(500 * price * 1.2)


@pytest.mark.parametrize(("have", "used"), [(0, 500), (3000, 3000), (2_000_000, 20_000)])
def test_training_reads_what_there_is_up_to_a_limit(have, used):
    found = bills({**SUPPORT, "labelled_examples": have})["fine_tuning"]
    tokens = 180 + 80 + 150
    assert item(found, "training") == pytest.approx(8 * used * tokens * 3 / 1e6 * 3.00)


@pytest.mark.parametrize(
    ("gap", "change", "task", "times"),
    [
        ("form", "daily", "stable", 1),
        ("form", "daily", "monthly", 12),
        ("facts", "static", "stable", 1),
        ("facts", "monthly", "stable", 12),
        ("both", "weekly", "monthly", 52),
        ("facts", "realtime", "stable", 52),
    ],
)
def test_retraining_keeps_up_with_the_task_the_base_model_and_facts_in_the_weights(gap, change, task, times):
    answers = {**SUPPORT, "gap": gap, "fact_change_rate": change, "task_stability": task}
    once_a_year = item(bills({**SUPPORT, "gap": "form"})["fine_tuning"], "retraining")
    assert item(bills(answers)["fine_tuning"], "retraining") == pytest.approx(times * once_a_year)
    with_retrieval = 12 if task == "monthly" else 1
    both = item(bills({**SUPPORT, "gap": "form"})["rag_fine_tuning"], "retraining")
    assert item(bills(answers)["rag_fine_tuning"], "retraining") == pytest.approx(with_retrieval * both)


def test_documents_are_indexed_once_and_again_where_they_change():
    found = bills(SUPPORT)["rag"]
    assert item(found, "indexing") == pytest.approx(3 * 1.04)
    assert item(found, "indexing again") == pytest.approx(3 * 1.04 * 0.02 * 52 / 12)
    assert item(bills({**SUPPORT, "fact_change_rate": "static"})["rag"], "indexing again") == 0


def test_without_documents_nothing_is_indexed_and_that_is_said():
    answers = {"task": "classification", "corpus_tokens": 0}
    names = {one.name for one in bills(answers)["rag"].items}
    assert "vector store" in names
    assert not {"indexing", "indexing again"} & names
    said = {one.name for one in cost_of(answers, prices=PRICES).assumptions}
    assert "documents" in said
    assert "fact change rate" not in said


def test_on_premises_a_request_costs_nothing_more_and_a_machine_is_paid_by_the_month():
    found = bills(CONTRACTS)
    assert {one.per_request for one in found.values()} == {0}
    assert item(found["fine_tuning"], "own machines") == pytest.approx(0.70 * 730)
    assert item(found["prompting"], "own machines") == pytest.approx(3.42 * 730)


def test_machines_are_added_as_the_busiest_hour_needs_them():
    work = (1500 + 9000) * 0.1 + 120
    one_carries = 600 * 86_400 / 4 / work
    for volume in (300, 11_000, 12_000, 100_000):
        found = bills({**CONTRACTS, "requests_per_day": volume, "model_size": "medium"})["prompting"]
        assert item(found, "own machines") == pytest.approx(math.ceil(volume / one_carries) * 3.42 * 730)


# ---- what is assumed is said


def test_everything_unknown_is_assumed_and_said():
    said = {one.name: one for one in cost_of({}, prices=PRICES).assumptions}
    assert said["requests per day"].value == "1,000"
    assert set(said) == {
        "requests per day",
        "input tokens",
        "instruction tokens",
        "output tokens",
        "corpus tokens",
        "fact change rate",
        "task stability",
        "model size",
        "size of the tuned model",
        "labelled examples",
        "eval examples",
    }
    assert all(one.because and not one.because.endswith(".") for one in said.values())


def test_nothing_that_was_answered_is_assumed():
    said = {one.name for one in cost_of(SUPPORT, prices=PRICES).assumptions}
    assert said == {"output tokens", "size of the tuned model"}


@pytest.mark.parametrize(
    ("answers", "name", "value"),
    [
        ({"model_access": "api_no_tuning"}, "tuned models", "priced as if there were any"),
        ({"model_access": "open_weights"}, "open models", "at a provider, paid by the token"),
        ({"privacy": "on_premises"}, "model size", "medium"),
        ({"task": "rewriting", "input_tokens": 700}, "output tokens", "700"),
    ],
)
def test_choices_of_the_cost_model_itself_are_said(answers, name, value):
    said = {one.name: one.value for one in cost_of(answers, prices=PRICES).assumptions}
    assert said[name] == value


def test_the_reader_learns_whose_prices_and_of_when():
    costs = cost_of(SUPPORT, prices=Prices("2027-01-02", "EUR", PRICES.figures))
    assert (costs.currency, costs.prices_date, costs.requests_per_day) == ("EUR", "2027-01-02", 2000)


@pytest.mark.parametrize("approach", APPROACHES)
def test_each_line_of_a_bill_says_how_it_came_about(approach):
    assert all(one.how for one in bills(SUPPORT)[approach].items)


def test_a_table_of_zeros_costs_nothing():
    free = Prices(
        "2026-01-01", "USD", {name: 1.0 if "speed" in name or "peak" in name else 0.0 for name in PRICES.figures}
    )
    costs = cost_of(SUPPORT, prices=free)
    assert {one.first_year for one in costs.approaches} == {0}
    assert all(one.requests_per_day is None and "cost the same" in one.text for one in costs.break_evens)
