"""From predictions to scores of cases and arms."""

import math

import msgspec
import pytest

from harness.experiment.compare import compare_arms
from harness.experiment.decide import decide
from harness.experiment.score import arm_scores, clusters_of, score_cases
from harness.metrics.registry import metrics_for
from harness.records import ArmScore, Measurement, Prediction, VerdictKind
from harness.scenario import Case, DecisionRule, Kind

RULE = DecisionRule(metric="token_f1", margin=0.05, resamples=500)


def said(case_id, text, arm="prompt", error=None):
    return Prediction(case_id, arm, text, 10, 3, 0.1, error=error)


def scored(cases, answers, measurements=(), *, kind=Kind.SHORT_ANSWER, labels=(), arm="prompt"):
    """Score one arm's answers (case id -> text, or a prediction)."""
    given = {id_: said(id_, text, arm) if isinstance(text, str) else text for id_, text in answers.items()}
    return score_cases(cases, {arm: given}, measurements, kind=kind, labels=labels)


def score_of(case_scores, cases, metric, *, kind=Kind.SHORT_ANSWER, labels=(), rule=RULE):
    found = arm_scores(case_scores, cases, rule=rule, kind=kind, labels=labels)
    return next((one for one in found if one.metric == metric), None)


CASES = [Case("1", "capital?", "Paris"), Case("2", "number?", "1,000"), Case("3", "colour?", "red", ("crimson",))]


def test_every_text_metric_of_the_kind_is_there_for_every_case_and_arm():
    rows = score_cases(CASES, {"prompt": {}, "rag": {"1": said("1", "Paris", "rag")}}, kind=Kind.SHORT_ANSWER)
    assert [(row.arm, row.case_id) for row in rows] == [(a, c) for a in ("prompt", "rag") for c in "123"]
    expected = {metric.name for metric in metrics_for(Kind.SHORT_ANSWER) if metric.score}
    assert all(set(row.values) == expected for row in rows)


def test_answers_are_parsed_and_the_best_reference_counts():
    first, second, third = scored(CASES, {"1": "Answer: paris.\nmore", "2": "1000 euros", "3": "crimson"})
    assert (first.answer, first.values["exact_match"]) == ("paris.", 1)
    assert (second.values["exact_match"], second.values["contains"]) == (0, 1)
    assert third.values["token_f1"] == 1


@pytest.mark.parametrize(
    "prediction",
    [None, said("1", ""), said("1", " \n"), said("1", "Paris", error="out of memory"), said("1", "", error="x")],
    ids=["missing", "empty", "blank", "error with text", "error"],
)
def test_a_failure_scores_0_on_everything_and_is_counted(prediction):
    rows = scored(CASES[:1], {"1": prediction} if prediction else {})
    assert rows[0].failed
    assert rows[0].answer == ""
    assert set(rows[0].values.values()) == {0.0}
    total = score_of(rows, CASES[:1], "token_f1")
    assert (total.value, total.n, total.failed) == (0, 1, 1)


def test_a_failure_stays_in_the_mean():
    total = score_of(scored(CASES, {"1": "Paris"}), CASES, "token_f1")
    assert (total.value, total.n, total.failed) == (pytest.approx(1 / 3), 3, 2)


def test_saying_nothing_is_right_where_that_is_the_right_answer_but_an_error_never_is():
    silent = [Case("1", "x", "")]
    row = scored(silent, {"1": " "})[0]
    assert (row.failed, row.values["exact_match"]) == (False, 1)
    broken = scored(silent, {"1": said("1", "", error="x")})[0]
    assert (broken.failed, broken.values["exact_match"]) == (True, 0)
    assert scored(silent, {})[0].failed


def test_expected_labels_may_be_spelled_otherwise_than_in_the_label_set():
    cases = [Case("1", "x", "Card Payment"), Case("2", "x", "refund?")]
    rows = scored(cases, {"1": "card_payment", "2": "refund"}, kind=Kind.LABELS, labels=("card_payment", "refund"))
    assert [row.values["accuracy"] for row in rows] == [1, 1]
    assert score_of(rows, cases, "macro_f1", kind=Kind.LABELS, labels=("card_payment", "refund")).value == 1


def test_macro_f1_counts_rare_labels_as_much_as_common_ones_and_has_an_interval():
    cases = [Case(str(i), "x", "rare" if i < 4 else "common") for i in range(40)]
    rows = scored(cases, {case.id: "common" for case in cases}, kind=Kind.LABELS, labels=("rare", "common"))
    total = score_of(rows, cases, "macro_f1", kind=Kind.LABELS, labels=("rare", "common"))
    assert total.value == pytest.approx((2 * 36 / 76 + 0) / 2)
    assert 0.4 < total.low < total.value < total.high <= 1
    assert score_of(rows, cases, "accuracy", kind=Kind.LABELS).value == 0.9


def test_macro_f1_takes_any_accepted_label_for_right():
    cases = [Case("1", "x", "a", ("b",)), Case("2", "x", "b")]
    rows = scored(cases, {"1": "b", "2": "b"}, kind=Kind.LABELS, labels=("a", "b"))
    assert score_of(rows, cases, "macro_f1", kind=Kind.LABELS, labels=("a", "b")).value == 1


def measured(name, *values, arm="prompt"):
    return [Measurement(str(i + 1), arm, name, value) for i, value in enumerate(values) if value is not None]


def test_stored_measurements_are_scores_too():
    rows = scored(CASES, {"1": "a", "2": "b", "3": "c"}, measured("embedding_similarity", 0.5, -0.2, 1.0000001))
    assert [row.values["embedding_similarity"] for row in rows] == [0.5, 0, 1]
    assert score_of(rows, CASES, "embedding_similarity").value == 0.5


