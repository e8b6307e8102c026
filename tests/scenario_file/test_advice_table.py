"""The `[advice]` table."""

import pytest

from harness.scenario import StatedAdvice
from harness.scenario_file.toml_file import read_settings


def read(tmp_path, text):
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    settings, problems = read_settings(path)
    return settings.advice, [str(problem) for problem in problems]


def test_everything_in_it_is_read(tmp_path):
    advice, problems = read(
        tmp_path,
        '[advice]\ndate = 2026-11-25\napproach = "rag"\nrunner_up = "few_shot"\n'
        'band = "likely"\nhypothesis = "It wins."\n'
        '[advice.answers]\ngap = "facts"\nclasses = 0\nneeds_citations = true\n[advice.sources]\ngap = "typed"\n',
    )
    assert problems == []
    assert advice == StatedAdvice(
        "2026-11-25", "rag", "few_shot", "It wins.", "likely",
        (("gap", "facts"), ("classes", 0), ("needs_citations", True)), (("gap", "typed"),),
    )  # fmt: skip


WHOLE = '[advice]\ndate = 2026-11-25\napproach = "rag"\nhypothesis = "It wins."\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("advice = 1", "'advice' must be a table"),
        ('[advice]\napproach = "rag"', "'advice.date' is missing"),
        ("[advice]\ndate = 2026-11-25", "'advice.approach' is missing"),
        ('[advice]\ndate = 2026-11-25\napproach = "rag"', "'advice.hypothesis' is missing"),
        (f"{WHOLE}[advice.answers]\nclasses = {10**30}", "'advice.answers.classes' must be a text, a whole number"),
        (f"{WHOLE}[advice.sources]\nclasses = 1", "'advice.sources.classes' must be a text; got 1"),
        (WHOLE.replace("2026-11-25", "20261125"), "'advice.date' must be a date such as 2026-11-25; got 20261125"),
        (WHOLE.replace("It wins.", " "), "'advice.hypothesis' must be a text"),
        ('[advice]\ndate = "soon"\napproach = "rag"', "'advice.date' must be a date such as 2026-11-25; got 'soon'"),
        ('[advice]\ndate = 2026-11-25\napproach = "magic"', "'advice.approach' must be one of prompting, few_shot"),
        ('[advice]\ndate = 2026-11-25\napproach = "rag"\nbnd = "x"', "unknown setting 'advice.bnd'"),
        ('[advice]\ndate = 2026-11-25\napproach = "rag"\nband = 3', "'advice.band' must be a text"),
        (f"{WHOLE}margin_that_pays = 2", "'advice.margin_that_pays' must be a number between 0 and 1; got 2"),
        (f"{WHOLE}margin_that_pays = true", "'advice.margin_that_pays' must be a number between 0 and 1; got true"),
        ('[advice]\ndate = 2026-11-25\napproach = "rag"\nanswers = 3', "'advice.answers' must be a table"),
        (
            '[advice]\ndate = 2026-11-25\napproach = "rag"\n[advice.answers]\ngap = []',
            "'advice.answers.gap' must be a text",
        ),
    ],
)
def test_each_fault_is_named(tmp_path, text, said):
    advice, problems = read(tmp_path, text)
    assert advice is None
    assert any(said in problem for problem in problems), problems


def test_all_faults_come_at_once(tmp_path):
    _, problems = read(tmp_path, '[advice]\ndate = "x"\napproach = "y"\nz = 1\n')
    assert len(problems) == 4  # and there is no hypothesis


def test_a_fault_has_its_line_in_the_tables_below_too(tmp_path):
    _, problems = read(tmp_path, f"{WHOLE}[advice.answers]\nclasses = 2\ngap = []\n")
    [problem] = problems
    assert problem.startswith("scenario.toml:7:"), problem


@pytest.mark.parametrize("date", ["2026-11-25", '"2026-11-25"', "2026-11-25T10:00:00Z", '"20261125"'])
def test_a_date_is_kept_in_one_form(tmp_path, date):
    advice, problems = read(tmp_path, WHOLE.replace("2026-11-25", date))
    assert problems == []
    assert advice.date == "2026-11-25"
