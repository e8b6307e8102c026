"""The words of a verdict."""

import numpy as np
import pytest
from verdict_builders import LEVEL, OPEN, decided, judged

from harness.experiment.wording import listed
from harness.records import LeftOut, VerdictKind

WORDS = {
    "winner": (
        ({"dummy": 0.1, "prompt": 0.53, "rag": 0.50, "lora": 0.3}, {}, {}),
        [
            "The plain prompt is the best choice: it is significantly better than each of RAG and LoRA.",
            "The plain prompt: 53 % of answers right (45 to 61 %); RAG: 50 % of answers right (42 to 58 %); "
            "LoRA: 30 % of answers right (22 to 38 %).",
            "The plain prompt is ahead of RAG by 3 points (95 % interval 1 to 5 points).",
            "The plain prompt is ahead of LoRA by 23 points (95 % interval 21 to 25 points).",
            "The lead over RAG is smaller than the 5 points agreed on; it decides because the plain prompt costs "
            "less as well.",
            "Measured by Accuracy on 100 cases, the same for all; in brackets the 95 % interval; differences below "
            "5 points were agreed not to matter.",
        ],
    ),
    "tie": (
        ({"dummy": 0.1, "prompt": 0.50, "rag": 0.512}, {("prompt", "rag"): LEVEL}, {"failed": {"rag": 3}}),
        [
            "Take the plain prompt: it is the cheapest that can be recommended, and RAG is not better by enough to "
            "matter.",
            "RAG: 51 % of answers right (43 to 59 %); the plain prompt: 50 % of answers right (42 to 58 %).",
            "RAG is 1.2 points ahead of the plain prompt; it is better by 2.9 points at the most (95 % confidence).",
            "Measured by Accuracy on 100 cases, the same for all; in brackets the 95 % interval; differences below "
            "5 points were agreed not to matter.",
            "RAG gave no answer to 3 of 100 cases; each counts as wrong.",
        ],
    ),
    "open gap": (
        (
            {"dummy": 0.1, "prompt": 0.50, "rag": 0.51, "agent": 0.6},
            {("prompt", "agent"): OPEN, ("rag", "agent"): OPEN},
            {},
        ),
        [
            "Not decided yet: 100 cases do not settle the choice between “agent”, RAG and the plain prompt.",
            "“agent”: 60 % of answers right (52 to 68 %); RAG: 51 % of answers right (43 to 59 %); "
            "the plain prompt: 50 % of answers right (42 to 58 %).",
            "On these cases “agent” is 9 points ahead of RAG; the true difference may be anything from −3 to 21 "
            "points.",
            "On these cases “agent” is 10 points ahead of the plain prompt; the true difference may be anything from "
            "−2 to 22 points.",
            "About 500 cases in all would settle it, if the differences seen here are the true ones.",
            "Measured by Accuracy on 100 cases, the same for all; in brackets the 95 % interval; differences below "
            "5 points were agreed not to matter.",
        ],
    ),
    "hopeless gap": (
        ({"dummy": 0.1, "prompt": 0.50, "rag": 0.5499}, {("prompt", "rag"): OPEN}, {}),
        [
            "It would take many thousands of cases to settle: the difference seen lies too close to the smallest that "
            "matters. Choose by cost, or agree on a larger margin for the next run."
        ],
    ),
    "few cases": (
        ({"dummy": 0.1, "prompt": 0.2, "rag": 0.9}, {}, {"n": 12}),
        [
            "Not decided: 12 cases are too few; the rule asks for at least 30.",
            "Add 18 or more cases and run again.",
        ],
    ),
    "unsure lead": (
        ({"dummy": 0.4, "prompt": 0.47, "rag": 0.41}, {("dummy", "prompt"): OPEN, ("dummy", "rag"): OPEN}, {}),
        [
            "Not decided: no approach is shown to be better than always giving the commonest answer (the control), "
            "though the plain prompt may well be.",
            "On these cases the plain prompt is 7 points ahead of the control; the true difference may be anything "
            "from −5 to 19 points.",
            "About 850 cases in all would settle it, if the differences seen here are the true ones.",
        ],
    ),
    "no lead": (
        ({"dummy": 0.40, "prompt": 0.41, "rag": 0.39}, {("dummy", "prompt"): LEVEL, ("dummy", "rag"): LEVEL}, {}),
        [
            "None of these is worth having: no approach is shown to be better than always giving the commonest answer "
            "(the control).",
            "On these cases the plain prompt is 1 point ahead of the control; the true difference may be anything from "
            "−1 to 3 points.",
            "Another model, better instructions or better data would have to come first.",
        ],
    ),
    "target just missed": (
        ({"dummy": 0.1, "prompt": 0.5, "rag": 0.65}, {}, {"target": 0.7}),
        [
            "None of these is good enough: the best, RAG, misses the target of 70 %.",
            "Its interval still reaches the target, so more cases could change this.",
        ],
    ),
    "target far": (
        ({"dummy": 0.1, "prompt": 0.5, "rag": 0.6}, {}, {"target": 0.9}),
        ["Even the upper end of its interval is below the target."],
    ),
    "one arm": (
        ({"dummy": 0.1, "prompt": 0.5}, {}, {"left_out": [LeftOut("rag", "no documents")]}),
        [
            "Nothing to choose between: only the plain prompt gave answers.",
            "The plain prompt is ahead of the control by 40 points (95 % interval 38 to 42 points).",
            "Left out: RAG (no documents).",
        ],
    ),
    "no answers": (
        ({"dummy": 0.1, "prompt": 0.0}, {}, {"failed": {"prompt": 100}}),
        [
            "Nothing could be compared: no approach gave a single answer.",
            "The plain prompt gave no answer to 100 of 100 cases; each counts as wrong.",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_the_words_of_a_verdict(name):
    (values, gaps, options), sentences = WORDS[name]
    found = decided(values, gaps, **options).sentences
    assert [sentence for sentence in found if sentence in sentences] == sentences, "\n".join(found)


def test_graded_metrics_are_worded_as_points_of_100():
    rng = np.random.default_rng(0)
    base = rng.random(80) * 0.5
    found = judged("chrf", dummy=base / 10, prompt=base, rag=base + 0.2 + rng.normal(0, 0.05, 80))
    assert found.kind is VerdictKind.WINNER
    assert found.sentences[1] == "RAG: chrF 46 points (42 to 49); the plain prompt: chrF 26 points (22 to 29)."
    assert found.sentences[2] == "RAG is ahead of the plain prompt by 20 points (95 % interval 19 to 21 points)."
    assert "differences below 5 points were agreed not to matter." in found.sentences[-1]


def test_names_are_listed():
    assert [listed(items) for items in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
