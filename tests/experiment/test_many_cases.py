"""Eval sets and answers too large to be held: everything is as with few of them, but read from disk."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, tiny_scenario, write_scenario_files

from harness import api, spool, store
from harness.engines import answering
from harness.experiment.score import score_cases
from harness.export.tables import flat_tables
from harness.lines import AllOf, ByName, Lines, Pairs, by_name, in_parts
from harness.publish.html import to_html
from harness.publish.markdown import to_markdown
from harness.records import CaseScore, Prediction
from harness.report.content import build_report
from harness.report.redact import redacted
from harness.scenario import Case, Kind
from harness.scenario_file.read import Overrides, read_scenario
from harness.score_table import Roll, ScoreTable, column_of, table_of
from harness.store import RunFolder

STAYS = ("verdict.json", "scores.json", "findings.json")


@pytest.fixture
def large(monkeypatch):
    """From now on everything is too large to be held."""

    def begin():
        monkeypatch.setattr(store, "LARGE", 0)
        monkeypatch.setattr(spool, "MANY", 3)
        monkeypatch.setattr(answering, "PART", 5)

    return begin


def outcome(folder):
    """What a run came to, without checksums, which know the run's name, and what a clock said."""
    found = {}
    for name in STAYS:
        if (folder / name).exists():
            found[name] = json.loads(re.sub(r"[\d.,]+ (s|min|ms)\b", "so long", (folder / name).read_text()))
    return json.loads(json.dumps(found), object_hook=_without_times)


def _without_times(fields):
    gone = ("checksum", "seconds", "seconds_saved", "created")
    return {name: value for name, value in fields.items() if name not in gone}


CRITERIA = "[criteria]\nquality = 0.6\nrisk = 0.4\n"


@pytest.mark.parametrize(
    ("arms", "toml", "overrides"),
    [
        (("prompt", "nearest_shots", "rag", "lora"), "", {"seeds": 2}),
        (("prompt", "rag", "rag_lora"), CRITERIA, {"seeds": 3}),
        (
            ("prompt", "few_shot", "rag"),
            "",
            {"experiments": ("consistency", "classifier", "form", "documents_in_weights")},
        ),
        (("prompt", "few_shot", "rag"), "", {"stop_early": True}),
    ],
)
def test_a_large_eval_set_comes_to_the_same_verdict(tmp_path, large, arms, toml, overrides):
    scenario = tiny_scenario(cases=48, train=30)
    grouped = replace(scenario, cases=tuple(replace(c, group=f"g{n // 2}") for n, c in enumerate(scenario.cases)))
    path = write_scenario_files(tmp_path / "scenario", grouped, toml=toml)
    asked = Overrides(arms=arms, **overrides)
    model = FakeModel(fails_on=("Landia7?",), rows=5)
    fake_run(path, tmp_path / "small", engine=FakeEngine(model), overrides=asked, remember=False)
    large()
    assert isinstance(read_scenario(path).cases, spool.Spooled)
    again = FakeEngine(FakeModel(fails_on=("Landia7?",), rows=5))
    fake_run(path, tmp_path / "large" / "run", engine=again, overrides=asked, remember=False)
    folder = RunFolder(tmp_path / "large" / "run")
    assert isinstance(folder.cases(), Lines)
    assert all(isinstance(found, ByName) for found in folder.predictions().values())
    assert outcome(folder.path) == outcome(tmp_path / "small")


def test_an_interrupted_large_run_goes_on_and_what_failed_is_made_again(tmp_path, large):
    path = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=23, train=20))
    asked = Overrides(arms=("prompt", "rag"), seeds=1)
    fake_run(path, tmp_path / "small", overrides=asked, remember=False)
    large()
    out = tmp_path / "large" / "run"
    with pytest.raises(KeyboardInterrupt):
        fake_run(path, out, overrides=asked, remember=False, watcher=FakeWatcher(stop_at=9))
    broken = FakeEngine(FakeModel(fails_on=("Landia11?",)))
    fake_run(path, out, engine=broken, overrides=asked, remember=False)
    failed = [p for found in RunFolder(out).predictions().values() for p in found.values() if p.error]
    assert failed
    fake_run(path, out, overrides=asked, remember=False, retry_errors=True)
    predictions = RunFolder(out).predictions()
    assert not [p for found in predictions.values() for p in found.values() if p.error]
    small = RunFolder(tmp_path / "small").predictions()
    assert {a: {n: p.text for n, p in found.items()} for a, found in predictions.items()} == {
        a: {n: p.text for n, p in found.items()} for a, found in small.items()
    }


