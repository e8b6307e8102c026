"""`bakeoff run` where a provider makes the tuned arms: from the command to a verdict on the advice to fine-tune."""

import json
import signal
import threading

import pytest
from fakes import tiny_scenario, write_scenario_files
from provider import RUNNING, TOKENS_A_ROW, Provider

from harness.engines.fine_tuning import NO_LIMIT
from harness.store import RunFolder

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("own_cache", "faked")

KEY = "sk-MARKER-of-the-key-9c02"
ADVICE = '[advice]\ndate = "2026-11-20"\napproach = "fine_tuning"\nhypothesis = "Fine-tuning wins."\n'
CASES, TRAIN = 20, 40


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BAKEOFF_KEY_OF_TEST", KEY)
    monkeypatch.setattr("harness.tuning.provider.SHORTEST_WAIT", 0.0)


@pytest.fixture
def provider():
    made = Provider().start()
    yield made
    made.stop()


@pytest.fixture
def asked(provider, tmp_path):
    """A scenario at this provider, with what else the two tables say."""

    def write(tuning="price = 10.0\nepochs = 2", *, endpoint="price_in = 1.0\nprice_out = 2.0", documents=False):
        scenario = tiny_scenario(cases=CASES, train=TRAIN, documents=documents)
        folder = write_scenario_files(tmp_path / "capitals", scenario)
        with (folder / "scenario.toml").open("a") as stream:
            stream.write(f'[endpoint]\nurl = "{provider.url}"\nmodel = "m"\nkey_variable = "BAKEOFF_KEY_OF_TEST"\n')
            stream.write(f"retries = 1\n{endpoint}\n[endpoint.fine_tuning]\n{tuning}\n{ADVICE}")
        return folder

    return write


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_the_provider_makes_the_arm_and_the_advice_to_fine_tune_is_put_on_trial_by_it(bakeoff, provider, asked, out):
    code, said, _ = bakeoff("run", asked(), "--arms", "prompt,nearest_shots,lora", "--out", out, "--max-cost", 5)
    assert code == 0
    folder = RunFolder(out)
    verdict = json.loads((out / "verdict.json").read_text())
    assert (verdict["kind"], verdict["arm"], verdict["advice"]["relation"]) == ("winner", "lora", "confirmed")
    assert verdict["scores"]["lora"]["value"] == 1.0
    (job,) = provider.jobs
    tuned = job["fine_tuned_model"]
    sent = "".join(provider.content.values())
    cases = folder.cases()
    assert len(cases) == CASES
    assert not [case for case in cases if f"{case.input}" in sent], "no eval case leaves for training"
    assert provider.files == {}
    timed = len([one for one in folder.latency() if one.arm == "lora"])
    assert provider.chats[tuned] >= CASES + timed
    assert not [path for path in out.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert KEY not in said
    for words in (
        "fine-tuning job at 127.0.0.1",
        "leave this machine now, for 127.0.0.1",
        "Fine-tuning: ftjob-1: succeeded",
    ):
        assert words in " ".join(said.split())


def test_report_and_ledger_agree_on_what_the_job_cost(bakeoff, provider, asked, out):
    assert bakeoff("run", asked(), "--arms", "prompt,lora", "--out", out, "--max-cost", 5)[0] == 0
    folder = RunFolder(out)
    found, recipe = folder.provenance().spent, folder.recipe("lora")
    tokens = 2 * TOKENS_A_ROW * folder.scenario().train_examples
    assert (found.jobs, found.trained, recipe.train_tokens) == (1, tokens, tokens)
    assert found.training_money == pytest.approx(tokens * 10 / 1e6)
    requests = found.requests * (20 * 1.0 + 2 * 2.0) / 1e6
    assert found.money == pytest.approx(requests + found.training_money)
    page = (out / "report.md").read_text().replace("\\$", "$")
    assert f"Fine-tuning at the provider took 1 job of {tokens:,} tokens in all, for about $0.01" in page
    assert "Not known is what was trained there" in page


def test_the_tuned_model_is_paid_for_at_its_own_prices(bakeoff, provider, asked, out):
    settings = "price = 10.0\nepochs = 2\nprice_in = 100.0\nprice_out = 200.0"
    assert bakeoff("run", asked(settings), "--arms", "prompt,lora", "--out", out, "--max-cost", 50)[0] == 0
    found = RunFolder(out).provenance().spent
    tuned = sum(count for model, count in provider.chats.items() if model.startswith("ft:"))
    others = found.requests - tuned
    assert 0 < tuned < found.requests
    money = (others * (20 + 2 * 2) + tuned * (20 * 100 + 2 * 200)) / 1e6
    assert found.money == pytest.approx(money + found.training_money)


def test_plan_says_what_would_leave_and_cost_and_asks_nothing_of_the_server(bakeoff, provider, asked):
    code, said, _ = bakeoff("plan", asked(), "--arms", "prompt,lora", "--max-cost", 5)
    text = " ".join(said.split())
    assert code == 0
    assert f"1 fine-tuning job at 127.0.0.1:{provider.port} on m: 32 training examples and 8 held-out ones" in text
    assert "fine-tuning included" in text
    assert provider.stages == []


def test_retrieval_and_tuning_together_are_made_there_too(bakeoff, provider, asked, out):
    path = asked(documents=True)
    assert bakeoff("run", path, "--arms", "prompt,rag_lora", "--out", out, "--max-cost", 5)[0] == 0
    rows = [json.loads(line)["messages"] for line in provider.content[provider.jobs[0]["training_file"]].splitlines()]
    assert all("Context:\n" in row[-2]["content"] for row in rows)
    assert json.loads((out / "verdict.json").read_text())["scores"]["rag_lora"]["value"] == 1.0


def test_a_budget_that_does_not_allow_the_job_stops_the_run_before_anything_is_uploaded(bakeoff, provider, asked, out):
    path = asked("price = 1000.0\nepochs = 2")
    code, _, err = bakeoff("run", path, "--arms", "prompt,lora", "--out", out, "--max-cost", 3)
    assert code == 2
    assert "The budget does not allow a fine-tuning job" in err
    assert "Open are 40 answers" in err
    assert provider.content == {}
    assert bakeoff("run", path, "--arms", "prompt,lora", "--out", out, "--max-cost", 50)[0] == 0
    assert len(provider.jobs) == 1


def test_a_failed_job_leaves_its_arm_out_with_the_cause_and_the_others_go_on(bakeoff, provider, asked, out):
    provider.plan |= {
        "statuses": [*RUNNING, "failed"],
        "error": {"code": "invalid_training_file", "message": f"moderation said no to {KEY}", "param": None},
    }
    path = asked()
    assert bakeoff("run", path, "--arms", "prompt,nearest_shots,lora", "--out", out)[0] == 0
    folder = RunFolder(out)
    (left,) = folder.left_out()
    assert left.arm == "lora"
    assert "failed (ftjob-1): moderation said no to [key]" in left.reason
    assert set(folder.predictions()) == {"dummy", "prompt", "nearest_shots"}
    assert not [one for one in out.rglob("*") if one.is_file() and KEY.encode() in one.read_bytes()]
    provider.plan["statuses"] = [*RUNNING, "succeeded"]
    assert bakeoff("run", path, "--arms", "prompt,nearest_shots,lora", "--out", out, "--retry-errors")[0] == 0
    assert len(provider.jobs) == 2
    assert len(folder.predictions()["lora"]) == CASES


def test_a_server_that_does_not_fine_tune_costs_the_arm_only(bakeoff, provider, asked, out):
    provider.plan["offered"] = False
    assert bakeoff("run", asked(), "--arms", "prompt,nearest_shots,lora", "--out", out)[0] == 0
    (left,) = RunFolder(out).left_out()
    assert left.reason == (
        f"it could not be prepared: ArmFailed: the server at 127.0.0.1:{provider.port} offers no fine-tuning (it "
        "answered with status 404)"
    )


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where a test runner in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_the_job_runs_leaves_it_there_and_the_same_command_goes_on(bakeoff, provider, asked, out):
    path, command = asked(), ("--arms", "prompt,lora", "--out", out)
    provider.plan |= {"statuses": ["running"], "signal": signal.SIGINT, "pid": threading.main_thread().native_id}
    provider.plan["kill"] = ["events", "after"]
    code, said, err = bakeoff("run", path, *command)
    assert code == 130
    assert "ftjob-1 goes on at 127.0.0.1" in " ".join(said.split())
    assert "the same command goes on from there" in err
    assert provider.cancelled == []
    provider.plan["statuses"] = [*RUNNING, "succeeded"]
    assert bakeoff("run", path, *command)[0] == 0
    assert len(provider.jobs) == 1


@pytest.mark.parametrize(
    ("options", "jobs", "why"),
    [
        (("--seeds", "2"), 1, NO_LIMIT),
        (("--seeds", "2", "--max-cost", "5"), 2, ""),
        (("--seeds", "2", "--max-cost", "0.11"), 1, "The budget does not allow a fine-tuning job"),
        ((), 1, ""),
    ],
    ids=["no limit", "limit", "limit too low for two", "not asked for"],
)
def test_further_training_seeds_are_jobs_that_only_a_budget_allows(bakeoff, provider, asked, out, options, jobs, why):
    code, _, err = bakeoff("run", asked(), "--arms", "prompt,lora", "--out", out, *options)
    assert code == 0, err
    assert [job["seed"] for job in provider.jobs] == list(range(jobs))
    findings = json.dumps([one.sentences for one in RunFolder(out).findings()])
    assert (why in findings) if why else ("not be run" not in findings)


@pytest.mark.parametrize(("limit", "jobs"), [((), 1), (("--max-cost", "5"), 2)])
def test_an_experiment_that_trains_has_its_jobs_too_where_a_budget_is_set(bakeoff, provider, asked, out, limit, jobs):
    options = ("--experiments", "learning_curve", *limit)
    assert bakeoff("run", asked(), "--arms", "prompt,lora", "--out", out, *options)[0] == 0
    rows = [len(provider.content[job["training_file"]].splitlines()) for job in provider.jobs]
    assert rows == [32, 16][:jobs]
    (record,) = (out / "experiments" / "learning_curve").glob("*/variant.json")
    failed = json.loads(record.read_text())["failed"]
    assert (NO_LIMIT in failed) == (jobs == 1)


@pytest.mark.parametrize(
    ("tuning", "endpoint", "message"),
    [
        ("epochs = 2", "", "a fine-tuning job costs money, and no price is told"),
        ("price = -1", "", "sets price, which must be a number, 0 or more"),
        ("price = 1\nepochs = 0", "", "sets epochs, which must be a whole number from 1 to 50"),
        ('price = 1\nsuffix = "a b"', "", "letters, digits, hyphens or underscores"),
        ("price = 1\nrank = 8", "", "names 'rank'; its settings are price, epochs"),
        ("price = 1\nprice_in = 2", "price_in = 1\nprice_out = 1", "of the tuned model belong together"),
        ("price = 1\nprice_in = 2\nprice_out = 3", "", "give price_in and price_out of both"),
        ('price = 1\nleave_out = ["model"]', "", "may name seed, suffix, metadata, method"),
    ],
)
def test_what_is_wrong_in_the_table_is_said_with_its_place(bakeoff, asked, provider, tuning, endpoint, message):
    code, _, err = bakeoff("run", asked(tuning, endpoint=endpoint), "--arms", "prompt,lora")
    assert code == 2
    assert message in " ".join(err.split())
    assert provider.stages == []


def test_fine_tuning_that_is_no_table_is_said(bakeoff, asked, provider):
    path = asked()
    text = (path / "scenario.toml").read_text()
    (path / "scenario.toml").write_text(text.partition("[endpoint.fine_tuning]")[0] + "fine_tuning = true\n")
    code, _, err = bakeoff("run", path)
    assert code == 2
    assert "must be a table: write [endpoint.fine_tuning] on a line of its own" in " ".join(err.split())
