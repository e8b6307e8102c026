"""Scores, comparisons and the verdict from a run folder, without a model."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from fakes import FakeEngine, FakeModel, fake_run, tiny_scenario, write_scenario_files

from harness.errors import RunFolderError
from harness.experiment.finish import compared, costs, finish, scored, taking_part, unanswered
from harness.scenario_file.read import Overrides
from harness.store import RunFolder, open_run

ARMS = Overrides(arms=("prompt", "rag", "lora", "rag_lora"))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run on fakes; lora could not be prepared."""
    root = tmp_path_factory.mktemp("finish")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_CACHE", str(root / "cache"))
        scenario = write_scenario_files(root / "scenario", tiny_scenario(cases=10))
        engine = FakeEngine(FakeModel(fails_on=("Landia3?",)), tuning_fails=True)
        return fake_run(scenario, root / "run", engine=engine, quick=True, overrides=ARMS)


@pytest.fixture
def folder(done, tmp_path):
    """A copy of it that a test may change."""
    for file in done.folder.path.glob("**/*"):
        if file.is_file() and file.name != ".lock":
            target = tmp_path / file.relative_to(done.folder.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return RunFolder(tmp_path)


def test_the_verdict_can_be_drawn_again_from_the_folder(done, folder):
    for name in ("scores.json", "verdict.json"):
        (folder.path / name).unlink()
    assert finish(folder) == done.verdict == folder.verdict()
    assert folder.scores() == done.folder.scores()


def test_drawing_it_again_changes_no_byte(folder):
    finish(folder)
    before = {p: p.read_bytes() for p in folder.path.glob("**/*") if p.is_file()}
    finish(folder)
    assert {p: p.read_bytes() for p in folder.path.glob("**/*") if p.is_file()} == before


def test_no_model_library_is_loaded_for_it(folder):
    code = (
        "import sys; from pathlib import Path; from harness.store import open_run; "
        "from harness.experiment.finish import finish; finish(open_run(Path(sys.argv[1]))); "
        "print([m for m in ('torch', 'transformers', 'peft', 'faiss', 'sentence_transformers') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    assert subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True).stdout.strip() == "[]"


def test_the_scenarios_files_are_no_longer_needed(done, folder):
    assert open_run(folder.path).cases() == tuple(replace(c, line=n) for n, c in enumerate(folder.cases(), start=1))
    assert len(folder.cases()) == 10


def test_an_arm_that_was_left_out_is_in_no_score_and_no_comparison(folder):
    case_scores, scores = scored(folder)
    assert taking_part(folder) == ("dummy", "prompt", "rag")
    assert {s.arm for s in scores} == {s.arm for s in case_scores} == {"dummy", "prompt", "rag"}
    pairs = {frozenset((c.first, c.second)) for c in compared(folder, case_scores)}
    assert pairs == {frozenset(p) for p in (("dummy", "prompt"), ("dummy", "rag"), ("prompt", "rag"))}


def test_failures_are_counted_and_score_0(folder):
    _, scores = scored(folder)
    rag = next(s for s in scores if (s.arm, s.metric) == ("rag", "token_f1"))
    assert (rag.n, rag.failed, rag.value) == (10, 1, pytest.approx(0.9))


def test_pairs_can_be_compared_on_another_metric(folder):
    case_scores, _ = scored(folder)
    assert {c.metric for c in compared(folder, case_scores)} == {"token_f1"}
    assert {c.metric for c in compared(folder, case_scores, metric="exact_match")} == {"exact_match"}


def test_costs_leave_failed_cases_out_of_the_means_and_count_timed_requests(folder):
    found = {cost.arm: cost for cost in costs(folder)}
    made = [p for p in folder.predictions()["rag"].values() if p.error is None]
    assert found["rag"].tokens_in == pytest.approx(sum(p.tokens_in for p in made) / 9)
    assert 0 < found["rag"].latency_p50 <= found["rag"].latency_p95
    assert found["rag"].latency_n >= 1
    assert found["rag"].peak_memory_mb > 0


def test_an_arm_that_was_never_timed_has_no_latency(folder):
    folder.write_lines("latency.jsonl", [sample for sample in folder.latency() if sample.arm != "rag"])
    found = {cost.arm: (cost.latency_p50, cost.latency_n) for cost in costs(folder)}
    assert found["rag"] == (None, 0)
    assert finish(folder).scores[0].arm == "rag"


def test_an_unfinished_run_has_no_verdict_and_its_command_is_named(folder):
    made = [p for by_case in folder.predictions().values() for p in by_case.values()]
    folder.write_lines("predictions.jsonl", [p for p in made if (p.arm, p.case_id) != ("rag", "e0")])
    assert unanswered(folder) == 1
    with pytest.raises(RunFolderError, match=r"is not finished: 1 answers are still missing.*bakeoff run"):
        finish(folder)


def test_a_case_that_was_never_answered_scores_0_and_is_counted(folder):
    made = [p for by_case in folder.predictions().values() for p in by_case.values()]
    folder.write_lines("predictions.jsonl", [p for p in made if (p.arm, p.case_id) != ("rag", "e0")])
    rag = next(s for s in scored(folder)[1] if (s.arm, s.metric) == ("rag", "token_f1"))
    assert (rag.n, rag.failed, rag.value) == (10, 2, pytest.approx(0.8))


def test_a_changed_rule_is_refused(folder):
    path = folder.path / "rule.json"
    stored = json.loads(path.read_text())
    stored["rule"]["margin"] = 0.5
    path.write_text(json.dumps(stored))
    with pytest.raises(RunFolderError, match="was changed after the run had begun"):
        finish(folder)


@pytest.mark.parametrize("name", ["rule.json", "cases.jsonl"])
def test_a_folder_that_lacks_a_file_is_refused_with_its_name(folder, name):
    (folder.path / name).unlink()
    with pytest.raises(RunFolderError, match=f"{name} is missing"):
        finish(folder)


@pytest.mark.parametrize("name", ["scenario.json", "left_out.json", "latency.jsonl"])
def test_a_run_that_has_not_come_far_is_refused_as_unfinished(folder, name):
    (folder.path / name).unlink()
    with pytest.raises(RunFolderError, match="is not finished"):
        finish(folder)
