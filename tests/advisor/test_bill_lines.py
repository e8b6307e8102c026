"""Whole bills, line by line, as the reader gets them; what each line should be was worked out by hand once."""

from itertools import pairwise

import pytest

from advisor.costs import cost_of
from advisor.prices import read_prices
from advisor.records import APPROACHES

PRICES = read_prices(None)
SUPPORT = {
    "task": "facts_qa",
    "gap": "facts",
    "requests_per_day": 2000,
    "corpus_tokens": 3_000_000,
    "fact_change_rate": "weekly",
    "input_tokens": 80,
    "instruction_tokens": 1200,
    "labelled_examples": 10,
    "eval_examples": 150,
    "model_size": "frontier",
    "task_stability": "stable",
}
CONTRACTS = {
    "task": "extraction",
    "gap": "form",
    "requests_per_day": 12_000,
    "input_tokens": 9000,
    "instruction_tokens": 1500,
    "privacy": "on_premises",
    "labelled_examples": 600,
}
FAR = {"task": "extraction", "gap": "form", "model_size": "small", "instruction_tokens": 900, "input_tokens": 10}
"""A break-even above a million requests a day."""
BILLS = {
    ("support", "few_shot"): """\
building | once | 13000 | 13 days x 1,000
upkeep | month | 750 | 0.75 days x 1,000
reading the instructions | request | 0.001008 | 1,200 tokens, 80% of them cached, frontier model at 3 a million
reading the input | request | 0.00024 | 80 tokens at 3
reading the examples | request | 0.00345 | 1,150 tokens at 3
writing the answer | request | 0.00225 | 150 tokens at 15 a million
search | request | 0.0002 | one search, its embedding included
test examples | once | 180 | 50 still missing x 3.60
testing | once | 7.148 | 200 examples x 5 versions x 0.00715 a request
labelled examples | once | 144 | 40 of 50 still missing x 3.60
""",
    ("support", "fine_tuning"): """\
building | once | 23000 | 23 days x 1,000
upkeep | month | 1000 | 1 day x 1,000
reading the instructions | request | 7.2e-05 | 240 tokens, none of them cached, tuned small model at 0.3 a million
reading the input | request | 2.4e-05 | 80 tokens at 0.3
writing the answer | request | 0.00018 | 150 tokens at 1.2 a million
test examples | once | 180 | 50 still missing x 3.60
testing | once | 0.4416 | 200 examples x 8 versions x 0.00028 a request
labelled examples | once | 1764 | 490 of 500 still missing x 3.60
training | once | 16.92 | 8 runs x 0.70 million tokens (500 examples) x 3.00
retraining | month | 10236.1 | 52 a year (the facts change) x 2,362: work, 100 new examples, training, test
""",
    ("support", "rag"): """\
building | once | 25000 | 25 days x 1,000
upkeep | month | 2000 | 2 days x 1,000
reading the instructions | request | 0.001008 | 1,200 tokens, 80% of them cached, frontier model at 3 a million
reading the input | request | 0.00024 | 80 tokens at 3
reading the passages | request | 0.0045 | 1,500 tokens at 3
writing the answer | request | 0.00225 | 150 tokens at 15 a million
search | request | 0.0002 | one search, its embedding included
reranking | request | 0.001 | the passages of one search
test examples | once | 180 | 50 still missing x 3.60
testing | once | 9.198 | 200 examples x 5 versions x 0.00920 a request
vector store | month | 70 | one store
indexing | once | 3.12 | 3,000,000 tokens x 1.04 a million
indexing again | month | 0.2704 | 52 changes a year, 2% of the documents each
""",
    ("contracts", "rag"): """\
building | once | 25000 | 25 days x 1,000
upkeep | month | 2000 | 2 days x 1,000
test examples | once | 360 | 200 still missing x 1.80
vector store | month | 70 | one store
indexing | once | 0.0791667 | 500,000 tokens x 0.16 a million
indexing again | month | 0.00158333 | 12 changes a year, 2% of the documents each
own machines | month | 4993.2 | 2 x 2,497 for a medium model; one carries about 9,800 requests a day with their peak
""",
    ("contracts", "rag_fine_tuning"): """\
building | once | 40000 | 40 days x 1,000
upkeep | month | 2500 | 2.5 days x 1,000
test examples | once | 360 | 200 still missing x 1.80
vector store | month | 70 | one store
indexing | once | 0.0791667 | 500,000 tokens x 0.16 a million
indexing again | month | 0.00158333 | 12 changes a year, 2% of the documents each
training | once | 117.6 | 8 runs x 19.66 million tokens (600 examples) x 0.75
retraining | month | 182.892 | 1 a year (the base model is replaced) x 2,195: work, 100 new examples, training, test
own machines | month | 1022 | 2 x 511 for a small model; one carries about 7,200 requests a day with their peak
""",
}


@pytest.mark.parametrize(("case", "approach"), BILLS)
def test_a_whole_bill_reads_as_worked_out(case, approach):
    costs = cost_of({"support": SUPPORT, "contracts": CONTRACTS}[case], prices=PRICES)
    (found,) = (one for one in costs.approaches if one.approach == approach)
    lines = [f"{one.name} | {one.per} | {one.amount:.6g} | {one.how}\n" for one in found.items]
    assert "".join(lines) == BILLS[case, approach]


