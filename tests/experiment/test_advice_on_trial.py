"""Advice in scenario.toml: read, fixed before the run, judged after it, remembered."""

import json
from dataclasses import replace

import pytest
from fakes import fake_run, tiny_scenario, write_scenario_files

from harness.errors import RunFolderError
from harness.experiment import remember
from harness.experiment.finish import finish
from harness.experiment.options import Silent
from harness.records import AdviceRelation
from harness.scenario import StatedAdvice
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")

ADVICE = """
[advice]
date = "{date}"
approach = "{approach}"
hypothesis = "It wins."
[advice.answers]
task = "facts_qa"
gap = "facts"
needs_citations = true
labelled_examples = 4000
[advice.sources]
labelled_examples = "typed"
"""


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "verdicts"


@pytest.fixture
def advised(tmp_path):
    folder = write_scenario_files(tmp_path / "s", tiny_scenario(cases=34))

    def write(approach="rag", date="2026-11-25"):
        toml = folder / "scenario.toml"
        before = toml.read_text().partition("[advice]")[0] if toml.exists() else ""
        toml.write_text(before + ADVICE.format(approach=approach, date=date))
        return folder

    return write


def test_the_verdict_says_what_became_of_the_advice(advised, out, data_folder):
    verdict = fake_run(advised("rag"), out).verdict
    assert verdict.arm == "rag"
    assert (verdict.advice.relation, verdict.advice.advised) == ("confirmed", "rag")
    assert [one.key for one in verdict.advice.contradicted] == ["labelled_examples"]
    assert RunFolder(out).verdict().advice == verdict.advice


def test_advice_that_another_approach_beats_is_refuted(advised, out, data_folder):
    assert fake_run(advised("fine_tuning"), out).verdict.advice.relation == "refuted"


def test_the_same_advice_on_another_date_is_the_same_run_and_other_advice_is_not(advised, out, data_folder):
    fake_run(advised("rag"), out)
    fake_run(advised("rag", date="2026-12-01"), out)
    assert RunFolder(out).advice().date == "2026-11-25", "as it was fixed before the first prediction"
    with pytest.raises(RunFolderError, match="advice"):
        fake_run(advised("prompting"), out)


def test_a_verdict_is_remembered_as_numbers_for_its_owner_only(advised, out, data_folder):
    fake_run(advised("rag"), out)
    [path] = data_folder.glob("*.json")
    kept = json.loads(path.read_text())
    assert (kept["advised"], kept["relation"], kept["approach"]) == ("rag", "confirmed", "rag")
    assert kept["answers"]["gap"] == "facts"
    assert (path.stat().st_mode & 0o777, data_folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "Landia" not in path.read_text(), "no text of the user's data"
    assert str(out) not in path.read_text()
    fake_run(advised("rag"), out)
    assert len(list(data_folder.glob("*.json"))) == 1, "a repeated run replaces its own"


def test_remembering_can_be_switched_off(advised, out, data_folder, monkeypatch):
    fake_run(advised("rag"), out, remember=False)
    monkeypatch.setenv("BAKEOFF_REMEMBER", "0")
    fake_run(advised("rag"), out)
    assert not data_folder.exists()


def test_drawing_a_verdict_again_remembers_nothing(advised, out, data_folder):
    fake_run(advised("rag"), out, remember=False)
    assert finish(RunFolder(out)).advice.relation == "confirmed"
    assert not data_folder.exists()


@pytest.mark.parametrize(
    ("model", "kept"),
    [("/home/ann/models/secret-7b", "secret-7b"), ("../m/own", "own"), ("owner/name", "owner/name"), ("own", "own")],
)
def test_where_a_model_lies_is_not_remembered(advised, out, data_folder, model, kept):
    fake_run(advised("rag"), out, remember=False)
    folder = RunFolder(out)
    folder.write("provenance.json", replace(folder.provenance(), model=model))
    assert remember.remember(folder) is None
    [path] = data_folder.glob("*.json")
    assert json.loads(path.read_text())["model"] == kept


def test_a_place_that_cannot_be_written_ends_no_run(advised, out, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BAKEOFF_DATA_DIR", str(tmp_path / "file"))
    notes = Notes()
    assert fake_run(advised("rag"), out, watcher=notes).verdict.arm == "rag"
    assert any("not remembered" in note for note in notes.said)


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def test_advice_that_was_changed_after_the_run_began_is_refused(advised, out, data_folder):
    fake_run(advised("fine_tuning"), out)
    folder = RunFolder(out)
    folder.write("advice.json", replace(folder.advice(), approach="rag"))
    with pytest.raises(RunFolderError, match=r"advice\.json was changed after the run had begun"):
        finish(folder)


def test_advice_that_was_put_in_after_the_run_is_not_judged(advised, out, data_folder):
    path = advised("rag")
    (path / "scenario.toml").unlink()
    fake_run(path, out)
    folder = RunFolder(out)
    assert "advice" not in folder.key().parts, "so that older runs go on"
    folder.write("advice.json", StatedAdvice("2026-11-25", "rag", hypothesis="It wins."))
    assert finish(folder).advice == AdviceRelation()


def test_taking_the_advice_out_is_named_as_what_changed(advised, out, data_folder):
    path = advised("rag")
    fake_run(path, out)
    toml = path / "scenario.toml"
    toml.write_text(toml.read_text().partition("[advice]")[0])
    with pytest.raises(RunFolderError, match="another run: advice changed"):
        fake_run(path, out)
