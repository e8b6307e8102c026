"""A whole bake-off on fakes: from a folder to its verdict, failing and refused."""

import json
import re
from dataclasses import replace

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, prepared, tiny_scenario, write_scenario_files
from run_builders import FEW_ARMS, texts

from harness.errors import RunFolderError
from harness.experiment.options import RunOptions, Silent
from harness.experiment.run import run_prepared
from harness.records import SCHEMA_VERSION, VerdictKind
from harness.scenario import Case
from harness.scenario_file.read import Overrides
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")

# undisturbed


def test_a_run_ends_with_a_verdict_and_everything_behind_it(tmp_path, out):
    finished = fake_run(write_scenario_files(tmp_path / "s", tiny_scenario(cases=14)), out)
    folder, verdict = finished.folder, finished.verdict
    assert verdict == folder.verdict()
    assert verdict.kind is VerdictKind.WINNER
    assert verdict.arm == "rag", "only the documents know the eval answers"
    assert verdict.schema_version == SCHEMA_VERSION
    arms = ("dummy", "prompt", "few_shot", "nearest_shots", "rag", "lora", "rag_lora")
    assert folder.scenario().arms == arms
    assert set(texts(out)) == {(f"e{n}", arm) for n in range(14) for arm in arms}
    assert {s.arm for s in folder.scores() if s.metric == "token_f1"} == set(arms)
    assert {recipe.arm for recipe in folder.recipes()} == set(arms)
    assert {sample.arm for sample in folder.latency()} == set(arms)
    assert {(u.arm, u.stage) for u in folder.usage()} == {(a, s) for a in arms for s in ("prepare", "answer")}
    assert folder.provenance().model_digest == "f" * 64
    assert folder.provenance().seconds >= 0
    assert verdict.rule_digest == folder.rule().digest
    assert {"hit_at_k", "mrr", "embedding_similarity"} <= {m.name for m in folder.measurements()}


def test_the_verdict_file_has_the_public_fields_and_its_scores_by_arm(scenario, out):
    verdict = fake_run(scenario, out).verdict
    written = json.loads((out / "verdict.json").read_text())
    named = "schema_version kind arm tied metric margin alpha scores comparisons left_out rule_digest advice"
    assert set(named.split()) <= set(written)
    assert list(written["scores"]) == [score.arm for score in verdict.scores]
    assert set(written["scores"]["rag"]) == {"value", "low", "high", "n", "failed"}
    assert "relation" in written["advice"]


def test_what_a_case_was_shown_is_kept(scenario, out):
    folder = fake_run(scenario, out).folder
    made = folder.predictions()["rag"]["e3"]
    assert made.passages[0] == "d3"
    assert "City3" in folder.passages()["d3"].text
    assert (made.text, made.finish, made.error) == ("City3", "stop", None)
    assert len(made.key) == 64


def test_the_same_run_twice_makes_the_same_predictions_and_the_same_verdict(scenario, tmp_path):
    first, second = fake_run(scenario, tmp_path / "a"), fake_run(scenario, tmp_path / "b")
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert first.folder.key().key == second.folder.key().key
    assert (first.verdict.kind, first.verdict.arm, first.verdict.scores) == (
        second.verdict.kind,
        second.verdict.arm,
        second.verdict.scores,
    )


def test_the_watcher_is_told_each_stage_and_counts_up_to_all_cases(scenario, out):
    watcher = FakeWatcher()
    fake_run(scenario, out, watcher=watcher, overrides=Overrides(arms=("prompt",)))
    assert watcher.stages == [
        "load",
        "prepare dummy",
        "prepare prompt",
        "answer dummy",
        "answer prompt",
        "latency",
        "verdict",
    ]
    counted = [done for done, total, _ in watcher.reports if total == 10]
    assert counted[-1] == 10
    assert all(0 <= score <= 1 for _, _, score in watcher.reports if score is not None)


