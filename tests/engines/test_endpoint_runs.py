"""A whole bake-off behind an endpoint, whatever the server does: every case is answered or counted, none paid twice."""

import json
import threading
from dataclasses import replace

import pytest
from fakes import FakeEmbedder, tiny_scenario, write_scenario_files
from loopback import Loopback

from harness.errors import InputProblems, RunFolderError, RunStopped, UserError
from harness.experiment.latency import latency_cases
from harness.experiment.options import RunOptions, Silent
from harness.experiment.run import prepare, run_prepared
from harness.models.endpoint import CannotHold
from harness.scenario_file.endpoint import EndpointSettings
from harness.scenario_file.read import Overrides
from harness.store import RunFolder

pytest.importorskip("openai")


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BAKEOFF_KEY_OF_TEST", "sk-secret-of-this-test")


@pytest.fixture
def served():
    """Servers that are stopped at the end."""
    started = []

    def serve(trouble=lambda count, number: None):
        started.append(Loopback(trouble).start())
        return started[-1]

    yield serve
    for one in started:
        one.stop()


@pytest.fixture
def scenario(tmp_path):
    return write_scenario_files(tmp_path / "s", tiny_scenario(cases=20))


def ran(path, out, server, *, arms=("prompt", "rag"), settings=None, **more):
    """Run against the server; gives its folder."""
    about = EndpointSettings(url=server.url, model="m", key_variable="BAKEOFF_KEY_OF_TEST", retries=4)
    overrides = Overrides(arms=arms, endpoint=replace(about, **(settings or {})), **more)
    options = RunOptions(out=out, use_cache=False, remember=False, quick=True, overrides=overrides)
    ready = prepare(path, options=options, load_embedder=lambda _: FakeEmbedder())
    return run_prepared(ready, options=options, watcher=Silent()).folder


def test_every_arm_that_does_not_train_is_asked_and_the_others_say_why_not(scenario, tmp_path, served):
    folder = ran(scenario, tmp_path / "run", served(), arms=("prompt", "few_shot", "nearest_shots", "rag", "lora"))
    found = folder.predictions()
    assert set(found) == {"dummy", "prompt", "few_shot", "nearest_shots", "rag"}
    assert all(len(one) == 20 and not any(p.error for p in one.values()) for one in found.values())
    (left,) = folder.left_out()
    assert left.arm == "lora"
    assert "behind an endpoint" in left.reason
    spent = folder.provenance().spent
    assert spent.requests == len(folder.path.joinpath("requests.jsonl").read_text().splitlines())
    assert spent.tokens_in == 20 * spent.requests, "as the server counted them"
    assert spent.money is None, "nobody named prices"
    assert any(one.first_token_seconds is not None for one in folder.latency())


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"window": 4096}, "window of the endpoint"), ({"length_field": "max_completion_tokens"}, "length_field of")],
)
def test_a_changed_setting_that_changes_answers_is_another_run(scenario, tmp_path, served, changed, named):
    server = served()
    ran(scenario, tmp_path / "run", server, arms=("prompt",))
    ran(scenario, tmp_path / "run", server, arms=("prompt",), settings={"concurrency": 2})
    with pytest.raises(RunFolderError, match=f"holds another run: {named}.* changed since it began"):
        ran(scenario, tmp_path / "run", server, arms=("prompt",), settings=changed)


def test_no_key_is_written_anywhere(scenario, tmp_path, served):
    folder = ran(scenario, tmp_path / "run", served())
    written = [path for path in folder.path.rglob("*") if path.is_file()]
    assert len(written) > 8
    assert not [path for path in written if b"sk-secret" in path.read_bytes()]


TROUBLES = [429, 500, 503, "cut", "garbage", "empty", "slow", None, None, None]


