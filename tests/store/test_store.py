"""The run folder."""

import os
import subprocess
import sys
from dataclasses import fields, replace

import msgspec
import pytest

from harness.disk import cut_torn_line, write_whole
from harness.errors import RunFolderError
from harness.records import SCHEMA_VERSION, LatencySample, Passage, Prediction, Recipe, Verdict, VerdictKind
from harness.scenario import Case, DecisionRule
from harness.store import RunFolder, RunKey, StoredRule, VerdictFile, open_run

RULE = DecisionRule(metric="token_f1", margin=0.05)
KEY = RunKey("k", {"arms": "prompt"}, "tiny", "2026-01-01T00:00:00+00:00")


def said(number, arm="prompt", text="Größe"):
    return Prediction(f"e{number}", arm, text, 10, 2, 0.5, passages=("p1",))


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write("run.json", KEY)
    folder.write("rule.json", StoredRule(RULE, RULE.digest))
    return folder


def tear(path, *, by=9):
    path.write_bytes(path.read_bytes()[:-by])


# lines


def test_predictions_are_read_by_arm_and_case(folder):
    folder.append("predictions.jsonl", [said(1), said(2)])
    folder.append("predictions.jsonl", [said(1, "rag")])
    assert folder.predictions() == {"prompt": {"e1": said(1), "e2": said(2)}, "rag": {"e1": said(1, "rag")}}


def test_of_two_lines_for_one_case_the_first_counts(folder):
    folder.append("predictions.jsonl", [said(1), said(1, text="later")])
    assert folder.predictions()["prompt"]["e1"].text == "Größe"


def test_nothing_to_append_makes_no_file(folder):
    folder.append("predictions.jsonl", [])
    assert not folder.has("predictions.jsonl")


@pytest.mark.parametrize("text", ["line\nbreak", "\u2028", "\x00", "é" * 1000, '{"a": "\\""}', "\r", "\ud7ff😀"])
def test_any_text_takes_one_line_and_comes_back(folder, text):
    folder.append("predictions.jsonl", [said(1, text=text), said(2)])
    assert (folder.path / "predictions.jsonl").read_bytes().count(b"\n") == 2
    assert folder.predictions()["prompt"]["e1"].text == text


def test_a_torn_last_line_is_passed_over_when_reading(folder):
    folder.append("predictions.jsonl", [said(1), said(2)])
    tear(folder.path / "predictions.jsonl")
    assert set(folder.predictions()["prompt"]) == {"e1"}


def test_a_torn_last_line_is_cut_before_writing_goes_on(folder):
    names = ["predictions.jsonl", "passages.jsonl", "latency.jsonl"]
    passage, sample = Passage("p", "d", "t", "x"), LatencySample("e1", "prompt", 1.0, 0.0, 1, 1)
    for name, record in zip(names, [said(1), passage, sample], strict=True):
        folder.append(name, [record, record])
        tear(folder.path / name)
    folder.mend()
    folder.append("predictions.jsonl", [said(3)])
    assert set(folder.predictions()["prompt"]) == {"e1", "e3"}
    assert folder.passages() == {"p": passage}
    assert folder.latency() == (sample,)


def test_wherever_a_file_is_torn_only_whole_lines_stay(folder, tmp_path):
    folder.append("predictions.jsonl", [said(1), said(2)])
    whole = (tmp_path / "predictions.jsonl").read_bytes()
    for length in range(len(whole) + 1):
        path = tmp_path / "torn"
        path.write_bytes(whole[:length])
        cut_torn_line(path)
        assert path.read_bytes() == whole[: whole[:length].rfind(b"\n") + 1]


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\n" + b"x" * 300_000)
    cut_torn_line(path)
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize("damage", [b"{nonsense}", b"", b'{"case_id": 3}', b"\xff\xfe", b"[]"])
def test_a_damaged_line_in_the_middle_is_named_with_its_number(folder, damage):
    folder.append("predictions.jsonl", [said(1), said(2), said(3)])
    path = folder.path / "predictions.jsonl"
    lines = path.read_bytes().splitlines()
    lines[1] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(RunFolderError, match=r"predictions\.jsonl:2 is damaged.*Restore the file or delete that line"):
        folder.predictions()


def test_files_that_are_not_there_yet_are_empty(folder):
    found = (folder.predictions(), folder.passages(), tuple(folder.measurements()), folder.latency(), folder.usage())
    assert not any(found)
    assert (folder.left_out(), folder.recipes(), folder.recipe("rag")) == ((), (), None)


# whole files


def test_a_record_comes_back_as_it_was(folder):
    recipe = Recipe("rag", k=4, source="documents", notes=("Ä",))
    folder.write("recipes/rag.json", recipe)
    assert folder.recipe("rag") == recipe
    assert folder.recipes() == (recipe,)
    folder.write_lines("cases.jsonl", [Case("e1", "?", "!", references=("a", "b"), line=3)])
    assert folder.cases() == (Case("e1", "?", "!", references=("a", "b"), line=3),)


