"""Commands with the address of other storage in the place of a folder."""

import json
import sys
import uuid
from dataclasses import replace

import pytest
from fakes import tiny_scenario, write_scenario_files

from harness.remote.storage import open_storage
from harness.remote.url import remote_url

pytestmark = pytest.mark.usefixtures("own_cache", "faked")

FEW = ("--arms", "prompt,rag", "--quick")


@pytest.fixture
def url():
    pytest.importorskip("fsspec")
    return f"memory://{uuid.uuid4().hex}/runs/one"


def there(url):
    storage = open_storage(remote_url(url))
    return {name: storage.read(name) for name in storage.files()}


@pytest.fixture
def made(bakeoff, scenario, url):
    code, out, err = bakeoff("run", scenario, *FEW, "--out", url)
    assert code == 0, err
    assert out.rstrip().endswith(f"Uploaded to {url}")
    return url


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Another machine."""
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "elsewhere"))


def test_a_run_lies_there_as_a_run_folder_here_would(made, bakeoff, scenario, tmp_path):
    bakeoff("run", scenario, *FEW, "--out", tmp_path / "here", "--no-cache")
    names = {p.relative_to(tmp_path / "here").as_posix() for p in (tmp_path / "here").rglob("*") if p.is_file()}
    assert set(there(made)) == {name for name in names if not name.startswith(".")}
    assert made in json.loads(there(made)["provenance.json"])["command"]


@pytest.mark.usefixtures("elsewhere")
def test_the_same_command_elsewhere_finds_everything_answered(made, bakeoff, scenario):
    before = there(made)
    code, out, _ = bakeoff("run", scenario, *FEW, "--out", made)
    assert code == 0
    assert "Everything is answered already" in out
    assert there(made)["predictions.jsonl"] == before["predictions.jsonl"]


@pytest.mark.usefixtures("elsewhere")
def test_score_compare_export_and_report_read_it(made, bakeoff, tmp_path):
    code, out, _ = bakeoff("score", made, "--json")
    assert (code, out.encode()) == (0, there(made)["scores.json"])
    assert bakeoff("compare", made)[0] == 0
    assert bakeoff("compare", made, made)[0] == 0
    assert bakeoff("export", made, "--to", "csv", "--out", tmp_path / "csv")[0] == 0
    assert list((tmp_path / "csv").glob("*.csv"))
    code, out, _ = bakeoff("export", made, "--to", "csv", "--out", "memory://tables/one")
    assert code == 0
    assert sorted(out.splitlines()) == sorted(
        f"Wrote memory://tables/one/{name}" for name in there("memory://tables/one")
    )
    assert there("memory://tables/one")["scores.csv"] == (tmp_path / "csv" / "scores.csv").read_bytes()
    code, out, _ = bakeoff("report", made, "--format", "md")
    assert (code, out) == (0, f"Wrote {made}/report.md\n")
    assert there(made)["report.md"].startswith(b"#")
    code, out, _ = bakeoff("report", made, "--format", "md", "--out", tmp_path / "reports")
    assert (code, out) == (0, f"Wrote {tmp_path / 'reports' / 'report.md'}\n")
    code, out, _ = bakeoff("report", made, "--format", "md", "--out", "memory://reports/one")
    assert (code, out) == (0, "Wrote memory://reports/one/report.md\n")
    assert set(there("memory://reports/one")) == {"report.md"}


def test_history_lists_the_runs_there_and_passes_over_what_is_none(made, bakeoff, url, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    runs = url.rpartition("/")[0]
    there_ = open_storage(remote_url(runs))
    begun = there(made)["run.json"]
    for folder in ("begun", "run#1", "a::b", "c" * 300, r"back\slash"):
        there_.put(f"{folder}/run.json", begun)
    there_.put("damaged/run.json", b"{")
    there_.put("large/run.json", b" " * (16 * 2**20) + begun)
    there_.put("deep/down/run.json", begun)
    code, out, err = bakeoff("history", "--runs", runs)
    assert code == 0, err
    assert [line.split()[2] for line in out.splitlines() if runs in line] == [f"{runs}/one", f"{runs}/begun"]
    assert "not finished: the same command goes on" in out
    code, out, _ = bakeoff("history", "--runs", f"{runs}/elsewhere")
    assert (code, out) == (0, f"No runs under {runs}/elsewhere yet. Begin with: bakeoff run DIR\n")


def test_tables_that_find_no_room_here_are_told_with_where_they_were_to_go(made, bakeoff, monkeypatch):
    def full(table, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.export.write.write_csv", full)
    code, _, err = bakeoff("export", made, "--to", "csv", "--out", "memory://tables/full")
    assert code == 2
    said = " ".join(err.split())
    assert "What is to be sent to memory://tables/full cannot be written on this machine first (" in said
    assert said.endswith("Make room there, or name another temporary folder with TMPDIR.")
    assert there("memory://tables/full") == {}


def test_several_runs_have_a_folder_each(bakeoff, scenario, tmp_path, url):
    made = tiny_scenario(cases=14)
    others = tuple(replace(case, input=case.input.replace("Landia", "Utopia")) for case in made.cases)
    second = write_scenario_files(tmp_path / "others", replace(made, cases=others))
    code, _, err = bakeoff("run", scenario, second, *FEW, "--out", url)
    assert code == 0, err
    assert {name.partition("/")[0] for name in there(url)} == {scenario.name, second.name}
    assert "verdict.json" in there(f"{url}/{second.name}")
    code, out, _ = bakeoff("run", second, *FEW, "--out", f"{url}/{second.name}")
    assert code == 0
    assert "Everything is answered already" in out


def test_two_runs_of_one_name_are_refused(bakeoff, scenario, url):
    code, _, err = bakeoff("run", scenario, scenario, *FEW, "--out", url)
    assert code == 2
    assert f"Two runs would go into {url}/{scenario.name}." in err


def test_another_run_in_the_same_place_is_refused_and_changes_nothing(made, bakeoff, scenario):
    before = there(made)
    code, _, err = bakeoff("run", scenario, *FEW, "--seed", "7", "--out", made)
    assert code == 2
    assert "holds another run: decision rule, seed changed since it began" in err
    assert there(made) == before


def test_check_reads_a_scenario_from_there(bakeoff, scenario, url):
    storage = open_storage(remote_url(url))
    for path in (path for path in scenario.rglob("*") if path.is_file()):
        storage.put(path.relative_to(scenario).as_posix(), path)
    code, out, _ = bakeoff("check", url)
    assert code == 0
    assert "14 eval cases" in out


@pytest.mark.parametrize("command", ["report", "score", "compare", "check"])
def test_an_address_where_nothing_is_is_named(bakeoff, url, command):
    code, _, err = bakeoff(command, url)
    assert code == 2
    assert f"There is nothing at {url}" in err
    assert "Traceback" not in err


def test_what_cannot_be_an_address_is_refused(bakeoff, scenario, url, tmp_path):
    code, _, err = bakeoff("run", scenario, "--out", "s3://me:hush@bucket/run")
    assert code == 2
    assert "must not hold a user or a password" in err
    assert "hush" not in err
    code, _, err = bakeoff("export", tmp_path, "--to", "mlflow", "--out", url)
    assert code == 2
    assert f"--out is a folder on this machine for --to mlflow; got {url}. A server is named with --uri." in err


def test_without_the_package_the_run_is_refused_before_anything_else(bakeoff, scenario, monkeypatch):
    registry = pytest.importorskip("fsspec.registry")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(registry._registry, "s3", raising=False)
    code, _, err = bakeoff("run", scenario, "--out", "s3://bucket/run")
    assert code == 2
    assert "pip install 'bakeoff-advisor[object-storage]'" in err
    assert "Traceback" not in err


def test_a_run_whose_upload_fails_ends_with_2_and_says_where_it_lies(bakeoff, scenario, url, monkeypatch):
    from harness.remote import working
    from harness.remote.storage import Storage

    def lost(self, name, content):
        raise ConnectionResetError("the line is dead")

    monkeypatch.setattr(working, "AT_THE_END", (0.0,))
    with monkeypatch.context() as patched:
        patched.setattr(Storage, "_put", lambda self, name, content: lost(self, name, content))
        code, out, err = bakeoff("run", scenario, *FEW, "--out", url)
    folder = remote_url(url).folder()
    assert code == 2
    assert "RAG is the best choice" in out
    assert f"the whole copy lies in {folder}, and the same command uploads it" in " ".join(err.split())
    assert there(url) == {}
    code, _, _ = bakeoff("run", scenario, *FEW, "--out", url)
    assert code == 0
    assert "verdict.json" in there(url)


def test_the_python_functions_take_the_working_copy(made):
    from harness import api

    with api.working_copy(api.remote_url(made), say=print, writing=False) as folder:
        assert api.report_data(folder).verdict.arm == "rag"
