"""The commands around a run as a user meets them: what they print, and with which exit code they end."""

import csv
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fakes import FakeWatcher

from harness import api
from harness.api import EXPLORED
from harness.cli.compare import show_comparisons
from harness.cli.main import COMMANDS, cli
from harness.errors import MissingModel
from harness.publish.console import SafeConsole

pytestmark = pytest.mark.usefixtures("own_cache")

FEW = ("--arms", "prompt,rag")

# first steps and help


def test_the_plain_command_says_what_to_do_first(bakeoff):
    code, out, err = bakeoff()
    assert (code, err) == (0, "")
    places = [out.index(f"bakeoff {step}") for step in ("doctor", "init", "check", "plan", "run")]
    assert places == sorted(places)
    assert "bakeoff --help" in out


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_lists_every_command_and_the_exit_codes(bakeoff, flag):
    code, out, _ = bakeoff(flag)
    assert code == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert "130" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name):
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: cli {name}")
    command = cli.get_command(click.Context(cli), name)
    assert (command.help or "").strip()
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert all(one.help for one in options), "every option is explained"
    assert all(one.opts[0] in done.output for one in options)


def test_the_help_imports_no_model_library():
    heavy = ("torch", "transformers", "peft", "sentence_transformers", "faiss", "scipy", "sklearn")
    code = (
        "import sys\nfrom harness.cli.main import main\nsys.argv = ['bakeoff', '--help']\n"
        f"try: main()\nexcept SystemExit as e: print(e.code, [m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_the_version_is_that_of_the_package(bakeoff):
    from importlib.metadata import version

    assert bakeoff("--version")[:2] == (0, f"bakeoff, version {version('bakeoff-advisor')}\n")


# init


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["question", "answer"])
        writer.writerows([f"What about thing {n}?", ["billing", "refund", "other"][n % 3]] for n in range(60))
    return path


def test_init_makes_a_folder_of_a_table_and_names_the_next_step(bakeoff, table, tmp_path):
    columns = ("--input", "question", "--output", "answer")
    code, out, _ = bakeoff("init", table, *columns, "--eval-size", "20", "--into", tmp_path / "made")
    assert code == 0
    made = tmp_path / "made"
    assert {path.name for path in made.iterdir()} == {"eval.jsonl", "train.jsonl", "scenario.toml"}
    assert [len((made / name).read_text().splitlines()) for name in ("eval.jsonl", "train.jsonl")] == [20, 40]
    assert set(api.read_scenario(made).labels) == {"billing", "other", "refund"}
    assert [out.count(f"Wrote {made / name}") for name in ("eval.jsonl", "train.jsonl", "scenario.toml")] == [1, 1, 1]
    assert out.rstrip().splitlines()[-1] == f"Next: bakeoff check {made}"


def test_init_makes_the_folder_beside_the_table_and_overwrites_only_when_told(bakeoff, table):
    columns = ("--input", "question", "--output", "answer")
    assert bakeoff("init", table, *columns)[0] == 0
    made = table.with_suffix("")
    (made / "scenario.toml").write_text("# mine\n")
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    code, _, err = bakeoff("init", table, *columns, "--seed", "1")
    assert code == 2
    assert all(f"{made / name}: the file is there already" in err for name in before)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    assert bakeoff("init", table, *columns, "--seed", "1", "--force")[0] == 0
    assert (made / "scenario.toml").read_text() != "# mine\n"


def test_init_on_a_folder_with_rows_writes_its_settings_only(bakeoff, scenario):
    (scenario / "scenario.toml").unlink()
    rows = (scenario / "eval.jsonl").read_bytes()
    code, out, _ = bakeoff("init", scenario)
    assert code == 0
    assert f"Wrote {scenario / 'scenario.toml'}" in out
    assert (scenario / "eval.jsonl").read_bytes() == rows


# check and plan


@pytest.fixture
def labels(tmp_path):
    """Texts under three labels, no documents."""
    for name, count in (("eval", 12), ("train", 30)):
        rows = [{"input": f"{name} text {n}", "output": ("red", "green", "blue")[n % 3]} for n in range(count)]
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "labels"


@pytest.mark.usefixtures("faked")
def test_check_says_how_often_labels_occur_and_nothing_of_documents_where_there_are_none(bakeoff, labels):
    code, out, _ = bakeoff("check", labels)
    assert code == 0
    assert "3 labels; the rarest has 10 training rows, the middle one 10." in out
    assert "in some document" not in out


def test_what_cannot_be_looked_at_without_a_model_is_said_and_the_rest_is_checked(scenario, monkeypatch):
    def missing(name):
        raise MissingModel(f"{name} is not here")

    monkeypatch.setattr(api, "SentenceEmbedder", missing)
    monkeypatch.setattr("harness.models.local.window_and_counter", missing)
    watcher = FakeWatcher()
    found = api.check(scenario, watcher=watcher)
    assert found.audit.n_eval == 14
    assert [note.partition(": ")[0] for note in watcher.notes] == [
        "Near duplicates were not looked for",
        "Lengths were not counted",
    ]
    (scenario / "train.jsonl").unlink()
    watcher = FakeWatcher()
    assert api.check(scenario, watcher=watcher).audit.n_train == 0
    assert len(watcher.notes) == 1, "without training rows there are no near duplicates"


