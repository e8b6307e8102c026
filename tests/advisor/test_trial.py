"""The advice written into a scenario, and read back by the harness."""

import pytest

from advisor.errors import UserError
from advisor.records import Answer, Hypothesis, Source
from advisor.trial import write_hypothesis
from harness.scenario import StatedAdvice
from harness.scenario_file.toml_file import read_settings

HYPOTHESIS = Hypothesis("2026-11-25", "rag", "few_shot", "Retrieval wins.", ("prompt", "rag"))
ANSWERS = (
    Answer("gap", "facts", Source.TYPED),
    Answer("classes", None, Source.TYPED),
    Answer("needs_citations", True, Source.FILE, "a.toml"),
)


def write(folder, hypothesis=HYPOTHESIS):
    return write_hypothesis(folder, hypothesis, band="likely", answers=ANSWERS)


def read(folder):
    settings, problems = read_settings(folder / "scenario.toml")
    assert problems == ()
    return settings


def test_the_harness_reads_back_what_was_written(tmp_path):
    assert write(tmp_path).created
    settings = read(tmp_path)
    assert settings.arms == ("prompt", "rag")
    assert settings.advice == StatedAdvice(
        "2026-11-25", "rag", "few_shot", "Retrieval wins.", "likely",
        (("gap", "facts"), ("needs_citations", True)), (("gap", "typed"), ("needs_citations", "file")),
    )  # fmt: skip


def test_new_advice_replaces_ours_and_keeps_everything_else(tmp_path):
    own = '# my file\n\nname = "x" # mine\ninstruction = """\n[job]\nAnswer."""\n\n[rule]\nmargin = 0.1 # agreed\n'
    path = tmp_path / "scenario.toml"
    path.write_text(own)
    write(tmp_path)
    once = path.read_text()
    write(tmp_path, Hypothesis("2026-12-01", "few_shot", None, "Shots win.", ("prompt", "few_shot")))
    settings = read(tmp_path)
    assert (settings.name, settings.rule.margin, settings.arms) == ("x", 0.1, ("prompt", "few_shot"))
    assert settings.advice.approach == "few_shot"
    for text in (once, path.read_text()):
        assert all(line in text for line in own.splitlines()), "comments and all"
        assert text.count("[advice]") == 1


def test_the_users_own_arms_are_left_and_reported(tmp_path):
    (tmp_path / "scenario.toml").write_text('arms = ["prompt", "lora"] # mine\n')
    assert write(tmp_path).arms_kept == ("prompt", "lora")
    assert read(tmp_path).arms == ("prompt", "lora")


def test_a_file_that_is_no_toml_is_left_as_it_is(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text("name = \n")
    with pytest.raises(UserError, match="cannot be read as TOML"):
        write(tmp_path)
    assert path.read_text() == "name = \n"
    assert list(tmp_path.iterdir()) == [path]
