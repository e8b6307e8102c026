"""Runs for other programs: every row is there, nothing acts, and nothing is written twice."""

import csv
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from fakes import FakeEngine, FakeModel, fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.errors import MissingModel, UserError
from harness.export.files import write_csv, write_parquet
from harness.export.tables import FlatTable, flat_tables, run_names
from harness.scenario_file.read import Overrides

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "\n@x", "a;=1", "a\n=1", "＝1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    made = tiny_scenario(cases=10)
    cases = (replace(made.cases[0], input="=HYPERLINK(0)", output="a.b@example.org"), *made.cases[1:])
    scenario = write_scenario_files(folder / "s", replace(made, cases=cases))
    engine = FakeEngine(FakeModel(fails_on=("Landia7",)))
    fake_run(scenario, folder / "run", engine=engine, overrides=Overrides(arms=("prompt", "rag")), remember=False)
    return folder / "run"


@pytest.fixture(scope="module")
def tracked(run, tmp_path_factory):
    """A store in a file (which takes seconds to make) that holds the run, masked."""
    folder = tmp_path_factory.mktemp("tracked")
    (said,) = api.export(run, options=api.ExportOptions("mlflow", folder, redact=True))
    assert ": run " in said
    return folder


def table(row):
    return FlatTable("t", {name: str if cell is None else type(cell) for name, cell in row.items()}, (row,))


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_case_and_arm_is_a_row_with_its_scores(run, tmp_path):
    api.export(run, options=api.ExportOptions("parquet", tmp_path))
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    data = api.report_data(run)
    assert {(row["case_id"], row["arm"]) for row in rows} == {(c.id, arm) for c in data.cases for arm in data.arms}
    for row in rows:
        score = data.case_score_of[row["case_id"], row["arm"]]
        assert row["metric_token_f1"] == score.values["token_f1"]
        assert row["failed"] == score.failed
    errors = [row for row in rows if row["error"]]
    assert {row["case_id"] for row in errors} == {"e7"}


def test_every_column_has_its_type_whatever_is_in_it(run, tmp_path):
    """No case has a group, no arm failed to be timed, and of what is in no row the type would be unknown."""
    api.export(run, options=api.ExportOptions("parquet", tmp_path))
    types = {
        path.stem: {field.name: str(field.type) for field in pq.read_schema(path)}
        for path in tmp_path.glob("*.parquet")
    }
    assert set(types) == {"predictions", "scores", "comparisons", "costs"}
    assert {kind for own in types.values() for kind in own.values()} == {"string", "int64", "double", "bool"}
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert {row["group"] for row in rows} == {None}
    assert types["predictions"]["group"] == "string"
    assert types["comparisons"]["clusters"] == "int64"
    assert types["costs"]["first_token_p50"] == "double"


def test_a_table_without_rows_has_its_columns_too(tmp_path):
    empty = FlatTable("t", {"a": str, "b": int, "c": float, "d": bool}, ())
    write_parquet(empty, tmp_path / "t.parquet")
    write_csv(empty, tmp_path / "t.csv")
    assert [str(kind) for kind in pq.read_schema(tmp_path / "t.parquet").types] == ["string", "int64", "double", "bool"]
    assert (tmp_path / "t.csv").read_text("utf-8-sig") == "a,b,c,d\n"


def test_scores_and_pairs_are_those_of_the_verdict(run, tmp_path):
    api.export(run, options=api.ExportOptions("csv", tmp_path))
    verdict = json.loads((run / "verdict.json").read_text())
    scores = {row["arm"]: float(row["value"]) for row in rows_of(tmp_path / "scores.csv") if row["decides"] == "True"}
    assert scores == {arm: one["value"] for arm, one in verdict["scores"].items()}
    assert len(rows_of(tmp_path / "comparisons.csv")) == len(verdict["comparisons"])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_in_a_spreadsheet(text, tmp_path):
    write_csv(table({"a": text, "b": -1.5, "c": True, "d": None}), tmp_path / "t.csv")
    (row,) = rows_of(tmp_path / "t.csv")
    assert row["a"].startswith("'")
    assert row["a"][1:] == text
    assert row["b"] == "-1.5", "a number stays one"


def test_half_characters_and_nul_are_written(tmp_path):
    write_csv(table({"a": "x\ud800\0y"}), tmp_path / "t.csv")
    assert rows_of(tmp_path / "t.csv") == [{"a": "x?\N{SYMBOL FOR NULL}y"}]


def test_redacted_exports_hold_no_address(run, tracked, tmp_path):
    for to in ("csv", "parquet"):
        api.export(run, options=api.ExportOptions(to, tmp_path / to, redact=True))
    written = [path for folder in (tmp_path, tracked) for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 8
    assert not [path for path in written if b"a.b@example.org" in path.read_bytes()]
    assert "[email]" in (tmp_path / "csv" / "predictions.csv").read_text("utf-8-sig")


def test_two_runs_of_one_moment_keep_their_rows_apart(run):
    data = api.report_data(run)
    assert len(set(run_names([data, data, data]))) == 3
    scores = next(table for table in flat_tables([data, data]) if table.name == "scores")
    assert len({row["run"] for row in scores.rows}) == 2


def test_a_tracker_holds_the_run_once_with_an_arm_below_it_each(run, tracked):
    (again,) = api.export(run, options=api.ExportOptions("mlflow", tracked, redact=True))
    assert "was there already" in again
    with sqlite3.connect(tracked / "mlflow.db") as store:
        names = [name for (name,) in store.execute("select name from runs")]
        tags = dict(store.execute("select key, value from tags where key like 'bakeoff.%'").fetchall())
        metrics = dict(store.execute("select key, value from metrics").fetchall())
    data = api.report_data(run)
    assert sorted(names) == sorted([data.scenario.name, *data.arms])
    assert tags["bakeoff.verdict"] == data.verdict.kind.value
    assert {"token_f1", "token_f1.low", "tokens_in", "failed"} <= set(metrics)
    assert sorted(path.name for path in (tracked / "mlflow-files").rglob("*.*") if path.is_file()) == [
        "report.html",
        "report.md",
        "verdict.json",
    ]


def test_a_store_that_does_not_answer_is_named(run, tmp_path):
    with pytest.raises(UserError, match=r"MLflow could not write to http://127.0.0.1:9") as told:
        api.export(run, options=api.ExportOptions("mlflow", tmp_path, uri="http://user:s3cret@127.0.0.1:9"))
    assert "s3cret" not in str(told.value)


def test_without_the_package_a_sentence_says_what_to_install(run, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    with pytest.raises(MissingModel, match=r"bakeoff-advisor\[mlflow\]"):
        api.export(run, options=api.ExportOptions("mlflow", tmp_path))


def test_an_address_is_for_trackers_only(run, tmp_path):
    with pytest.raises(UserError, match="--uri names an MLflow store"):
        api.export(run, options=api.ExportOptions("csv", tmp_path, uri="http://127.0.0.1:9"))
    with pytest.raises(UserError, match="got 'xlsx'"):
        api.export(run, options=api.ExportOptions("xlsx", tmp_path))


NO_SOCKETS = """
import socket, sys
def refuse(*_): raise AssertionError("a connection was tried")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from harness.cli.main import main
main()
"""


def test_a_tracker_in_a_file_needs_no_network(run, tracked):
    command = [sys.executable, "-c", NO_SOCKETS, "export", run, "--to", "mlflow", "--redact", "--out", tracked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "mlflow.db" in done.stdout
