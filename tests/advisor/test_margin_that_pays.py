"""The smallest gain that pays, from the answers to the decision rule."""

import json

import pytest
from fakes import tiny_scenario, write_scenario_files

from advisor import api
from advisor.answers import combine, parse_set
from advisor.trial import write_hypothesis
from harness.errors import InputProblems
from harness.scenario_file.read import read_scenario

ANSWERS = ("task=facts_qa", "gap=facts", "corpus_tokens=500000", "requests_per_day=2000", "labelled_examples=500")


def advised(error_cost):
    return api.advise(combine(parse_set(ANSWERS), (), ()), context=api.Context(error_cost=error_cost))


def test_a_dearer_mistake_makes_a_smaller_gain_pay():
    gains = [advised(cost).hypothesis.margin_that_pays for cost in (0.5, 5.0)]
    assert 0 <= gains[1] < gains[0] <= 1


def test_without_the_price_of_a_mistake_nothing_is_said():
    assert advised(None).hypothesis.margin_that_pays is None


def test_where_no_gain_would_pay_none_is_named():
    assert advised(1e-9).hypothesis.margin_that_pays is None


def test_the_bake_off_decides_by_it(tmp_path):
    path = write_scenario_files(tmp_path / "s", tiny_scenario())
    advice = advised(5.0)
    write_hypothesis(path, advice.hypothesis, band="likely", answers=advice.answers)
    text = (path / "scenario.toml").read_text()
    (path / "scenario.toml").write_text(text.replace("margin = 0.05", 'margin = "pays"'))
    scenario = read_scenario(path)
    assert scenario.rule.margin == advice.hypothesis.margin_that_pays
    assert any("smallest gain that pays" in one.because for one in scenario.inferred)


def test_a_margin_that_nobody_worked_out_is_refused(tmp_path):
    path = write_scenario_files(tmp_path / "s", tiny_scenario())
    text = (path / "scenario.toml").read_text()
    (path / "scenario.toml").write_text(text.replace("margin = 0.05", 'margin = "pays"'))
    with pytest.raises(InputProblems) as refused:
        read_scenario(path)
    assert "run `advise --data DIR --error-cost AMOUNT`" in str(refused.value.problems[0])


def test_it_is_in_the_advice_file(tmp_path):
    api.write_json(advised(5.0), tmp_path / "advice.json")
    assert json.loads((tmp_path / "advice.json").read_text())["hypothesis"]["margin_that_pays"] >= 0