@pytest.mark.parametrize("cases", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_all_cases_at_concurrency_16_are_answered_or_counted_and_none_is_asked_again(tmp_path, served, cases):
    """Seven requests in ten go wrong, in one of seven ways; the first answer to a question that came is the last."""
    many = write_scenario_files(tmp_path / "many", tiny_scenario(cases=cases, train=10, documents=False))

    def trouble(count, number):
        return TROUBLES[(number * 7) % 10] if number > 5 and count < 4 else None

    server = served(trouble)
    folder = ran(many, tmp_path / "run", server, arms=("prompt",), settings={"concurrency": 16})
    found = folder.predictions()["prompt"]
    assert len(found) == cases
    failed = [one for one in found.values() if one.error]
    answered = [one for one in found.values() if not one.error]
    assert len(failed) + len(answered) == cases
    assert 0 < len(failed) < cases / 2
    assert {type_of(one.error) for one in failed} == {"EndpointFailed"}
    assert all(one.text for one in answered)
    assert 1 < server.most_at_once <= 16
    asked = [q for q in server.answered if "Landia" in q]
    timed = {case.input for case in latency_cases(folder.cases(), quick=True)}  # sent anew
    assert [q for q in asked if server.answered[q] > 1 and not any(one in q for one in timed)] == []


def type_of(error):
    return error.partition(":")[0]


def test_a_server_that_goes_away_and_comes_back_costs_no_case(tmp_path, served):
    """Stopped in the middle; the client's own patience bridges the gap."""
    many = write_scenario_files(tmp_path / "many", tiny_scenario(cases=200, train=10, documents=False))
    back = threading.Event()

    def trouble(count, number):
        if number == 100 and not back.is_set():
            back.set()
            threading.Thread(target=restarted).start()
        return None

    server = served(trouble)

    def restarted():
        server.stop()
        server.start()

    folder = ran(many, tmp_path / "run", server, arms=("prompt",), settings={"concurrency": 8})
    found = folder.predictions()["prompt"]
    assert back.is_set()
    assert len(found) == 200
    assert not [one for one in found.values() if one.error]


def test_the_budget_ends_the_run_before_it_is_passed_and_the_same_command_with_more_goes_on(scenario, tmp_path, served):
    server = served()
    prices = {"price_in": 1000.0, "price_out": 1000.0}  # 22 tokens are 0.022
    with pytest.raises(RunStopped, match=r"The budget is spent: .* higher --max-cost goes on .*Open are \d+ answers"):
        ran(scenario, tmp_path / "run", server, settings={**prices, "max_cost": 1.0, "concurrency": 4})
    folder = RunFolder(tmp_path / "run")
    spent = folder.provenance().spent
    assert 0.5 < spent.money <= 1.0
    assert spent.money == pytest.approx(spent.requests * 0.022)
    before = answered_by(server)
    folder = ran(scenario, tmp_path / "run", server, settings={**prices, "max_cost": 50.0, "concurrency": 4})
    assert len(folder.predictions()["rag"]) == 20
    assert folder.provenance().spent.requests >= spent.requests, "what was spent before counts"
    again = [q for q, n in before.items() if n and server.answered[q] > n and "Landia" in q]
    timed = 3 + 2  # three requests of each arm are timed and sent anew
    assert len(again) <= 2 * timed


def answered_by(server):
    return dict(server.answered)


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_refuses_at_once_is_said_before_anything_is_asked(scenario, tmp_path, served, status):
    with pytest.raises(UserError, match=f"first greeting got no answer. .*{status}"):
        ran(scenario, tmp_path / "run", served(lambda count, number: status))


def test_nobody_there_is_said_in_a_sentence(scenario, tmp_path, served):
    server = served()
    server.stop()
    try:
        with pytest.raises(UserError, match="first greeting got no answer"):
            ran(scenario, tmp_path / "run", server, settings={"retries": 0})
    finally:
        server.start()


def test_an_adapter_that_was_tuned_elsewhere_takes_part_under_its_name(scenario, tmp_path, served):
    server = served()
    folder = ran(scenario, tmp_path / "run", server, arms=("prompt", "lora"), settings={"adapters": {"lora": "tuned"}})
    assert len(folder.predictions()["lora"]) == 20
    recipe = folder.recipe("lora")
    assert "trained elsewhere" in recipe.notes[0]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('url = "http://user:pw@host/v1"\nmodel = "m"', "no user, password or query"),
        ('url = "ftp://host/v1"\nmodel = "m"', "http:// or https://"),
        ('url = "http://host/v1"', "model"),
        ('url = "http://host/v1"\nmodel = "m"\nconcurrency = 0', "concurrency"),
        ('url = "http://host/v1"\nmodel = "m"\nmax_cost = 3', "price"),
        ('url = "http://host/v1"\nmodel = "m"\nkey = "sk-1"', "unknown setting"),
    ],
)
def test_what_is_wrong_in_the_table_is_said(scenario, said, message):
    path = scenario / "scenario.toml"
    path.write_text(f"{path.read_text() if path.exists() else ''}\n[endpoint]\n{said}\n")
    with pytest.raises(InputProblems) as refused:
        prepare(scenario, options=RunOptions(), load_embedder=lambda _: FakeEmbedder())
    assert message in str(refused.value)
    assert "sk-1" not in str(refused.value)
    assert "user:pw" not in str(refused.value)


