"""`bakeoff run` with several folders, and with another engine than this process."""

import json
import socket
import sys
from dataclasses import replace

import pytest
from fake_ray import Handle, runs_go_to
from fakes import tiny_scenario, write_scenario_files

from harness import api

pytestmark = pytest.mark.usefixtures("own_cache", "faked")

FEW = ("--arms", "prompt,rag", "--quick", "--no-remember")


@pytest.fixture
def small(tmp_path):
    """Fewer cases than the rule asks for, and none that another scenario has."""
    made = tiny_scenario(cases=4)
    cases = tuple(replace(case, input=case.input.replace("capital", "river")) for case in made.cases)
    return write_scenario_files(tmp_path / "small", replace(made, cases=cases))


@pytest.fixture
def broken(tmp_path):
    folder = write_scenario_files(tmp_path / "broken", tiny_scenario(cases=4))
    (folder / "eval.jsonl").write_text('{"id": "a"}\n')
    return folder


def test_each_folder_has_a_run_and_a_verdict_of_its_own_and_one_that_fails_stops_none(
    bakeoff, scenario, broken, small, tmp_path
):
    code, out, err = bakeoff("run", scenario, broken, small, *FEW, "--out", tmp_path / "out")
    assert code == 2
    assert f"bakeoff: {broken}: its files have errors" in err
    verdicts = {file.parent.name: json.loads(file.read_text())["kind"] for file in tmp_path.glob("out/*/verdict.json")}
    assert verdicts == {"capitals": "winner", "small": "not_enough_cases"}
    assert out.count("Report: ") == 4
    assert (tmp_path / "out" / "small" / "report.html").is_file()


def test_the_worst_exit_code_is_the_commands(bakeoff, scenario, small, tmp_path, monkeypatch):
    both = ("run", scenario, small, *FEW, "--out", tmp_path / "out")
    assert bakeoff(*both)[0] == 0
    assert bakeoff(*both, "--strict")[0] == 3
    whole = api.run_prepared

    def faulty(ready, **others):
        if ready.scenario.name == "small":
            raise RuntimeError("ours")
        return whole(ready, **others)

    monkeypatch.setattr(api, "run_prepared", faulty)
    code, out, err = bakeoff(*both, "--strict")
    assert (code, "RuntimeError: ours" in err) == (1, True)
    assert out.count("Report: ") == 2


def test_the_same_command_goes_on_with_all_of_them(bakeoff, scenario, small, tmp_path):
    both = ("run", scenario, small, *FEW, "--out", tmp_path / "out")
    bakeoff(*both)
    assert bakeoff(*both)[1].count("Everything is answered already") == 2


def test_two_runs_do_not_go_into_one_folder(bakeoff, scenario, tmp_path):
    code, _, err = bakeoff("run", scenario, scenario / "scenario.toml", *FEW, "--out", tmp_path / "out")
    assert code == 2
    assert f"Two runs would go into {tmp_path / 'out' / 'capitals'}" in err


def test_an_address_needs_the_engine_that_it_is_for(bakeoff, scenario):
    code, _, err = bakeoff("run", scenario, *FEW, "--address", "host:6379")
    assert (code, "so it needs --engine ray" in err) == (2, True)


def test_on_a_cluster_too_a_run_that_ends_on_the_way_stops_none_and_its_exit_code_is_the_commands(
    bakeoff, scenario, small, tmp_path, monkeypatch
):
    def in_the_way(work, args):
        if args[0].box[0]().scenario.name == "small":
            (tmp_path / "out" / "small" / "predictions.jsonl").mkdir(exist_ok=True)

    runs_go_to(monkeypatch, Handle(faulty=in_the_way))
    code, out, err = bakeoff("run", small, scenario, *FEW, "--engine", "ray", "--out", tmp_path / "out")
    assert code == 2
    assert f"bakeoff: {small}: " in err
    assert "predictions.jsonl is no ordinary file" in err
    assert [file.parent.name for file in tmp_path.glob("out/*/verdict.json")] == ["capitals"]
    assert out.count("Report: ") == 2


def test_without_ray_its_engine_is_one_sentence(bakeoff, scenario, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = bakeoff("run", scenario, *FEW, "--engine", "ray", "--out", tmp_path / "out")
    assert code == 2
    assert err.strip() == (
        "bakeoff: --engine ray needs Ray, which is not installed. Install it with: pip install 'bakeoff-advisor[ray]'"
    )


def test_an_address_where_no_cluster_answers_is_one_sentence(bakeoff, scenario, tmp_path):
    pytest.importorskip("ray")
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        code, _, err = bakeoff(
            "run", scenario, *FEW, "--engine", "ray", "--address", address, "--out", tmp_path / "out"
        )
    assert code == 2
    assert f"No Ray cluster answers at {address}: ConnectionRefusedError" in err