def test_a_measurement_that_is_missing_or_not_a_number_is_0_where_the_arm_was_measured_at_all():
    rows = scored(CASES, {"1": "a", "2": "b"}, measured("embedding_similarity", 0.6, math.nan, 0.9))
    assert [row.values["embedding_similarity"] for row in rows] == [0.6, 0, 0]
    assert (
        "embedding_similarity"
        not in scored(CASES, {"1": "a"}, measured("embedding_similarity", 1, arm="rag"))[0].values
    )
    assert score_of(scored(CASES, {"1": "a"}), CASES, "embedding_similarity") is None


def test_retrieval_is_scored_on_cases_with_a_known_document_whatever_the_answer():
    cases = [Case("1", "x", "y", context_id="d"), Case("2", "x", "y"), Case("3", "x", "y", context_id="e")]
    rows = scored(cases, {"1": "", "2": "y", "3": "y"}, measured("hit_at_k", 1, 1, None))
    assert [row.values.get("hit_at_k") for row in rows] == [1, None, 0]
    total = score_of(rows, cases, "hit_at_k")
    assert (total.value, total.n, total.failed) == (0.5, 2, 1)


def test_measurements_of_an_unknown_name_or_of_a_computed_metric_change_nothing():
    rows = scored(CASES, {"1": "Paris"}, [*measured("token_f1", 0.1), *measured("elegance", 1)])
    assert rows[0].values["token_f1"] == 1
    assert "elegance" not in rows[0].values


def test_the_interval_is_wilsons_for_right_or_wrong_and_wider_with_groups():
    alone = [Case(str(i), "x", "y") for i in range(40)]
    grouped = [Case(str(i), "x", "y", group=str(i // 8)) for i in range(40)]
    answers = {str(i): "y" if i < 16 else "n" for i in range(40)}
    one = score_of(scored(alone, answers), alone, "exact_match")
    many = score_of(scored(grouped, answers), grouped, "exact_match")
    assert (one.low, one.high) == (pytest.approx(0.2635, abs=1e-3), pytest.approx(0.5540, abs=1e-3))
    assert many.low < one.low < one.high < many.high


def test_groups_matter_only_where_one_has_several_cases():
    assert clusters_of([Case("1", "x", "y", group="a"), Case("2", "x", "y", group="b"), Case("3", "x", "y")]) is None
    both = clusters_of([Case("1", "x", "y", group="3"), Case("2", "x", "y", group="3"), Case("3", "x", "y")])
    assert both[0] == both[1] != both[2]


def test_scores_come_metric_by_metric_and_survive_json():
    rows = score_cases(CASES, {"dummy": {}, "prompt": {"1": said("1", "Paris")}}, kind=Kind.SHORT_ANSWER)
    found = arm_scores(rows, CASES, rule=RULE, kind=Kind.SHORT_ANSWER)
    assert [(one.metric, one.arm) for one in found][:3] == [
        ("token_f1", "dummy"),
        ("token_f1", "prompt"),
        ("exact_match", "dummy"),
    ]
    for one in found:
        assert msgspec.json.decode(msgspec.json.encode(one), type=ArmScore) == one
        assert 0 <= one.low <= one.value <= one.high <= 1


@pytest.mark.parametrize(
    ("by_seed", "failed"),
    [
        ((0, 3), 2),  # 1.5 in the mean
        ((10, 0), 5),
        ((10, 10), 10),
        ((10, 9), 9),  # one answer is an answer
        ((10, 10, 9), 9),
        ((0, 0, 1), 1),
        ((4,), 4),
    ],
)
def test_failures_are_those_of_all_training_seeds(by_seed, failed):
    cases = [Case(str(n), "x", "y") for n in range(10)]
    first, *others = (scored(cases, {str(n): "y" for n in range(count, 10)}, arm="lora") for count in by_seed)
    more = {"lora": [{row.case_id: row for row in rows} for rows in others]}
    found = arm_scores(first, cases, rule=RULE, kind=Kind.SHORT_ANSWER, seeds=more)
    total = next(one for one in found if one.metric == "token_f1")
    assert (total.n, total.failed) == (10, failed)
    assert total.value == pytest.approx(1 - sum(by_seed) / (10 * len(by_seed)))


def test_an_arm_whose_first_seed_was_silent_is_compared_all_the_same():
    cases = [Case(str(n), "x", "y") for n in range(40)]
    silent, spoke = scored(cases, {}, arm="lora"), scored(cases, {c.id: "y" for c in cases}, arm="lora")
    others = [scored(cases, {c.id: "n" for c in cases}, arm=arm) for arm in ("dummy", "prompt")]
    rows = (*others[0], *others[1], *silent)
    seeds = {"lora": [{row.case_id: row for row in spoke}] * 2}
    found = arm_scores(rows, cases, rule=RULE, kind=Kind.SHORT_ANSWER, seeds=seeds)
    arms = ("dummy", "prompt", "lora")
    pairs = compare_arms(rows, cases, rule=RULE, metric="token_f1", arms=arms, seeds=seeds)
    verdict = decide([one for one in found if one.metric == "token_f1"], pairs, rule=RULE)
    assert verdict.kind is not VerdictKind.COULD_NOT_COMPARE, "as with the plain prompt alone"
    assert verdict.scores[0].arm == "lora"


def test_without_cases_there_are_no_scores():
    assert score_cases([], {"prompt": {}}, kind=Kind.JSON) == ()
    assert arm_scores([], [], rule=RULE, kind=Kind.JSON) == ()