def test_the_ledger_survives_a_torn_line(scenario, tmp_path, served):
    server = served()
    folder = ran(scenario, tmp_path / "run", server)
    path = folder.path / "requests.jsonl"
    assert all(json.loads(line)["checksum"] for line in path.read_text().splitlines())
    path.write_bytes(path.read_bytes()[:-20])
    (folder.path / "predictions.jsonl").unlink()
    (folder.path / "verdict.json").unlink()
    (folder.path / "whole.json").unlink(missing_ok=True)
    again = ran(scenario, tmp_path / "run", server)
    assert len(again.predictions()["prompt"]) == 20


def labelled(folder, *, toml=""):
    """Two labels, each the last word of its text, as the server answers."""
    folder.mkdir()
    rows = [
        {"input": f"Text {n}: is it yes or no? It is {('yes', 'no')[n % 2]}", "output": ("yes", "no")[n % 2]}
        for n in range(20)
    ]
    (folder / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "scenario.toml").write_text(f'kind = "labels"\n{toml}')
    return folder


def test_where_answers_cannot_be_held_to_labels_the_run_ends_before_its_first_question(tmp_path, served):
    path, server = labelled(tmp_path / "s", toml="held_to_labels = true\n"), served()
    with pytest.raises(CannotHold):
        ran(path, tmp_path / "run", server, arms=("prompt",))
    assert not RunFolder(tmp_path / "run").predictions()
    assert not any("Text" in question for question in server.asked), "only a trial was sent"


def test_where_answers_cannot_be_held_to_a_schema_the_run_ends_before_its_first_question(tmp_path, served):
    path, server = labelled(tmp_path / "s", toml="held_to_schema = true\n"), served()
    rows = [{"input": f"Text {n}", "output": json.dumps({"n": n})} for n in range(20)]
    (path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "scenario.toml").write_text('kind = "json"\nheld_to_schema = true\n')
    with pytest.raises(CannotHold):
        ran(path, tmp_path / "run", server, arms=("prompt",))
    assert not any("Text" in question for question in server.asked), "only a trial was sent"


def test_of_tuned_arms_only_those_that_are_served_under_a_name_take_part(scenario, tmp_path, served):
    folder = ran(
        scenario, tmp_path / "run", served(), arms=("prompt", "lora", "rag_lora"), settings={"adapters": {"lora": "t"}}
    )
    assert set(folder.predictions()) == {"dummy", "prompt", "lora"}
    (left,) = folder.left_out()
    assert left.arm == "rag_lora"
    assert "its weights are not here to be tuned" in left.reason
    assert "is served as t" in folder.recipe("lora").notes[0]
