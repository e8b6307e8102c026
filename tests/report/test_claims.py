"""No claim beyond its evidence: words follow the verdict, and every number of the first page is in the document."""

import re
from dataclasses import replace

import builders
import pytest

from harness.publish.client_file import TokenPrices
from harness.publish.markdown import to_markdown
from harness.records import VerdictKind
from harness.report.content import build_report

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
BETTER = re.compile(r"\b(wins?|best choice|significantly better|answers best)\b", re.IGNORECASE)


def first_page_and_rest(data):
    """The first page's own text, and all that stands behind it."""
    page, rest = to_markdown(build_report(data)).split("\n## How the trial was run\n", 1)
    return page.split("\n## ", 1)[1], rest


@pytest.mark.parametrize("build", builders.ALL_KINDS)
@pytest.mark.parametrize("prices", [None, TokenPrices("EUR", 1.0, 10.0)])
def test_every_number_of_the_first_page_is_backed_by_the_document(build, prices):
    page, rest = first_page_and_rest(replace(build(), prices=prices))
    there = set(NUMBER.findall(rest))
    assert [number for number in NUMBER.findall(page) if number not in there] == []


@pytest.mark.parametrize("build", builders.ALL_KINDS)
def test_nobody_is_called_best_where_the_verdict_names_no_winner(build):
    data = build()
    page, _ = first_page_and_rest(data)
    ours = page.replace(data.verdict.sentences[0], "")
    assert bool(BETTER.search(ours)) == (data.verdict.kind is VerdictKind.WINNER)


@pytest.mark.parametrize("build", builders.ALL_KINDS)
def test_advice_is_called_confirmed_or_refuted_only_where_the_verdict_says_so(build):
    data = build()
    page, _ = first_page_and_rest(data)
    relation = data.verdict.advice.relation
    assert ("This trial confirms it." in page) == (relation == "confirmed")
    assert ("This trial refutes it." in page) == (relation == "refuted")


def test_an_arm_that_failed_is_shown_with_its_failures_and_counts_as_nothing():
    text = to_markdown(build_report(builders.failed_arm()))
    assert "| LoRA | 0 % (0 to 12 %) | 40 | 36 | 0 |" in text
    assert "each counts as 0" in text