@pytest.mark.usefixtures("faked")
def test_check_says_what_the_data_are_and_ends_with_0(bakeoff, scenario):
    code, out, _ = bakeoff("check", Path("..", scenario.name))
    assert code == 0
    assert "14 eval cases, 20 training rows, 34 documents; answers are short texts." in out
    assert "100% of the eval answers stand word for word in some document." in out
    assert "No errors" in out
    assert out.rstrip().endswith(f"Next: bakeoff plan ../{scenario.name}")


@pytest.mark.usefixtures("faked")
def test_check_warns_of_leaks_and_still_ends_with_0(bakeoff, scenario):
    first = (scenario / "eval.jsonl").read_text().splitlines()[0]
    with (scenario / "train.jsonl").open("a") as stream:
        stream.write(json.dumps(json.loads(first) | {"id": "leak"}) + "\n")
    code, out, _ = bakeoff("check", scenario)
    assert code == 0
    assert "warning: " in out
    assert "1 training row would leak eval cases and will be left out." in out


@pytest.mark.usefixtures("faked")
def test_check_names_rows_that_are_too_long_for_the_model(bakeoff, scenario, monkeypatch):
    monkeypatch.setattr("harness.models.local.window_and_counter", lambda name: (3, lambda text: len(text.split())))
    code, out, _ = bakeoff("check", scenario)
    assert code == 0
    assert "warning: eval.jsonl:1: " in out


@pytest.mark.usefixtures("faked")
def test_plan_shows_the_arms_the_power_and_the_rule_and_writes_nothing(bakeoff, scenario):
    code, out, _ = bakeoff("plan", scenario, *FEW)
    assert code == 0
    assert "Plan: capitals" in out
    assert "14 eval cases" in out
    assert "Decision rule" in out
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.usefixtures("faked")
def test_plan_as_json_prints_nothing_else(bakeoff, scenario):
    code, out, _ = bakeoff("plan", scenario, *FEW, "--json")
    assert code == 0
    assert [one["arm"] for one in json.loads(out)["arms"]] == ["dummy", "prompt", "rag"]


# after the run


def test_score_shows_scores_and_verdict_again(bakeoff, finished):
    code, out, _ = bakeoff("score", finished)
    assert code == 0
    assert "RAG is the best choice" in out
    assert "Token F1" in out


def test_score_as_json_prints_the_scores_and_nothing_else(bakeoff, finished):
    code, out, _ = bakeoff("score", finished, "--json")
    assert code == 0
    assert {(one["arm"], one["metric"]) for one in json.loads(out)} >= {("rag", "token_f1"), ("dummy", "token_f1")}
    assert out == (finished / "scores.json").read_text()


def test_score_draws_a_lost_verdict_again(bakeoff, finished):
    before = (finished / "verdict.json").read_bytes()
    (finished / "verdict.json").unlink()
    assert bakeoff("score", finished)[0] == 0
    assert (finished / "verdict.json").read_bytes() == before


def test_compare_shows_every_pair(bakeoff, finished):
    code, out, _ = bakeoff("compare", finished)
    assert code == 0
    assert "Token F1, 14 cases" in out
    assert "p adjusted by Holm over all 3 pairs." in out


@pytest.mark.parametrize("metric", [None, "exact_match"])
def test_compare_as_json_prints_the_pairs_and_nothing_else(bakeoff, finished, metric):
    code, out, _ = bakeoff("compare", finished, "--json", *(("--metric", metric) if metric else ()))
    assert code == 0
    found = json.loads(out)
    assert [{one["first"], one["second"]} for one in found] == [
        {"dummy", "prompt"},
        {"dummy", "rag"},
        {"prompt", "rag"},
    ]
    assert {one["metric"] for one in found} == {metric or "token_f1"}
    assert all(one["low"] <= one["difference"] <= one["high"] for one in found)


def test_looking_at_another_metric_leaves_the_verdict_as_it_is(bakeoff, finished):
    before = (finished / "verdict.json").read_bytes()
    assert bakeoff("compare", finished, "--metric", "exact_match")[0] == 0
    assert (finished / "verdict.json").read_bytes() == before


def test_report_writes_both_files_and_names_them(bakeoff, finished):
    code, out, _ = bakeoff("report", finished)
    assert code == 0
    assert out.splitlines() == [f"Wrote {finished / name}" for name in ("report.md", "report.html")]
    assert all((finished / name).stat().st_size > 1000 for name in ("report.md", "report.html"))


