import math

import pytest

from harness.publish import numbers

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.62, "62 %"),
        (0, "0 %"),
        (1, "100 %"),
        (0.625, "63 %"),
        (0.285, "29 %"),
        (0.003, "0.3 %"),
        (0.0003, "< 0.1 %"),
        (0.996, "99.6 %"),
        (0.9997, "> 99.9 %"),
        (0.99, "99 %"),
        (0.0095, "1 %"),
        (-0.12, "−12 %"),
        (NAN, "not measured"),
        (math.inf, "not measured"),
        (None, "not measured"),
    ],
)
def test_a_share_is_whole_percent_and_never_rounds_onto_none_or_all(value, text):
    assert numbers.share(value) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.62, 0.54, 0.7, "62 % (54 to 70 %)"),
        (1.0, 0.88, 1.0, "100 % (88 to 100 %)"),
        (0.62, NAN, NAN, "62 % (interval not measured)"),
        (NAN, 0.1, 0.2, "not measured"),
        (None, None, None, "not measured"),
    ],
)
def test_a_share_with_its_interval(value, low, high, text):
    assert numbers.share_interval(value, low, high) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.62, 0.54, 0.7, "62 points (54 to 70)"),
        (0.01, 0.0, 0.034, "1 point (0 to 3)"),
        (0.004, 0.001, 0.02, "0.4 points (0.1 to 2)"),
        (NAN, 0.1, 0.2, "not measured"),
    ],
)
def test_a_graded_score_is_points_of_a_hundred(value, low, high, text):
    assert numbers.points_interval(value, low, high) == text


def test_the_metric_decides_between_percent_and_points():
    assert numbers.score(0.5, is_share=True) == "50 %"
    assert numbers.score(0.5, is_share=False) == "50 points"
    assert numbers.score_interval(0.5, 0.4, 0.6, is_share=True) == "50 % (40 to 60 %)"
    assert numbers.score_interval(0.5, 0.4, 0.6, is_share=False) == "50 points (40 to 60)"
    assert (numbers.on_axis(0.25, is_share=True), numbers.on_axis(0.25, is_share=False)) == ("25 %", "25")


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.12, 0.03, 0.21, "+12 points (3 to 21)"),
        (-0.12, -0.21, -0.03, "−12 points (−21 to −3)"),
        (0.01, -0.02, 0.04, "+1 point (−2 to 4)"),
        (0.0, 0.0, 0.0, "0 points (0 to 0)"),
        (0.0001, -0.0001, 0.003, "0 points (0 to 0.3)"),
        (0.004, -0.003, 0.011, "+0.4 points (−0.3 to 1.1)"),
        (0.12, NAN, 0.21, "+12 points (interval not measured)"),
        (NAN, NAN, NAN, "not measured"),
        (None, None, None, "not measured"),
    ],
)
def test_a_difference_is_signed_points(value, low, high, text):
    assert numbers.difference_interval(value, low, high) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "5 points"), (0.01, "1 point"), (0.005, "0.5 points"), (None, "not measured")]
)
def test_a_gap_has_no_sign(value, text):
    assert numbers.gap(value) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0, "p < 0.001"),
        (0.0009, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.004, "p = 0.004"),
        (0.0099, "p = 0.01"),
        (0.03, "p = 0.03"),
        (0.05, "p = 0.05"),
        (0.0496, "p = 0.0496"),
        (0.04996, "p = 0.04996"),
        (0.0504, "p = 0.0504"),
        (0.41, "p = 0.41"),
        (0.994, "p > 0.99"),
        (0.99999, "p > 0.99"),
        (1, "p = 1"),
        (NAN, "p not measured"),
        (None, "p not measured"),
    ],
)
def test_a_p_value_never_rounds_onto_the_threshold_or_onto_certainty(p, text):
    assert numbers.p_value(p) == text


def test_a_p_value_in_a_table_goes_without_its_letter():
    assert [numbers.p_number(p) for p in (0.0001, 0.03, 1.0)] == ["< 0.001", "0.03", "1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0 s"),
        (0.0004, "< 0.001 s"),
        (0.0451, "0.045 s"),
        (0.84, "0.8 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (7505, "2 h 5 min"),
        (-1, "not measured"),
        (NAN, "not measured"),
        (None, "not measured"),
    ],
)
def test_a_duration_has_the_units_that_people_use(value, text):
    assert numbers.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234, "1,234"), (1_234_567, "1,234,567"), (12.5, "13"), (None, "not measured")]
)
def test_a_count_has_thousands_separators(value, text):
    assert numbers.count(value) == text


def test_a_count_agrees_with_its_noun():
    assert numbers.counted(1, "case") == "1 case"
    assert numbers.counted(1200, "case") == "1,200 cases"
    assert numbers.counted(2, "approach", "approaches") == "2 approaches"


@pytest.mark.parametrize(
    ("value", "text"), [(7.4, "7.4"), (2.0, "2"), (0.0, "0"), (9.96, "10"), (612.3, "612"), (NAN, "not measured")]
)
def test_a_mean_count_has_a_decimal_only_where_it_is_small(value, text):
    assert numbers.mean_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(512.2, "512 MB"), (1023.6, "1.0 GB"), (1536, "1.5 GB"), (0, "not measured"), (NAN, "not measured")],
)
def test_memory_is_written_in_mb_or_gb(value, text):
    assert numbers.megabytes(value) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [("2026-03-02T09:15:00Z", "2 March 2026"), ("2026-12-31", "31 December 2026"), ("yesterday", "yesterday")],
)
def test_a_day_is_written_out(moment, text):
    assert numbers.date(moment) == text


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "not measured"),
        (NAN, "not measured"),
        (0, "$0"),
        (0.0012, "$0.0012"),
        (9.5, "$9.50"),
        (125, "$130"),
        (1050, "$1,100"),
        (12_345, "$12,000"),
    ],
)
def test_money_has_two_figures_and_halves_go_up(amount, written):
    assert numbers.money(amount, "USD") == written


def test_an_agreed_rate_is_not_rounded():
    assert [numbers.rate(value) for value in (0.05, 0.025, 0.975)] == ["5 %", "2.5 %", "97.5 %"]
