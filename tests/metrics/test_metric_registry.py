"""One list of contract tests for every metric, and what packages of others may add."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from harness.errors import UserError
from harness.metrics import registry
from harness.metrics.base import Metric
from harness.metrics.registry import METRICS, PRIMARY, deciding_metrics, metric_named, metrics_for
from harness.scenario import Kind
from harness.scenario_file.infer import KNOWN_METRICS, infer_metric

COMPUTED = [metric for metric in METRICS.values() if metric.score]
RIGHT = {Kind.JSON: '{"a": 1}'}


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_described_and_belongs_to_a_kind(metric):
    assert METRICS[metric.name] is metric
    assert metric.title
    assert metric.kinds
    assert metric.explanation.endswith(".")
    assert metric.score is None or metric.aggregate is None


@pytest.mark.parametrize("metric", COMPUTED, ids=lambda metric: metric.name)
def test_every_metric_gives_1_to_the_right_answer_and_0_to_none(metric):
    for kind in metric.kinds:
        right = RIGHT.get(kind, "right")
        assert metric.score(right, [right]) == 1
        assert metric.score("", [right]) == 0
        assert metric.score(right, ["wrong", right]) == 1


@pytest.mark.parametrize("metric", COMPUTED, ids=lambda metric: metric.name)
@pytest.mark.parametrize("answer", ["x", '{"a": 2}', "wrong right", "{", "42", "\u0000", "Ж"])
def test_every_metric_stays_between_0_and_1_and_says_truly_whether_it_is_right_or_wrong(metric, answer):
    score = metric.score(answer, ['{"a": 1, "b": 2}', "right"])
    assert 0 <= score <= 1
    assert not metric.right_or_wrong or score in (0, 1)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_metric_that_can_decide(kind):
    primary = metric_named(PRIMARY[kind])
    assert primary in metrics_for(kind)
    assert primary.per_case
    assert primary.score is not None


def test_an_unknown_metric_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"no metric 'f1'.*token_f1"):
        metric_named("f1")


STRANGER = Metric("politeness", "Politeness", False, frozenset(Kind), lambda answer, accepted: 0.5, "How polite.")
NO_METRIC = "just text"


@pytest.fixture
def installed(monkeypatch):
    """Pretend that packages with these entry points are installed."""

    def install(*values):
        points = [EntryPoint(f"m{i}", value, registry.GROUP) for i, value in enumerate(values)]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        registry.all_metrics.cache_clear()

    monkeypatch.setitem(sys.modules, "stranger_metrics", sys.modules[__name__])
    yield install
    registry.all_metrics.cache_clear()


def test_another_package_can_add_a_metric(installed):
    installed("stranger_metrics:STRANGER")
    assert metric_named("politeness") is STRANGER
    assert metrics_for(Kind.JSON)[-1] is STRANGER


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["no_such_package:x"], "cannot be loaded"),
        (["stranger_metrics:nothing"], "cannot be loaded"),
        (["stranger_metrics:NO_METRIC"], "is a str, not a Metric"),
        (["stranger_metrics:STRANGER", "stranger_metrics:STRANGER"], "there already"),
    ],
)
def test_a_broken_addition_is_the_users_to_mend(installed, values, message):
    installed(*values)
    with pytest.raises(UserError, match=message):
        registry.all_metrics()


def test_looking_at_the_metrics_loads_no_heavy_library():
    code = (
        "import sys, harness.metrics.registry, harness.experiment.decide\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'statsmodels', 'sacrebleu', 'nltk', 'rouge_score', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", Kind)
def test_every_metric_that_a_rule_may_name_by_default_exists_and_decides(kind):
    decide = deciding_metrics()[kind]
    assert set(KNOWN_METRICS[kind]) == {name for name in decide if name in METRICS}
    assert PRIMARY[kind] in decide
    for outputs in ([], ["7", "8"], ["some words"], ['{"a": 1}']):
        assert infer_metric(kind, outputs)[0] in decide
    for name in KNOWN_METRICS[kind]:
        assert metric_named(name).per_case
        assert metric_named(name).score is not None
