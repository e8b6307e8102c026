"""A judge at an endpoint of its own spends no more than its own budget."""

import pytest
from fakes import FakeWatcher, fake_run, tiny_scenario, write_scenario_files
from loopback import Loopback

from harness.errors import InputProblems
from harness.experiment.experiments import inputs_of
from harness.models.endpoint_ledger import Paid
from harness.scenario_file.read import Overrides, read_scenario
from harness.store import RunFolder

pytest.importorskip("openai")


class Verdicts(Loopback):
    """Always prefers the answer that is shown first."""

    def answer(self, body, text):
        return super().answer(body, "[[A]]")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BAKEOFF_KEY_OF_TEST", "sk-secret-of-this-test")
    made = Verdicts().start()
    yield made
    made.stop()


def scenario(folder, table):
    return write_scenario_files(folder, tiny_scenario(cases=12, train=20), toml=f"[judge]\n{table}")


def paid(out):
    return list(RunFolder(out / "experiments" / "judge").lines("requests.jsonl", Paid))


def test_the_judge_stops_at_its_budget_and_goes_on_with_a_higher_one(server, tmp_path):
    about = f'endpoint = "{server.url}"\nmodel = "m"\nkey_variable = "BAKEOFF_KEY_OF_TEST"\n'
    about += "price_in = 100\nprice_out = 100\n"
    out, watcher = tmp_path / "run", FakeWatcher()
    asked = Overrides(arms=("prompt", "rag"), experiments=("judge",), seeds=1)
    little = scenario(tmp_path / "s", f"{about}max_cost = 0.14\n")
    fake_run(little, out, overrides=asked, watcher=watcher, remember=False)
    spent = sum(one.money for one in paid(out))
    assert 0 < spent <= 0.14
    assert RunFolder(out).has("verdict.json"), "the run itself goes on"
    (said,) = [note for note in watcher.notes if "judge" in note]
    assert "its own budget (max_cost under [judge]) is spent" in said
    first = len(paid(out))
    fake_run(scenario(tmp_path / "s", f"{about}max_cost = 500\n"), out, overrides=asked, remember=False)
    asked_once = [one.request for one in paid(out)]
    assert len(asked_once) > first
    assert len(asked_once) == len(set(asked_once)), "nothing was paid twice"
    assert not RunFolder(out / "experiments" / "judge").read("done.json", object).get("broken")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('endpoint = "http://127.0.0.1:9/v1"\n', "names an endpoint and no model"),
        (
            'endpoint = "http://127.0.0.1:9/v1"\nmodel = "m"\nmax_cost = 1\nprice_in = 1\n',
            "needs price_in and price_out",
        ),
        ("max_cost = 1\nprice_in = 1\nprice_out = 1\n", "and no endpoint"),
        ('endpoint = "http://127.0.0.1:9/v1"\nmodel = "m"\nmax_cost = "much"\n', "max_cost"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(tmp_path, table, said):
    with pytest.raises(InputProblems, match=said):
        read_scenario(scenario(tmp_path / "s", table))


def test_what_a_judge_costs_makes_it_no_other_judge(tmp_path):
    about = 'endpoint = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
    plain = read_scenario(scenario(tmp_path / "a", about))
    dear = read_scenario(scenario(tmp_path / "b", f"{about}price_in = 1\nprice_out = 1\nmax_cost = 3\n"))
    assert inputs_of("judge", plain) == inputs_of("judge", dear)
    other = read_scenario(scenario(tmp_path / "c", 'endpoint = "http://127.0.0.1:9/v1"\nmodel = "n"\n'))
    assert inputs_of("judge", plain) != inputs_of("judge", other)
