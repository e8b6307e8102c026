"""Use cases that a senior consultant has an opinion on, each with the advice and the reason that must carry it."""

from pathlib import Path

import pytest

from advisor.recommend import recommend
from tests.bench.advice import advised, one_line, read_cases, scores

ARCHETYPES = [
    pytest.param(
        {
            "task": "facts_qa", "gap": "facts", "fact_change_rate": "weekly", "corpus_tokens": 800_000,
            "labelled_examples": 40, "eval_examples": 60, "requests_per_day": 2_000, "hallucination_cost": "high",
        },
        "rag", "gap-facts", {"fine_tuning": "facts-change-weekly"}, id="support bot on changing policies",
    ),
    pytest.param(
        {
            "task": "rewriting", "gap": "form", "labelled_examples": 1_200, "label_quality": "clean",
            "explicit_rules": "few", "model_access": "api_tuning", "eval_examples": 200,
        },
        "fine_tuning", "gap-form", {}, id="brand voice with 1,200 edited texts",
    ),
    pytest.param(
        {"task": "rewriting", "gap": "form", "labelled_examples": 25, "eval_examples": 25},
        "few_shot", "examples-10-49", {}, id="brand voice with 25 edited texts",
    ),
    pytest.param(
        {
            "task": "classification", "gap": "form", "classes": 77, "labelled_examples": 770,
            "model_access": "open_weights", "eval_examples": 300,
        },
        "fine_tuning", "per-class-10-up", {}, id="77 intents with 10 labels each",
    ),
    pytest.param(
        {"task": "classification", "gap": "form", "classes": 77, "labelled_examples": 154, "eval_examples": 77},
        "few_shot", "per-class-under-3", {}, id="77 intents with 2 labels each",
    ),
    pytest.param(
        {
            "task": "extraction", "gap": "form", "labelled_examples": 4_000, "consistency": "strict",
            "privacy": "on_premises", "eval_examples": 400, "requests_per_day": 300,
        },
        "fine_tuning", "examples-1000-up", {}, id="contract extraction on premises",
    ),
    pytest.param(
        {"task": "extraction", "gap": "form", "labelled_examples": 8, "eval_examples": 8},
        "prompting", "examples-under-10", {"fine_tuning": "under-10-examples"}, id="8 examples only",
    ),
    pytest.param(
        {
            "task": "classification", "gap": "form", "classes": 13, "labelled_examples": 4_000,
            "model_access": "api_no_tuning", "eval_examples": 400,
        },
        "few_shot", "narrow-labelling", {"fine_tuning": "no-tunable-model"}, id="an API without tuning",
    ),
    pytest.param(
        {
            "task": "facts_qa", "gap": "facts", "needs_citations": True, "corpus_tokens": 5_000_000,
            "fact_change_rate": "yearly", "labelled_examples": 100, "eval_examples": 100,
        },
        "rag", "gap-facts", {"fine_tuning": "citations-need-documents"}, id="answers with citations",
    ),
    pytest.param(
        {
            "task": "classification", "gap": "form", "classes": 4, "labelled_examples": 20_000,
            "requests_per_day": 500_000, "latency_ms": 300, "eval_examples": 2_000, "ml_skill": "strong",
        },
        "fine_tuning", "latency-tight", {}, id="500,000 requests a day",
    ),
    pytest.param(
        {
            "task": "facts_qa", "gap": "both", "labelled_examples": 3_000, "corpus_tokens": 2_000_000,
            "fact_change_rate": "yearly", "ml_skill": "strong", "eval_examples": 300, "budget": "large",
            "model_access": "open_weights", "vocabulary": "specialised",
        },
        "rag_fine_tuning", "gap-both", {}, id="facts and a house format, with 3,000 answers",
    ),
    pytest.param(
        {
            "task": "agent", "gap": "none", "task_stability": "monthly", "explicit_rules": "many_changing",
            "model_size": "frontier", "eval_examples": 50,
        },
        "prompting", "gap-none", {}, id="an agent whose job changes each month",
    ),
    pytest.param(
        {"task": "summarisation", "gap": "none", "weeks_to_launch": 1, "eval_examples": 20},
        "prompting", "launch-soon", {}, id="summaries, launch next week",
    ),
    pytest.param(
        {
            "task": "facts_qa", "gap": "facts", "access_control": True, "privacy": "not_in_weights",
            "fact_change_rate": "realtime", "eval_examples": 80,
        },
        "rag", "access-control", {"fine_tuning": "restricted-documents"}, id="search with permissions",
    ),
    pytest.param(
        {"task": "facts_qa", "corpus_tokens": 60_000, "question_shape": "whole_corpus", "gap": "none",
         "eval_examples": 40},
        "prompting", "whole-corpus-question", {}, id="a whole contract fits the prompt",
    ),
    pytest.param(
        {"task": "rewriting", "gap": "form", "labelled_examples": 2_000, "label_quality": "noisy",
         "eval_examples": 100},
        "few_shot", "gap-form", {}, id="thousands of uneven examples",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("answers", "approach", "reason", "vetoed"), ARCHETYPES)
def test_the_advice_is_what_a_senior_consultant_would_defend(answers, approach, reason, vetoed):
    found = recommend(answers)
    assert found.approach == approach, [(one.approach, round(one.probability, 2)) for one in found.standings]
    best = found.standing(approach)
    assert reason in [vote.rule for vote in best.votes if vote.weight > 0][:4]
    for against, veto in vetoed.items():
        standing = found.standing(against)
        assert (standing.band, standing.probability) == ("ruled out", 0.0)
        assert veto in [one.rule for one in standing.vetoes]


def test_published_results_are_advised_as_they_came_out():
    """Forty results quoted in the evidence (sources in the file); the bar is far above what one line of rules gets."""
    cases = read_cases(Path(__file__).with_name("published.jsonl"))
    ours, simple = scores(cases, advised), scores(cases, one_line)
    assert len(cases) == 40
    assert ours["lenient_top1"] >= 0.9
    assert ours["brier"] < simple["brier"] - 0.1