def test_a_large_run_is_reported_as_a_small_one(tmp_path, large):
    path = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=12, train=20))
    fake_run(path, tmp_path / "run", overrides=Overrides(arms=("prompt", "rag"), seeds=1), remember=False)
    small = api.report_data(tmp_path / "run")
    shown, rows = to_markdown(build_report(small)), [[*table.rows] for table in flat_tables([small])]
    page = to_html(build_report(small))
    large()
    data = api.report_data(tmp_path / "run")
    assert isinstance(data.cases, Lines)
    assert tuple(data.predictions) == tuple(small.predictions)
    assert replace(data, predictions=small.predictions) == small
    assert to_markdown(build_report(data)) == shown
    assert to_html(build_report(data)) == page
    assert [[*table.rows] for table in flat_tables([data])] == rows


@pytest.mark.parametrize("id_", ["jo@firm.example {}", "c{}"])
def test_a_large_run_is_masked_as_a_small_one(tmp_path, large, id_):
    """Masked records lie on disk too, and ids, those of groups as well, stay apart and find theirs."""
    plain = tiny_scenario(cases=12, train=20)
    cases = tuple(
        replace(case, id=id_.format(n), input=f"{case.input} Call +44 20 7946 0958", group=f"g{n // 2}@firm.example")
        for n, case in enumerate(plain.cases)
    )
    path = write_scenario_files(tmp_path / "scenario", replace(plain, cases=cases))
    fake_run(path, tmp_path / "run", overrides=Overrides(arms=("prompt", "rag"), seeds=1), remember=False)
    small = redacted(api.report_data(tmp_path / "run"))
    shown, rows = to_markdown(build_report(small)), [[*table.rows] for table in flat_tables([small])]
    page = to_html(build_report(small))
    assert "[phone]" in page
    assert len({case.id for case in small.cases}) == len({case.group for case in small.cases}) * 2 == 12
    large()
    data = redacted(api.report_data(tmp_path / "run"))
    assert isinstance(data.cases, Lines)
    assert not [one for one in spool.folder().iterdir() if "tmp" in one.name], "what is masked has no name"
    assert all(isinstance(found, ByName) for found in (data.passages, *data.predictions.arms.values()))
    assert tuple(data.predictions) == tuple(small.predictions)
    assert replace(data, predictions=small.predictions) == small
    assert to_markdown(build_report(data)) == shown
    assert to_html(build_report(data)) == page
    assert [[*table.rows] for table in flat_tables([data])] == rows
    assert not re.search(r"7946|@firm", page + shown + repr(rows))


def test_of_several_predictions_the_first_that_is_no_error_counts(tmp_path, large):
    folder = RunFolder(tmp_path)
    said = [("a", "1", None), ("a", "2", "lost"), ("b", "1", "lost"), ("a", "2", "lost again"), ("a", "2", None)]
    made = [Prediction(case, arm, f"{n}", 1, 1, 0.0, error=error) for n, (arm, case, error) in enumerate(said)]
    made.append(Prediction("1", "a", "second", 1, 1, 0.0))
    folder.append("predictions.jsonl", made)
    held = folder.predictions()
    large()
    found = folder.predictions()
    assert {arm: dict(own) for arm, own in found.items()} == held
    assert {arm: list(own.values()) for arm, own in found.items()} == {a: list(own.values()) for a, own in held.items()}
    assert [len(own) for own in found.values()] == [2, 1]
    assert "2" in found["a"]
    assert "2" not in found["b"]
    assert 2 not in found["a"]
    with pytest.raises(KeyError):
        found["b"]["2"]