@pytest.mark.parametrize(
    ("answers", "often"),
    [
        ({"gap": "form"}, "1 a year (the base model is replaced)"),
        ({"gap": "form", "task_stability": "monthly"}, "12 a year (the task changes)"),
        ({"gap": "both"}, "52 a year (the facts change)"),
        ({"fact_change_rate": "daily"}, "52 a year (the facts change daily; more often is hardly possible)"),
    ],
)
def test_a_bill_says_what_makes_a_tuned_model_old(answers, often):
    found = {one.approach: one for one in cost_of({**SUPPORT, **answers}, prices=PRICES).approaches}["fine_tuning"]
    assert next(one.how for one in found.items if one.name == "retraining").startswith(f"{often} x ")


def test_each_assumption_says_why():
    told = {one.name: f"{one.value}: {one.because}" for one in cost_of({}, prices=PRICES).assumptions}
    assert told == {
        "requests per day": "1,000: nobody said how many",
        "input tokens": "300: nobody said how long an input is; this is about 230 words",
        "instruction tokens": "600: nobody said how long the instructions are; this is about a page and a half",
        "output tokens": "250: nobody said what the task is; this is about 190 words",
        "corpus tokens": "500,000: nobody said how large the documents are; this is about 1,250 pages",
        "fact change rate": "monthly: nobody said how often the facts change",
        "task stability": "stable: nobody said how often the task changes",
        "model size": "frontier: nobody said which models may be used",
        "size of the tuned model": "small: a tuned smaller model is meant to do the work of the larger one; "
        "the bake-off shows whether it does",
        "labelled examples": "0: nobody said how many there are, so all that are needed are paid for",
        "eval examples": "0: nobody said how many are kept for testing, so all that are needed are paid for",
    }


@pytest.mark.parametrize(
    ("answers", "name", "value", "because"),
    [
        ({"task": "chess"}, "output tokens", "250", "usual for this kind of task"),
        ({"task": "rewriting"}, "output tokens", "300", "a rewritten text is about as long as the text"),
        ({"privacy": "on_premises"}, "model size", "medium", "nobody said which models your machines can run"),
        (
            {"model_access": "api_no_tuning"},
            "tuned models",
            "priced as if there were any",
            "no model that may be used can be tuned; the bill shows what that costs or saves",
        ),
        (
            {"model_access": "open_weights"},
            "open models",
            "at a provider, paid by the token",
            "nothing says that they must run on your own machines; answer so to see that bill",
        ),
        (
            {"corpus_tokens": 0},
            "documents",
            "priced as if there were any, but for indexing",
            "there are none to retrieve from; the bill shows what reading passages would cost",
        ),
    ],
)
def test_what_the_cost_model_took_says_why(answers, name, value, because):
    told = {one.name: (one.value, one.because) for one in cost_of(answers, prices=PRICES).assumptions}
    assert told[name] == (value, because)


@pytest.mark.parametrize(
    ("answers", "noted"),
    [
        ({"gap": "facts", "corpus_tokens": 199_999}, True),
        ({"gap": "both", "corpus_tokens": 1}, True),
        ({"gap": "facts", "corpus_tokens": 200_000}, False),
        ({"gap": "form", "corpus_tokens": 1000}, False),
        ({"gap": "facts", "corpus_tokens": 1000, "privacy": "on_premises"}, False),
        ({"gap": "facts"}, False),
    ],
)
def test_documents_in_the_prompt_are_priced_where_they_would_fit_and_help(answers, noted):
    told = {one.name: one.value for one in cost_of(answers, prices=PRICES).assumptions}
    assert told.get("documents in the prompt") == ("none" if noted else None)


def test_token_prices_are_those_of_each_approachs_model_and_what_a_request_costs_beside():
    found = {one.approach: (one.model, one.read, one.written, one.beside) for one in
             cost_of(SUPPORT, prices=PRICES).token_prices}  # fmt: skip
    assert found == {
        "prompting": ("frontier model", 3.0, 15.0, 0),
        "few_shot": ("frontier model", 3.0, 15.0, pytest.approx(0.0002)),
        "rag": ("frontier model", 3.0, 15.0, pytest.approx(0.0012)),
        "fine_tuning": ("tuned small model", pytest.approx(0.3), pytest.approx(1.2), 0),
        "rag_fine_tuning": ("tuned small model", pytest.approx(0.3), pytest.approx(1.2), pytest.approx(0.0012)),
    }
    assert cost_of(CONTRACTS, prices=PRICES).token_prices == ()


@pytest.mark.parametrize(("answers", "a_decade"), [(SUPPORT, 6), (CONTRACTS, 12), (FAR, 6)])
def test_the_curve_is_closer_where_bills_have_steps_and_ends_at_a_million_requests(answers, a_decade):
    costs = cost_of(answers, prices=PRICES)
    volumes = [one.requests_per_day for one in costs.curve]
    assert (volumes[0], volumes[-1]) == (10, 1e6)
    assert {10 ** (step / a_decade) for step in range(a_decade, 6 * a_decade + 1)} <= set(volumes)
    jumps = {
        approach: sum(
            after.requests_per_day == pytest.approx(before.requests_per_day * 1.0001, rel=1e-9)
            and after.first_year[approach] - before.first_year[approach] > 100
            for before, after in pairwise(costs.curve)
        )
        for approach in APPROACHES
    }
    assert all(count > 0 for count in jumps.values()) == (answers is CONTRACTS), "where a machine is added"
    # The grid, the asked volume, at most a break-even a pair, and both sides of ten steps a bill.
    steps = 2 * 10 * len(APPROACHES) if answers is CONTRACTS else 0
    assert len(volumes) <= 5 * a_decade + 2 + len(costs.break_evens) + steps
