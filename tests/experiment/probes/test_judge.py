"""What a judge's judgments are said to come to: a preference only where there is one."""

import pytest
from fakes import fake_run, tiny_scenario, write_scenario_files

from harness.experiment.probes.judge import judge_finding
from harness.experiment.probes.read import Evidence
from harness.judging.judge import Judgment
from harness.judging.tally import HumanLabel
from harness.scenario_file.read import Overrides
from harness.store import RunFolder


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """Of a run that is there for its rule only."""
    root = tmp_path_factory.mktemp("judge")
    path = write_scenario_files(root / "s", tiny_scenario(cases=10))
    fake_run(path, root / "run", overrides=Overrides(arms=("prompt",), seeds=1), remember=False)
    return Evidence(RunFolder(root / "run"), "judge")


def judged(evidence, verdicts, *, labels=False):
    """Of these verdicts on RAG against LoRA; with labels, people said the same."""
    made = [Judgment(f"c{n}", "rag", "lora", v, v, v) for n, v in enumerate(verdicts)]
    people = [HumanLabel(j.case_id, "rag", "lora", j.verdict) for j in made if j.verdict] if labels else []
    return judge_finding(evidence, made, people, judge="a judge")


def test_a_preference_that_is_shown_is_said_with_its_subject(evidence):
    found = judged(evidence, ["first"] * 50 + ["second"] * 10, labels=True)
    assert found.bearing == (
        "The judge prefers RAG to LoRA in 83 % of 60 comparisons, ties counted half (74 % to 93 %).",
    )


def test_a_preference_is_told_from_the_side_of_the_arm_that_is_preferred(evidence):
    found = judged(evidence, ["second"] * 50 + ["first"] * 10, labels=True)
    assert found.bearing[0].startswith("The judge prefers LoRA to RAG in 83 % of 60 comparisons")


def test_a_win_rate_that_may_be_one_half_is_no_preference(evidence):
    found = judged(evidence, ["first"] * 31 + ["second"] * 29, labels=True)
    [said] = found.bearing
    assert said.startswith("The judge shows no preference between RAG and LoRA: RAG is preferred in 52 % of 60")
    assert "prefers" not in said


def test_a_judge_that_is_not_trusted_has_no_win_beside_the_verdict(evidence):
    found = judged(evidence, ["first"] * 60)
    assert found.bearing == (
        "The judge was a judge. No human labels say whether the judge is right: its wins are a second opinion, and "
        "decide nothing.",
    )
    assert found.sentences[1].startswith("The judge prefers RAG to LoRA in 100 %")


@pytest.mark.parametrize(
    ("unread", "said"),
    [
        (3, " Of 63 comparisons 3 gave no verdict that could be read and are left out."),
        (1, " Of 61 comparisons 1 gave no verdict that could be read and is left out."),
    ],
)
def test_comparisons_that_could_not_be_read_are_counted(evidence, unread, said):
    assert judged(evidence, ["first"] * 60 + [None] * unread).sentences[-1].endswith(said)


def test_a_judge_that_is_never_readable_prefers_nothing(evidence):
    assert judged(evidence, [None] * 5).sentences[-1] == (
        "The judge gave no verdict that could be read in any of 5 comparisons of RAG with LoRA."
    )