def test_lines_read_like_a_tuple(tmp_path, large):
    cases = tuple(Case(f"c{n}", "x" * n, "y") for n in range(9))
    folder = RunFolder(tmp_path)
    folder.write_lines("cases.jsonl", cases)
    large()
    found = folder.cases()
    assert found == cases
    assert cases == found
    assert found != cases[1:]
    assert (found != 3) is True
    assert (found[2], found[-1], found[2:4], list(found)) == (cases[2], cases[-1], cases[2:4], list(cases))
    assert [len(part) for part in in_parts(found, 4)] == [4, 4, 1]
    names = [case.id for case in cases]
    assert by_name(found, names)["c5"] == cases[5] == by_name(cases, names)["c5"]
    with pytest.raises(IndexError):
        found[9]


def test_a_table_reads_as_its_scores():
    cases = [Case(str(n), "x", "y", group="g" if n < 2 else None) for n in range(4)]
    rows = (
        CaseScore("0", "a", "y", False, {"m": 1.0}),
        CaseScore("3", "a", "", True, {"m": 0.0, "other": 0.5}),
        CaseScore("1", "b", "n", False, {"m": 0.25}),
    )
    table = table_of(rows, cases)
    assert table == rows
    assert (table[0], table[-1], table[1:], table.arms) == (rows[0], rows[2], rows[1:], ("a", "b"))
    assert table != rows[:2]
    assert (table != 3) is True
    with pytest.raises(IndexError):
        table[3]
    own = table.columns["a"]
    assert (own["3"], len(own), list(own), own.metrics) == (rows[1], 2, ["0", "3"], ("m", "other"))
    assert "1" not in own
    assert 1 not in own
    with pytest.raises(KeyError):
        own["1"]
    assert own.along(Roll(cases)) is own
    fewer = own.along(Roll(cases[1:]))
    assert list(fewer) == ["3"]
    assert table.roll.clusters(np.array([0, 1])) == ("group g", "group g")
    assert table.roll.clusters(np.array([1, 2])) is None
    assert column_of("a", [CaseScore("elsewhere", "a", "", False, {})], table.roll) == {}
    assert len(ScoreTable(table.roll, {})) == 0


def test_a_stopped_arm_is_scored_on_what_it_answered():
    cases = [Case(str(n), "x", "yes" if n else "no") for n in range(4)]
    given = {"a": {"2": Prediction("2", "a", "yes", 1, 1, 0.0)}}
    found = score_cases(cases, given, kind=Kind.LABELS, labels=("yes", "no"), stopped=("a",))
    assert [(row.case_id, row.answer) for row in found] == [("2", "yes")]
    assert len(score_cases(cases, given, kind=Kind.LABELS, labels=("yes", "no"))) == 4


def test_records_by_name_and_arm_are_found_counted_and_gone_through():
    arms = {"prompt": {"1": "a", "2": "b"}, "rag": {"2": "c"}}
    pairs, all_ = Pairs(arms), AllOf(arms)
    assert list(pairs) == [("1", "prompt"), ("2", "prompt"), ("2", "rag")]
    assert (len(pairs), pairs["2", "rag"]) == (3, "c")
    asked = (("2", "rag"), ("1", "rag"), ("1", "lora"), "prompt")
    assert [key in pairs for key in asked] == [True, False, False, False]
    assert (list(all_), len(all_)) == (["a", "b", "c"], 3)
    assert "c" in all_
    assert "d" not in all_


def test_what_lies_on_disk_is_shown_by_its_number_and_kind_and_not_by_its_content(large):
    large()
    cases = [Case(str(n), "secret", "x") for n in range(1_500)]
    found = spool.kept(iter(cases), Case)
    assert isinstance(found, spool.Spooled)
    assert repr(found) == f"<1,500 Case records in {found.path.name}>"
    assert found == spool.kept(iter(cases), Case)
    assert hash(found) == hash(spool.kept(iter(cases), Case))
    assert found != spool.kept(iter(cases[1:]), Case)
    assert list(found) == cases