def test_eval_answers_have_no_part_in_what_is_predicted(scenario, tmp_path):
    fake_run(scenario, tmp_path / "a")
    rows = [
        json.loads(line) | {"output": f"Secret{n}"}
        for n, line in enumerate((scenario / "eval.jsonl").read_text().splitlines())
    ]
    (scenario / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fake_run(scenario, tmp_path / "b", explore=True)
    assert texts(tmp_path / "a") == texts(tmp_path / "b")


def test_the_rule_is_written_before_the_first_prompt(scenario, out):
    seen = []
    engine = FakeEngine(FakeModel(before_batch=lambda prompts: seen.append((out / "rule.json").exists())))
    fake_run(scenario, out, engine=engine)
    assert seen
    assert all(seen)


def test_without_a_folder_given_runs_get_names_of_their_own(scenario, tmp_path):
    options = RunOptions(runs_folder=tmp_path / "runs", use_cache=False, quick=True, overrides=FEW_ARMS)
    places = {
        run_prepared(prepared(scenario, options=options), options=options, watcher=Silent()).folder.path
        for _ in range(3)
    }
    assert len(places) == 3
    assert all(path.parent == tmp_path / "runs" and path.name.startswith("scenario-20") for path in places)


# failures are data


def test_cases_on_which_the_model_fails_are_recorded_score_0_and_cost_no_other_case(scenario, tmp_path):
    good = fake_run(scenario, tmp_path / "good").folder
    engine = FakeEngine(FakeModel(fails_on=("capital of Landia2?", "capital of Landia5?")))
    bad = fake_run(scenario, tmp_path / "bad", engine=engine).folder
    for (case, arm), (text, error) in texts(bad.path).items():
        if arm != "dummy" and case in ("e2", "e5"):
            assert (text, bad.predictions()[arm][case].finish) == ("", "error")
            assert re.match(r"RuntimeError: the fake model fails", error)
        else:
            assert (text, error) == texts(good.path)[case, arm]
    score = next(s for s in bad.scores() if (s.arm, s.metric) == ("rag", "token_f1"))
    assert (score.n, score.failed, score.value) == (10, 2, pytest.approx(0.8))


def test_an_arm_that_cannot_be_prepared_is_left_out_with_the_reason_and_the_others_go_on(scenario, out):
    finished = fake_run(scenario, out, engine=FakeEngine(tuning_fails=True))
    assert {left.arm for left in finished.verdict.left_out} == {"lora", "rag_lora"}
    assert all("RuntimeError: the fake tuner fails" in left.reason for left in finished.verdict.left_out)
    assert {arm for _, arm in texts(out)} == {"dummy", "prompt", "few_shot", "nearest_shots", "rag"}
    assert finished.verdict.scores[0].arm == "rag"


def test_an_arm_without_what_it_needs_is_left_out_with_the_reason(tmp_path, out):
    scenario = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, documents=False))
    left = fake_run(scenario, out).verdict.left_out
    assert [(one.arm, "no documents" in one.reason) for one in left] == [("rag_lora", True)]


def test_with_eval_cases_alone_what_can_run_runs(tmp_path, out):
    scenario = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=0, documents=False))
    fake_run(scenario, out)
    assert {arm for _, arm in texts(out)} == {"dummy", "prompt"}


def test_a_prompt_that_does_not_fit_is_an_error_of_that_case_alone(tmp_path, out):
    tiny = tiny_scenario(cases=10, train=20)
    long = Case("long", "word " * 500, "x")
    scenario = write_scenario_files(tmp_path / "s", replace(tiny, cases=(*tiny.cases, long)))
    fake_run(scenario, out, engine=FakeEngine(FakeModel(window=300)), overrides=FEW_ARMS)
    found = texts(out)
    assert all("the model's window is 300" in found["long", arm][1] for arm in ("prompt", "few_shot", "lora"))
    assert {error for (case, _), (_, error) in found.items() if case != "long"} == {None}


def test_a_dev_prompt_on_which_the_model_fails_does_not_end_the_run(scenario, out):
    fake_run(scenario, out, engine=FakeEngine(FakeModel(fails_on=tuple(f"Landia{n}?" for n in range(10, 30)))))
    assert ("e0", "prompt") in texts(out)


# finished and refused


def test_a_finished_run_draws_its_verdict_again_without_touching_the_model(scenario, out):
    first = fake_run(scenario, out)
    before = (out / "predictions.jsonl").read_bytes()
    watcher = FakeWatcher()
    again = fake_run(scenario, out, engine=FakeEngine(model_is_there=False), watcher=watcher)
    assert again.verdict == first.verdict
    assert (out / "predictions.jsonl").read_bytes() == before
    assert "answered already" in watcher.notes[0]


