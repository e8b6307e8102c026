"""Files that earlier versions wrote are still read. A new format adds a folder to fixtures; none is ever taken away."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from advisor.cli.main import cli as advise
from harness import api
from harness.records import VerdictKind
from harness.report.advice_file import read_advice_file

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = sorted(path.name for path in FIXTURES.iterdir())


@pytest.fixture(params=VERSIONS)
def old(request, tmp_path):
    shutil.copytree(FIXTURES / request.param, tmp_path / "old")
    return tmp_path / "old"


def test_a_run_folder_opens_is_scored_again_and_reported(old):
    before = json.loads((old / "run" / "verdict.json").read_text(encoding="utf-8"))
    assert {one.arm for one in api.score(old / "run")} == {"dummy", "prompt", "rag", "lora"}
    data = api.report_data(old / "run")
    assert (data.verdict.kind, data.verdict.arm) == (VerdictKind(before["kind"]), before["arm"])
    assert {one.arm: one.value for one in data.verdict.scores} == {
        arm: one["value"] for arm, one in before["scores"].items()
    }
    assert len(api.compare(old / "run")) == 6
    made = api.report(old / "run", options=api.ReportOptions(advice=old / "advice.json"))
    assert all(path.stat().st_size > 1000 for path in made)


def test_an_advice_opens_is_explained_and_compared(old):
    assert read_advice_file(old / "advice.json").title == "An old advice"
    for command in (["explain", old / "advice.json"], ["diff", old / "advice.json", old / "advice.json"]):
        done = CliRunner().invoke(advise, [str(part) for part in command])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", ["run/verdict.json", "run/scenario.json", "run/run.json", "advice.json"])
def test_every_file_says_which_version_of_the_format_it_has(old, name):
    assert json.loads((old / name).read_text(encoding="utf-8"))["schema_version"] == 1
