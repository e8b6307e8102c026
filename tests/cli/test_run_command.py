"""`bakeoff run`: what it prints, where, and with which exit code it ends."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import api
from harness.cli.common import console
from harness.cli.main import cli, main

pytestmark = pytest.mark.usefixtures("own_cache", "faked")

PUBLIC = {
    "kind", "arm", "tied", "metric", "margin", "alpha", "scores", "comparisons", "left_out", "rule_digest", "advice",
    "schema_version",
}  # fmt: skip
FEW = ("--arms", "prompt,rag")


def test_run_shows_plan_progress_and_verdict_and_writes_the_reports(bakeoff, scenario, tmp_path):
    code, out, _ = bakeoff("run", scenario, *FEW, "--out", tmp_path / "out")
    assert code == 0
    order = ["Plan: capitals", "Answering: ", "RAG is the best choice", f"Report: {tmp_path / 'out' / 'report.md'}"]
    places = [out.index(text) for text in order]
    assert places == sorted(places)
    assert (tmp_path / "out" / "report.html").is_file()


def test_without_a_terminal_progress_is_plain_lines(bakeoff, scenario, tmp_path):
    assert not console().is_terminal
    _, out, err = bakeoff("run", scenario, *FEW, "--out", tmp_path / "out")
    said = [line.partition("] ")[2] for line in out.splitlines() if line.startswith("[0:")]
    assert [line for line in said if line.startswith("Preparing: ")] != []
    assert "Answering: RAG: 14 of 14, score 100" in said
    assert not any(sign in out + err for sign in ("\x1b", "\r", "━"))


def test_without_out_a_run_gets_a_folder_under_runs_and_the_same_command_another(bakeoff, scenario):
    for count in (1, 2):
        assert bakeoff("run", scenario, *FEW, "--quick")[0] == 0
        assert len(list(Path("runs").iterdir())) == count


def test_run_as_json_prints_the_verdict_file_and_nothing_else(bakeoff, scenario, tmp_path):
    code, out, err = bakeoff("run", scenario, *FEW, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert out == (tmp_path / "out" / "verdict.json").read_text()
    verdict = json.loads(out)
    assert set(verdict) >= PUBLIC
    assert (verdict["kind"], verdict["arm"], verdict["metric"]) == ("winner", "rag", "token_f1")
    assert next(iter(verdict["scores"])) == "rag", "best first"
    assert set(verdict["scores"]) == {"dummy", "prompt", "rag"}
    for score in verdict["scores"].values():
        assert set(score) == {"value", "low", "high", "n", "failed"}
        assert score["low"] <= score["value"] <= score["high"]
    assert len(verdict["comparisons"]) == 3
    assert "Answering: " in err


@pytest.mark.parametrize(("flags", "expected"), [((), 0), (("--strict",), 3), (("--strict", "--json"), 3)])
def test_an_undecided_verdict_ends_with_3_only_where_that_was_asked_for(bakeoff, small, flags, expected):
    code, out, _ = bakeoff("run", small, *FEW, *flags)
    assert code == expected
    if "--json" in flags:
        assert json.loads(out)["kind"] == "not_enough_cases"


def test_a_verdict_that_was_reached_ends_with_0_however_strict(bakeoff, scenario):
    assert bakeoff("run", scenario, *FEW, "--strict")[0] == 0


def test_stopped_by_ctrl_c_it_ends_with_130_and_says_that_nothing_is_lost(bakeoff, scenario, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    whole = api.run_prepared
    monkeypatch.setattr(api, "run_prepared", interrupted)
    code, _, err = bakeoff("run", scenario, *FEW, "--out", tmp_path / "out")
    assert code == 130
    assert "Stopped. What was answered is kept; the same command goes on from there." in err
    assert "Traceback" not in err
    monkeypatch.setattr(api, "run_prepared", whole)
    assert bakeoff("run", scenario, *FEW, "--out", tmp_path / "out")[0] == 0


@pytest.mark.parametrize("fault", [RuntimeError("ours"), ValueError("ours"), KeyError("ours"), OSError("ours")])
def test_a_fault_of_ours_is_not_swallowed(scenario, monkeypatch, fault):
    def broken(*_, **__):
        raise fault

    monkeypatch.setattr(api, "run_prepared", broken)
    monkeypatch.setattr(sys, "argv", ["bakeoff", "run", str(scenario), *FEW])
    with pytest.raises(type(fault), match="ours") as raised:  # Python then prints the traceback and ends with 1
        main()
    assert raised.value is fault
    assert CliRunner().invoke(cli, ["run", str(scenario), *FEW]).exit_code == 1


def test_retry_errors_without_a_run_ends_with_2_and_says_what_to_do(bakeoff, scenario, tmp_path):
    code, _, err = bakeoff("run", scenario, *FEW, "--out", tmp_path / "none", "--retry-errors")
    assert code == 2
    assert "leave --retry-errors out to begin a run" in " ".join(err.split())


def test_retry_errors_of_a_run_without_errors_draws_its_verdict_again(bakeoff, scenario, tmp_path):
    assert bakeoff("run", scenario, *FEW, "--out", tmp_path / "out")[0] == 0
    code, out, _ = bakeoff("run", scenario, *FEW, "--out", tmp_path / "out", "--retry-errors", "--max-errors", "25%")
    assert code == 0
    assert "Nothing failed in" in out


@pytest.mark.parametrize("said", ["lots", "-3", "120%", ""])
def test_an_error_budget_that_cannot_be_read_ends_with_2_and_says_what_was_expected(bakeoff, scenario, said):
    code, _, err = bakeoff("run", scenario, *FEW, "--max-errors", said)
    assert code == 2
    assert "expected a number of errors" in " ".join(err.split())
    assert "Traceback" not in err