def test_a_report_in_every_format_goes_where_it_is_told(bakeoff, finished, tmp_path):
    (tmp_path / "client.toml").write_text(
        'client = "Harbour Trust"\n[prices]\ncurrency = "EUR"\ninput = 1\noutput = 2\n'
    )
    out_folder = tmp_path / "to client"
    asked = ("--format", "html,pdf,docx,pptx,md", "--for", tmp_path / "client.toml", "--out", out_folder)
    code, out, _ = bakeoff("report", finished, *asked)
    assert code == 0
    names = [f"report.{kind}" for kind in ("html", "pdf", "docx", "pptx", "md")]
    assert out.splitlines() == [f"Wrote {out_folder / name}" for name in names]
    assert "€" in (out_folder / "report.md").read_text(encoding="utf-8")
    assert "Harbour Trust" in (out_folder / "report.html").read_text(encoding="utf-8")


def test_several_runs_are_compared_side_by_side(bakeoff, finished):
    code, out, _ = bakeoff("compare", finished, finished)
    assert code == 0
    assert "Run 2 was made alike, and comes to the same verdict" in out
    assert "no test was made between them" in " ".join(out.split())
    code, out, _ = bakeoff("compare", finished, finished, "--json")
    assert set(json.loads(out)) == {"changes", "verdicts"}


def test_history_without_runs_says_how_to_begin(bakeoff):
    for arguments in ((), ("--runs", "nowhere")):
        code, out, _ = bakeoff("history", *arguments)
        assert code == 0
        assert "No runs under " in out
        assert "Begin with: bakeoff run DIR" in out


def test_history_lists_runs_newest_first_the_unfinished_too_and_passes_over_damaged_ones(bakeoff, finished):
    runs = Path("runs")
    for name in ("done", "half", "torn"):
        (runs / name).mkdir(parents=True)
    shutil.copytree(finished, runs / "done", dirs_exist_ok=True)
    key = json.loads((finished / "run.json").read_text())
    key.pop("checksum")  # of the record as it was
    (runs / "half" / "run.json").write_text(json.dumps(key | {"created": "2999-01-02T03:04:05Z"}))
    (runs / "torn" / "run.json").write_text("{")
    code, out, _ = bakeoff("history")
    assert code == 0
    half, done = (next(line for line in out.splitlines() if f"runs/{name}" in line) for name in ("half", "done"))
    assert out.index(half) < out.index(done)
    assert half.split()[:2] == ["2999-01-02", "03:04"]
    assert "not finished" in half
    assert "RAG" in done
    assert "torn" not in out


def test_an_interrupt_that_a_library_turns_into_an_error_of_its_own_is_a_stop(monkeypatch, capsys):
    import os
    import signal

    from harness.cli import main as entry

    def converted(**_):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("Invalid affine transformation matrix") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(entry.cli, "main", converted)
    try:
        with pytest.raises(SystemExit) as ended:
            entry.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert "Stopped." in capsys.readouterr().err


def test_the_verdict_of_an_explored_run_decides_nothing_of_an_advice(finished, tmp_path, monkeypatch):
    from advisor import api as advisor
    from advisor.answers import combine, parse_set

    advice = advisor.advise(combine(parse_set(("task=facts_qa", "gap=facts", "corpus_tokens=2m"))))
    advisor.write_json(replace(advice, created="2020-01-01T00:00:00Z"), tmp_path / "advice.json")
    told = {}
    real = api.report_data
    for exploratory in ((), ("margin",)):
        monkeypatch.setattr(api, "report_data", partial(_explored, real, exploratory))
        api.report(
            finished, options=api.ReportOptions(advice=tmp_path / "advice.json", out=tmp_path / str(exploratory))
        )
        told[exploratory] = (tmp_path / str(exploratory) / "report.md").read_text()
    assert EXPLORED not in told[()]
    assert EXPLORED in told["margin",]


def _explored(real, exploratory, folder):
    data = real(folder)
    return replace(data, verdict=replace(data.verdict, exploratory=exploratory))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 99}, "was written by a newer version (schema 99, this one reads"),
        ({"sections": [{"title": 3}]}, "is damaged: "),
    ],
)
def test_an_advice_that_cannot_be_taken_over_is_said_with_what_to_do(bakeoff, finished, tmp_path, change, said):
    told = {
        "schema_version": 1, "created": "2026-01-01T00:00:00Z", "title": "T", "recommendation": {"approach": "rag"},
        "costs": {"currency": "USD", "prices_date": "2026-01-01", "requests_per_day": 1.0, "approaches": []},
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(told))
    assert bakeoff("report", finished, "--advice", tmp_path / "a.json")[0] == 0
    (tmp_path / "a.json").write_text(json.dumps(told | change))
    code, _, err = bakeoff("report", finished, "--advice", tmp_path / "a.json")
    assert code == 2
    assert said in " ".join(err.split())
    assert "update bakeoff-advisor" in err or "write it again with `advise`" in " ".join(err.split())


def test_with_one_arm_there_is_no_pair_and_that_is_said():
    out = SafeConsole(file=io.StringIO(), width=100)
    show_comparisons(out, ())
    assert out.file.getvalue() == "There is no pair of arms to compare.\n"