def add_a_case(folder):
    with (folder / "eval.jsonl").open("a") as stream:
        stream.write('{"id": "new", "input": "What is the capital of Oz?", "output": "Emerald"}\n')


def change_the_instruction(folder):
    path = folder / "scenario.toml"
    path.write_text(path.read_text().replace("one word", "one name"))


def change_the_margin(folder):
    path = folder / "scenario.toml"
    path.write_text(path.read_text().replace("margin = 0.05", "margin = 0.01"))


def drop_a_document(folder):
    lines = (folder / "corpus.jsonl").read_text().splitlines(keepends=True)
    (folder / "corpus.jsonl").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add_a_case, "eval cases changed"),
        (change_the_instruction, "instruction changed"),
        (change_the_margin, "decision rule changed"),
        (drop_a_document, "documents changed"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_what_changed_is_named(scenario, out, change, named):
    fake_run(scenario, out, quick=True, overrides=FEW_ARMS)
    kept = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    change(scenario)
    with pytest.raises(RunFolderError, match=rf"holds another run: {named} since.*--out"):
        fake_run(scenario, out, quick=True, overrides=FEW_ARMS)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == kept


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"quick": False, "overrides": FEW_ARMS}, "quick"),
        ({"quick": True, "overrides": Overrides(arms=("prompt",))}, "arms"),
        ({"quick": True, "overrides": replace(FEW_ARMS, seed=3)}, "seed"),
        ({"quick": True, "overrides": FEW_ARMS, "engine": FakeEngine(name="other")}, "model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_options_are_named_too(scenario, out, options, named):
    fake_run(scenario, out, quick=True, overrides=FEW_ARMS)
    with pytest.raises(RunFolderError, match=rf"holds another run: .*\b{named}\b.* changed since"):
        fake_run(scenario, out, **options)


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(scenario, out):
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"is not empty and holds no run \(found thesis\.docx\).*--out"):
        fake_run(scenario, out)
    assert [p.name for p in out.iterdir() if p.name != ".lock"] == ["thesis.docx"]


def test_a_file_in_the_folders_place_is_refused_and_left_alone(scenario, out):
    out.write_text("a file")
    with pytest.raises(RunFolderError, match=r"is a file; --out must name a folder"):
        fake_run(scenario, out)
    assert out.read_text() == "a file"


def test_a_second_run_in_the_same_folder_at_the_same_time_is_refused(scenario, out):
    out.mkdir()
    with RunFolder(out).locked(), pytest.raises(RunFolderError, match="Another bakeoff is writing"):
        fake_run(scenario, out)


def test_a_rule_changed_in_the_folder_is_refused_before_the_verdict(scenario, out):
    fake_run(scenario, out, quick=True, overrides=FEW_ARMS)
    path = out / "rule.json"
    path.write_text(path.read_text().replace("0.05,", "0.01,", 1))
    with pytest.raises(RunFolderError, match="was changed after the run had begun"):
        fake_run(scenario, out, quick=True, overrides=FEW_ARMS)


def test_criteria_may_be_weighed_anew_after_the_verdict(tmp_path, out):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=14))
    assert fake_run(path, out, overrides=FEW_ARMS).verdict.standing is None
    with (path / "scenario.toml").open("a") as stream:
        stream.write("[criteria]\nquality = 2\nrisk = 1\n")
    watcher = FakeWatcher()
    again = fake_run(path, out, overrides=FEW_ARMS, watcher=watcher)
    assert again.verdict.standing.weights == {"quality": 2, "risk": 1}
    assert any(note.startswith("Everything is answered already") for note in watcher.notes)
    assert RunFolder(out).verdict().standing == again.verdict.standing


def test_weights_of_nothing_that_was_measured_weigh_nothing(tmp_path, out):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=14))
    with (path / "scenario.toml").open("a") as stream:
        stream.write("[criteria]\nquality = 0\nfreshness = 1\n")
    assert fake_run(path, out, overrides=FEW_ARMS).verdict.standing is None