def test_a_write_that_fails_leaves_the_old_file_whole(folder, monkeypatch):
    def broken(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(RunFolderError, match=r"run\.json cannot be written \(disk full\). Make room"):
        folder.write("run.json", replace(KEY, key="other"))
    assert folder.key() == KEY
    assert sorted(path.name for path in folder.path.iterdir()) == ["rule.json", "run.json"], "nothing is left beside"


def test_a_file_is_replaced_by_renaming_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_whole(path, b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new content")
        assert reader.read() == b"old", "a reader keeps the file it opened"
    assert path.read_bytes() == b"new content"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"rule": 3}', b"\xff\xfe{}"])
def test_a_damaged_record_is_named(folder, content):
    (folder.path / "rule.json").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"rule\.json is damaged"):
        folder.rule()


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (RunFolder.verdict, "verdict.json"),
        (RunFolder.scores, "scores.json"),
        (RunFolder.scenario, "scenario.json"),
        (RunFolder.cases, "cases.jsonl"),
    ],
)
def test_a_missing_record_says_what_to_do(folder, read, name):
    with pytest.raises(RunFolderError, match=rf"{name} is missing. Run `bakeoff run`"):
        read(folder)


# the rule


def test_the_rule_comes_back_and_agrees_with_its_digest(folder):
    assert folder.rule().rule == RULE


@pytest.mark.parametrize("change", [{"margin": 0.01}, {"alpha": 0.2}, {"metric": "exact_match"}, {"target": 0.1}])
def test_a_rule_that_was_changed_afterwards_is_refused_with_a_sentence(folder, change):
    folder.write("rule.json", StoredRule(replace(RULE, **change), RULE.digest))
    with pytest.raises(RunFolderError, match=r"was changed after the run had begun.*Put it back"):
        folder.rule()


# opening


def test_a_run_can_be_opened(folder):
    assert open_run(folder.path).key() == KEY


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_what_is_no_run_folder_is_refused(tmp_path, name):
    with pytest.raises(RunFolderError, match=r"is not a run folder.*bakeoff history"):
        open_run(tmp_path / name)


def test_another_format_is_refused_with_both_versions(folder):
    folder.write("run.json", replace(KEY, schema_version=SCHEMA_VERSION + 1))
    with pytest.raises(
        RunFolderError, match=rf"format {SCHEMA_VERSION + 1}; this bakeoff reads format {SCHEMA_VERSION}"
    ):
        open_run(folder.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_a_damaged_run_file_is_refused_with_a_sentence(folder, content):
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"run\.json"):
        open_run(folder.path)


# the lock

HOLDER = """
import sys
from pathlib import Path
from harness.store import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(folder):
    """Another process that holds the folder."""
    command = [sys.executable, "-c", HOLDER, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_while_one_writes(folder, holder):
    with pytest.raises(RunFolderError, match=r"Another bakeoff is writing.*--out"), folder.locked():
        pass


def test_the_lock_goes_with_the_process_however_it_ends(folder, holder):
    holder.kill()
    holder.wait()
    with folder.locked():
        pass


def test_the_lock_is_free_again_after_an_error(folder):
    with pytest.raises(ZeroDivisionError), folder.locked():
        raise ZeroDivisionError
    with folder.locked():
        pass


def test_verdict_readers_need_no_lock(folder, holder):
    assert open_run(folder.path).rule().rule == RULE


def test_lines_are_on_disk_before_append_returns(folder, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor)))
    folder.append("predictions.jsonl", [said(1)])
    assert len(synced) == 2, "the lines, and the new file's name in its folder"
    assert msgspec.json.decode((folder.path / "predictions.jsonl").read_bytes(), type=Prediction) == said(1)
    folder.append("predictions.jsonl", [said(2)])
    assert len(synced) == 3


def test_the_verdict_that_others_read_says_what_its_error_rate_does_not_cover(tmp_path):
    verdict = Verdict(VerdictKind.TIE, None, (), "accuracy", 0.05, 0.05, (), (), (), "d", cautions=("Trained once.",))
    folder = RunFolder(tmp_path)
    folder.write_verdict(verdict)
    assert folder.verdict().cautions == ("Trained once.",)


def test_every_field_of_a_verdict_is_in_its_file():
    assert {field.name for field in fields(Verdict)} == {field.name for field in fields(VerdictFile)}


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(RunFolderError, match=r"file/run cannot be written"),
        RunFolder(tmp_path / "file" / "run").locked(),
    ):
        pass


def test_answers_without_the_file_that_says_whose_they_are_are_not_gone_on_with(folder):
    folder.append("predictions.jsonl", [said(1)])
    (folder.path / "run.json").unlink()
    with (
        pytest.raises(RunFolderError, match=r"run\.json is missing, so nobody can say which run this is"),
        folder.locked(),
    ):
        pass
    (folder.path / "predictions.jsonl").unlink()
    with folder.locked():  # a run that ended before its first file is begun again
        pass
