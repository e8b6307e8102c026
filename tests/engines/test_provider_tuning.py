"""Tuned arms that a provider makes: what is sent, what it may cost, and that no job is ever paid for twice.

The provider is a server on this machine that answers with bodies as OpenAI's API reference has them (`provider.py`).
"""

import json
import threading
from dataclasses import replace

import pytest
from provider import RECORDED, RUNNING, TOKENS_A_ROW, Provider

from harness.engines.adapters import is_whole
from harness.engines.fine_tuning import NO_LIMIT, ProviderTuner, forget_failed
from harness.errors import ArmFailed, RunStopped
from harness.models.base import Message
from harness.models.endpoint import EndpointModel, EndpointState
from harness.models.endpoint_ledger import BudgetSpent, Ledger, Prices
from harness.models.endpoint_tuning import FineTuning
from harness.scenario import FineTuningWish
from harness.store import ELSEWHERE, RunFolder
from harness.tuning.examples import TrainingText
from harness.tuning.provider import MOST_LOST, SHORTEST_WAIT, JobRecord, most_tokens, rows_of

pytest.importorskip("openai")

KEY = "sk-MARKER-of-the-key-55d1"
SYSTEM = Message("system", "Answer with one word.")
PRICE = 1000.0
"""Money for a million training tokens."""


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BAKEOFF_KEY_OF_TEST", KEY)


@pytest.fixture
def provider():
    made = Provider().start()
    yield made
    made.stop()


@pytest.fixture
def folder(tmp_path):
    tmp_path.joinpath("run").mkdir()
    return RunFolder(tmp_path / "run")


class Told:
    """What the user is told, and how long was waited."""

    def __init__(self):
        self.said, self.waits, self.shares = [], [], []

    def __call__(self, text):
        self.said.append(text)

    @property
    def text(self):
        return "\n".join(self.said)


@pytest.fixture
def told():
    return Told()


def texts(numbers, model):
    return [
        TrainingText(model.render([SYSTEM, Message("user", f"What is the capital of Landia{n}?")]), f"City{n}")
        for n in numbers
    ]


def tuner_for(provider, folder, told, *, limit=None, wish=None, **more):
    """A tuner as the engine makes it for a run whose ledger is in this folder."""
    ledger = Ledger(Prices(1.0, 1.0), limit=limit, currency="USD")
    ledger.open(folder)
    model = EndpointModel(
        provider.url, "m", api_key_env="BAKEOFF_KEY_OF_TEST", retries=0, state=EndpointState(ledger=ledger)
    )
    wish = wish or FineTuningWish(price=PRICE, epochs=2)
    given = {"tell": told, "sleep": told.waits.append, "limited": limit is not None, "main": True, "take_over": False}
    return ProviderTuner(model, wish, folder.path, 7, **(given | more))


def made(tuner, told, *, arm="lora", rows=12, held=3):
    train, dev = texts(range(rows), tuner.model), texts(range(100, 100 + held), tuner.model)
    return tuner(arm, train, dev=dev, notify=lambda what, share: told.shares.append(share))


def job_of(folder, arm="lora"):
    return folder.read(f"adapters/{arm}/job.json", JobRecord)


def spent(folder):
    ledger = Ledger(Prices(1.0, 1.0))
    ledger.open(folder)
    return ledger.spent


# what is sent, and what comes back


def test_the_job_is_asked_for_with_the_examples_as_chats_and_the_dev_split_as_validation_data(provider, folder, told):
    tuner = tuner_for(provider, folder, told)
    recipe = made(tuner, told)
    (job,) = provider.jobs
    sent = [json.loads(line) for line in provider.content[job["training_file"]].splitlines()]
    assert sent[3] == {
        "messages": [
            {"role": "system", "content": "Answer with one word."},
            {"role": "user", "content": "What is the capital of Landia3?"},
            {"role": "assistant", "content": "City3"},
        ]
    }
    assert len(sent) == 12
    assert len(provider.content[job["validation_file"]].splitlines()) == 3
    assert "Landia100" not in provider.content[job["training_file"]]
    assert (job["model"], job["seed"], job["hyperparameters"]["n_epochs"]) == ("m", 7, 2)
    assert job["user_provided_suffix"] == f"bakeoff-{job_of(folder).sign}"
    assert all(len(value) <= 512 for value in job["metadata"].values())
    assert recipe.adapter == "adapters/lora"
    assert is_whole(folder.path, recipe)
    assert json.loads((folder.path / "adapters/lora/served.json").read_bytes()) == {"model": job["fine_tuned_model"]}


def test_the_recipe_says_what_is_known_and_what_is_not(provider, folder, told):
    recipe = made(tuner_for(provider, folder, told, wish=FineTuningWish(price=PRICE, epochs=2, model="base")), told)
    notes = " ".join(recipe.notes)
    tokens = TOKENS_A_ROW * 12 * 2
    assert (recipe.train_tokens, recipe.train_examples) == (tokens, 12)
    ended = RECORDED["GET /fine_tuning/jobs/{fine_tuning_job_id}"]
    assert recipe.train_seconds == ended["finished_at"] - ended["created_at"] == 176
    for words in (
        "job ftjob-1 trained base for 2 passes over 12 examples, 504 tokens in all, for $0.50 at $1,000 a million",
        "batch size 1, learning rate multiplier 1.8",
        "Not known is what was trained there (all weights or an adapter, and of which rank)",
        "The other arms answer with m",
        "3 held-out examples went along as validation data",
    ):
        assert words in notes
    assert "--" not in notes


def test_what_leaves_the_machine_is_said_before_it_does_and_then_how_the_job_is_getting_on(provider, folder, told):
    made(tuner_for(provider, folder, told), told)
    leaves, *later = told.said
    assert leaves.startswith(
        f"Fine-tuning: 12 training examples and 3 held-out ones as validation data leave this machine now, for "
        f"127.0.0.1:{provider.port}; no eval case is among them."
    )
    assert "Likely personal data" not in leaves
    for words in ("queued", "running", "Created fine-tuning job", "succeeded, 504 tokens trained"):
        assert any(words in line for line in later), words
    assert sum("Created fine-tuning job" in line for line in later) == 1
    assert set(told.shares) == {0.25}


@pytest.mark.parametrize(
    ("asked", "waited"), [("0", SHORTEST_WAIT), ("1", SHORTEST_WAIT), ("2500", 2.5)], ids=["at once", "soon", "later"]
)
def test_a_job_is_looked_at_when_the_server_wants_it_and_no_more_than_once_a_second(
    provider, folder, told, asked, waited
):
    provider.plan["poll"] = asked
    made(tuner_for(provider, folder, told), told)
    assert set(told.waits) == {waited}
    assert waited >= 1


def test_likely_personal_data_is_named_once_more_before_it_is_sent(provider, folder, told):
    tuner = tuner_for(provider, folder, told)
    rows = [
        *texts(range(11), tuner.model),
        TrainingText(tuner.model.render([Message("user", "Who?")]), "a.bee@firm.org"),
    ]
    tuner("lora", rows, dev=(), notify=lambda *_: None)
    assert "Likely personal data or secrets are among them (e-mail addresses in 1): stop now" in told.said[0]


def test_uploaded_files_are_deleted_once_the_job_has_ended(provider, folder, told):
    made(tuner_for(provider, folder, told), told)
    assert provider.files == {}
    assert len(provider.deleted) == 2


def test_files_that_cannot_be_deleted_are_named(provider, folder, told):
    provider.plan["deletes"] = False
    recipe = made(tuner_for(provider, folder, told), told)
    assert "file-1, file-2 could not be deleted" in told.text
    assert any("file-1, file-2" in note for note in recipe.notes)


def test_labels_that_are_asked_for_inside_an_object_are_learnt_inside_one(provider, folder, told):
    made(tuner_for(provider, folder, told, as_object=True), told)
    last = json.loads(provider.content["file-1"].splitlines()[0])["messages"][-1]
    assert json.loads(last["content"]) == {"label": "City0"}


@pytest.mark.parametrize("name", ["seed", "suffix", "metadata", "method"])
def test_what_the_server_does_not_take_is_left_out(provider, folder, told, name):
    made(tuner_for(provider, folder, told, wish=FineTuningWish(price=PRICE, epochs=2, leave_out=(name,))), told)
    (job,) = provider.jobs
    there = {"seed": job["seed"], "suffix": job["user_provided_suffix"], "metadata": job["metadata"], "method": None}
    assert not there[name]
    assert job["hyperparameters"]["n_epochs"] == 2


def test_a_tuned_model_that_is_still_being_loaded_is_waited_for(provider, folder, told):
    provider.plan["loading"] = 3
    made(tuner_for(provider, folder, told), told)
    assert told.waits[-3:] == [1.0, 2.0, 4.0]
    assert "waiting for ft:m:my-org" in told.text


def test_a_tuned_model_that_never_answers_stops_the_run_and_the_same_command_goes_on(provider, folder, told):
    provider.plan["loading"] = 1_000
    with pytest.raises(RunStopped, match=r"ft:m:.*does not answer yet.*The same command"):
        made(tuner_for(provider, folder, told), told)
    provider.plan["loading"] = 0
    made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1


# money


def test_no_file_has_more_tokens_than_the_worst_case(provider, folder, told):
    """A token is a byte or longer."""
    rows = [TrainingText(json.dumps([{"role": "user", "content": "é" * 40}]), "日本" * 5)]
    assert most_tokens(rows) > len(("é" * 40).encode()) + len(("日本" * 5).encode())
    assert most_tokens(rows * 3) == 3 * most_tokens(rows)


def test_what_was_trained_is_paid_for_at_the_price_and_stands_in_the_ledger(provider, folder, told):
    made(tuner_for(provider, folder, told), told)
    found = spent(folder)
    assert (found.jobs, found.trained) == (1, 504)
    assert found.training_money == pytest.approx(0.504)
    greeting = 22 / 1e6
    assert found.money == pytest.approx(0.504 + greeting)
    assert found.requests == 1


def test_a_job_whose_worst_case_does_not_fit_is_not_begun_and_nothing_is_uploaded(provider, folder, told):
    with pytest.raises(BudgetSpent, match=r"The budget does not allow a fine-tuning job: it could cost \$[\d.]+, and "):
        made(tuner_for(provider, folder, told, limit=0.6), told)  # it would come to 0.504
    assert provider.stages == []
    assert spent(folder).money == 0
    made(tuner_for(provider, folder, told, limit=10.0), told)
    assert len(provider.jobs) == 1


def test_while_a_job_runs_its_worst_case_is_spent_also_for_who_looks_later(provider, folder, told):
    seen = []

    def look(seconds):
        seen.append(spent(folder).training_money)

    tuner = tuner_for(provider, folder, told, sleep=look)
    made(tuner, told)
    worst = job_of(folder).worst_tokens * PRICE / 1e6
    assert seen == [pytest.approx(worst)] * len(seen)
    assert seen
    assert worst > 4 * spent(folder).training_money


def test_tokens_that_are_not_told_count_at_their_worst_case(provider, folder, told, monkeypatch):
    look = provider.look

    def silent(job_id):
        status, job = look(job_id)
        return status, {**job, "trained_tokens": None}

    monkeypatch.setattr(provider, "look", silent)
    recipe = made(tuner_for(provider, folder, told), told)
    assert spent(folder).trained == job_of(folder).worst_tokens
    assert "the most that it can have cost is counted" in recipe.notes[0]


def test_a_job_that_would_take_more_passes_than_asked_for_is_cancelled(provider, folder, told):
    provider.plan["epochs"] = 9
    with pytest.raises(ArmFailed, match=r"was cancelled.*it planned 9 passes where 2 were asked for"):
        made(tuner_for(provider, folder, told), told)
    assert provider.cancelled == ["ftjob-1"]


def test_where_such_a_job_cannot_be_cancelled_that_is_said(provider, folder, told):
    provider.plan |= {"epochs": 9, "statuses_of": {"cancel": [403]}}
    made(tuner_for(provider, folder, told), told)
    assert "ftjob-1 can cost more than was set aside, because it planned 9 passes where 2 were asked for" in told.text
    assert spent(folder).trained == 9 * 12 * TOKENS_A_ROW


def test_where_a_job_says_only_later_how_many_passes_it_plans_it_is_cancelled_then(provider, folder, told):
    provider.plan |= {"epochs": 9, "auto": 2}
    for _ in range(2):
        with pytest.raises(ArmFailed, match=r"was cancelled.*it planned 9 passes where 2 were asked for"):
            made(tuner_for(provider, folder, told), told)
    assert provider.cancelled == ["ftjob-1"]
    assert provider.stages.count("look") == 3
    assert spent(folder).trained == job_of(folder).worst_tokens * 9 // 2, "a cancelled job may be billed for all"
    assert len(provider.jobs) == 1


def test_a_job_that_was_found_after_a_lost_answer_is_held_to_its_passes_too(provider, folder, told):
    provider.plan |= {"epochs": 9, "cut": {"create": 1}}
    with pytest.raises(ArmFailed, match="it planned 9 passes where 2 were asked for"):
        made(tuner_for(provider, folder, told), told)
    assert provider.cancelled == ["ftjob-1"]


@pytest.mark.parametrize("plan", [{"statuses_of": {"cancel": [500]}}, {"cut": {"cancel": 1}}], ids=["undone", "done"])
def test_a_cancelling_that_got_no_answer_is_made_sure_of_at_the_next_look(provider, folder, told, plan):
    provider.plan |= {"epochs": 9, **plan}
    with pytest.raises(ArmFailed, match=r"it planned 9 passes where 2 were asked for, and was cancelled"):
        made(tuner_for(provider, folder, told), told)
    assert provider.cancelled == ["ftjob-1"]


def test_a_job_that_cannot_be_cancelled_counts_for_all_its_passes_while_it_runs(provider, folder, told):
    provider.plan |= {"epochs": 9, "statuses_of": {"cancel": [403] * 9}}
    seen = []
    recipe = made(tuner_for(provider, folder, told, sleep=lambda _: seen.append(spent(folder).trained)), told)
    assert seen
    assert set(seen) == {job_of(folder).worst_tokens * 9 // 2}
    assert provider.stages.count("cancel") == 1
    assert "for 9 passes (2 were asked for) over 12 examples" in recipe.notes[0]


def test_an_experiment_begins_no_job_without_a_limit_and_stops_no_run_for_want_of_money(provider, folder, told):
    with pytest.raises(ArmFailed) as refused:
        made(tuner_for(provider, folder, told, main=False), told)
    assert str(refused.value) == NO_LIMIT
    with pytest.raises(ArmFailed, match=r"The budget does not allow a fine-tuning job") as refused:
        made(tuner_for(provider, folder, told, main=False, limit=0.6), told)
    assert "--max-cost" not in str(refused.value)
    assert provider.stages == []
    made(tuner_for(provider, folder, told, main=False, limit=10.0), told)
    assert len(provider.jobs) == 1


@pytest.mark.parametrize("kept", ["run", "experiment"])
def test_what_is_noted_lies_elsewhere_too_before_the_request_that_it_is_about(
    provider, folder, told, monkeypatch, kept
):
    own = RunFolder(folder.path / "experiments/curve") if kept == "experiment" else folder
    own.path.mkdir(parents=True, exist_ok=True)
    tuner = replace(tuner_for(provider, folder, told), folder=own.path)
    elsewhere, at = [None], {}
    answer = provider.routed

    def publish():
        elsewhere[0] = job_of(own), spent(folder).trained

    def routed(*args, **more):
        stage, do = answer(*args, **more)
        at.setdefault(stage, elsewhere[0])
        return stage, do

    monkeypatch.setitem(ELSEWHERE, folder.path, publish)
    monkeypatch.setattr(provider, "routed", routed)
    made(tuner, told)
    sign, worst = job_of(own).sign, job_of(own).worst_tokens
    assert [(at["training"][0].sign, at["training"][1])] == [(sign, worst)]
    assert at["validation"][0].training_file == "file-1"
    assert (at["create"][0].asked, at["create"][0].validation_file) == (True, "file-2")
    assert at["look"][0].job == "ftjob-1"
    assert elsewhere[0][0].status == "succeeded"


# what goes wrong


def test_a_failed_job_is_no_error_of_ours_has_the_providers_cause_and_is_not_tried_again(provider, folder, told):
    said = f"Invalid file format.\nExample 3 has no answer {KEY}"
    provider.plan |= {
        "statuses": [*RUNNING, "failed"],
        "error": {"code": "invalid_training_file", "message": said, "param": "training_file"},
    }
    for _ in range(2):
        with pytest.raises(
            ArmFailed, match=r"failed \(ftjob-1\): Invalid file format. Example 3 has no answer \[key\]$"
        ):
            made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1
    assert spent(folder).training_money == 0
    assert provider.files == {}
    provider.plan["statuses"] = [*RUNNING, "succeeded"]
    forget_failed(folder)
    made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 2
    assert len(list((folder.path / "adapters/lora").glob("job-*.json"))) == 1, "what was tried first stays"


def test_a_job_that_was_cancelled_there_counts_at_its_worst_case(provider, folder, told):
    provider.plan["statuses"] = ["queued", "cancelled"]
    with pytest.raises(ArmFailed, match=r"was cancelled \(ftjob-1\), without a cause that is told"):
        made(tuner_for(provider, folder, told), told)
    assert spent(folder).trained == job_of(folder).worst_tokens


@pytest.mark.parametrize("take_over", [True, False])
def test_a_server_without_the_api_is_one_sentence(provider, folder, told, take_over):
    provider.plan["offered"] = False
    with pytest.raises(ArmFailed) as failed:
        made(tuner_for(provider, folder, told, take_over=take_over), told)
    assert str(failed.value) == (
        f"the server at 127.0.0.1:{provider.port} offers no fine-tuning (it answered with status 404)"
    )
    assert spent(folder).training_money in (None, 0)


@pytest.mark.parametrize("stage", ["training", "validation", "create", "list"])
def test_a_refusal_is_one_line_without_the_key_and_leaves_nothing_there(provider, folder, told, stage):
    provider.plan |= {"statuses_of": {stage: [403]}, "said": f"No.\nIncorrect API key provided: {KEY}"}
    with pytest.raises(ArmFailed, match=r"was refused. The endpoint answered with status 403: .*\[key\]") as failed:
        made(tuner_for(provider, folder, told, take_over=stage == "list"), told)
    assert "\n" not in str(failed.value)
    assert provider.files == {}
    assert spent(folder).training_money in (None, 0)
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    assert (stage == "list") == (not files), "nothing is begun before the provider was found to fine-tune"
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in told.text
    made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1, "mended, it goes on"


def test_a_creation_that_got_no_answer_is_looked_for_and_not_asked_for_again(provider, folder, told):
    provider.plan["cut"] = {"create": 1}
    made(tuner_for(provider, folder, told), told)
    assert provider.stages.count("create") == 1
    assert len(provider.jobs) == 1


def test_a_creation_that_is_not_to_be_seen_stops_the_run_and_the_next_one_looks_before_it_asks(provider, folder, told):
    provider.plan["statuses_of"] = {"create": [500]}
    with pytest.raises(RunStopped, match=r"cannot be told whether there is one.*bear the sign"):
        made(tuner_for(provider, folder, told), told)
    assert provider.stages.count("create") == 1
    assert provider.stages.count("list") == 3
    provider.stages.clear()
    made(tuner_for(provider, folder, told), told)
    assert provider.stages[:2] == ["list", "create"]
    assert len(provider.jobs) == 1


def test_where_a_job_may_be_and_cannot_be_looked_for_none_is_asked_for(provider, folder, told):
    provider.plan |= {"cut": {"create": 1}, "statuses_of": {"list": [404]}}
    with pytest.raises(RunStopped, match="none is asked for again"):
        made(tuner_for(provider, folder, told), told)
    made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1


def test_a_busy_provider_is_asked_again(provider, folder, told):
    provider.plan["statuses_of"] = {"create": [429, 429]}
    made(tuner_for(provider, folder, told), told)
    assert provider.stages.count("create") == 3
    assert len(provider.jobs) == 1


def test_looks_that_get_no_answer_are_made_again_and_in_the_end_stop_the_run_with_its_job(provider, folder, told):
    provider.plan["statuses_of"] = {"look": [200]}  # a body that is no job
    made(tuner_for(provider, folder, told), told)
    provider.plan["statuses_of"] = {"look": [500] * (MOST_LOST + 1)}
    with pytest.raises(RunStopped, match=r"ftjob-2 at .* cannot be looked at now.*The same command|the same command"):
        made(tuner_for(provider, folder, told), told, arm="rag_lora")
    provider.plan["statuses_of"] = {}
    made(tuner_for(provider, folder, told), told, arm="rag_lora")
    assert len(provider.jobs) == 2


def test_an_interrupt_leaves_the_job_and_says_so(provider, folder, told):
    def interrupted(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tuner_for(provider, folder, told, sleep=interrupted), told)
    assert told.said[-1].startswith(
        f"ftjob-1 goes on at 127.0.0.1:{provider.port} and will be paid for; the same command"
    )
    assert provider.cancelled == []
    made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1


# other runs


def test_a_job_of_an_earlier_run_on_the_same_examples_is_taken_over_and_costs_nothing_here(
    provider, folder, told, tmp_path
):
    made(tuner_for(provider, folder, told), told)
    (tmp_path / "other").mkdir()
    other = RunFolder(tmp_path / "other")
    recipe = made(tuner_for(provider, other, told, take_over=True), told)
    assert len(provider.jobs) == 1
    assert "an earlier run began and paid for it" in recipe.notes[0]
    assert (spent(other).jobs, spent(other).training_money) == (0, None)
    changed = replace(tuner_for(provider, RunFolder(tmp_path / "third"), told, take_over=True), seed=8)
    (tmp_path / "third").mkdir()
    made(changed, told)
    assert len(provider.jobs) == 2, "another seed is another job"


def test_the_job_is_found_among_more_jobs_than_a_page_holds(provider, folder, told):
    other = {**RECORDED["POST /fine_tuning/jobs"], "training_file": "file-x"}
    provider.plan["statuses_of"] = {"create": [500]}
    with pytest.raises(RunStopped):
        made(tuner_for(provider, folder, told), told)
    record = job_of(folder)
    provider.create({"training_file": record.training_file, "model": "m", "hyperparameters": {"n_epochs": 2}})
    provider.jobs += [{**other, "id": f"ftjob-of-others-{n}"} for n in range(250)]
    made(tuner_for(provider, folder, told), told)
    assert provider.stages.count("create") == 1
    assert job_of(folder).job == "ftjob-1"


def test_a_record_that_was_damaged_begins_no_second_job(provider, folder, told):
    made(tuner_for(provider, folder, told), told)
    path = folder.path / "adapters/lora/job.json"
    path.write_bytes(path.read_bytes().replace(b"ftjob-1", b"ftjob-9"))
    with pytest.raises(Exception, match=r"job.json is damaged"):
        made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1


HOUR = 3_600


def taken_over(provider, told, tmp_path, name):
    """A tuner of another run that may use earlier jobs, and its folder."""
    (tmp_path / name).mkdir()
    folder = RunFolder(tmp_path / name)
    return tuner_for(provider, folder, told, take_over=True), folder


def test_a_job_of_an_earlier_run_whose_tuned_model_was_deleted_gives_way_to_a_new_one(provider, folder, told, tmp_path):
    provider.plan["ended_ago"] = 2 * HOUR
    made(tuner_for(provider, folder, told), told)
    provider.plan["gone"] = ["ftjob-1"]
    tuner, other = taken_over(provider, told, tmp_path, "other")
    told.waits.clear()
    recipe = made(tuner, told)
    assert max(told.waits) <= SHORTEST_WAIT, "nothing is waited for that will not come"
    assert "ftjob-1) is no longer at 127.0.0.1" in told.text
    assert "job ftjob-2 trained" in recipe.notes[0]
    assert (job_of(other).job, job_of(other).ours, spent(other).jobs) == ("ftjob-2", True, 1)
    tuner, third = taken_over(provider, told, tmp_path, "third")
    made(tuner, told)
    assert (job_of(third).job, len(provider.jobs)) == ("ftjob-2", 2), "the later one is used where it is there"
    provider.plan["gone"] = ["ftjob-2"]
    tuner, fourth = taken_over(provider, told, tmp_path, "fourth")
    made(tuner, told)
    assert (job_of(fourth).job, len(provider.jobs)) == ("ftjob-1", 2), "and else the one before it"


def test_a_run_that_took_such_a_job_before_goes_on_with_a_new_one(provider, folder, told, tmp_path):
    made(tuner_for(provider, folder, told), told)
    provider.plan |= {"refused": 503}
    tuner, other = taken_over(provider, told, tmp_path, "other")
    with pytest.raises(RunStopped, match="does not answer yet"):
        made(tuner, told)
    assert job_of(other).job == "ftjob-1"
    provider.plan |= {"refused": None, "gone": ["ftjob-1"]}
    made(tuner, told)
    assert job_of(other).job == "ftjob-2"


def test_an_own_tuned_model_that_was_deleted_costs_the_arm_until_failed_jobs_are_forgotten(provider, folder, told):
    provider.plan |= {"ended_ago": 2 * HOUR, "gone": ["ftjob-1"]}
    for _ in range(2):
        with pytest.raises(ArmFailed, match=r"^the tuned model ft:m:.* \(ftjob-1\) is no longer at 127.*404") as failed:
            made(tuner_for(provider, folder, told), told)
    assert "--" not in str(failed.value)
    assert provider.stages.count("tuned") == 1
    assert spent(folder).trained == 12 * 2 * TOKENS_A_ROW, "it was trained and is paid for"
    forget_failed(folder)
    made(tuner_for(provider, folder, told), told)
    assert job_of(folder).job == "ftjob-2"


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_tuned_model_whose_error_may_pass_is_waited_for(provider, folder, told, status):
    provider.plan |= {"ended_ago": 2 * HOUR, "refused": status}
    tuner = tuner_for(provider, folder, told)
    made(replace(tuner, sleep=lambda seconds: provider.plan.update(refused=None if seconds == 2 else status)), told)
    assert provider.stages.count("tuned") == 3


def test_a_tuned_model_that_says_it_is_loading_is_waited_for_whatever_the_status(provider, folder, told):
    provider.plan |= {"refused": 400, "said": "Model is loading"}
    with pytest.raises(RunStopped, match="does not answer yet"):
        made(tuner_for(provider, folder, told), told)


def test_a_tuned_model_that_is_refused_costs_the_arm_at_once_and_its_job_is_kept(provider, folder, told):
    provider.plan |= {"refused": 403, "said": f"no access for {KEY}"}
    with pytest.raises(ArmFailed, match=r"is made \(ftjob-1\) and does not answer. .*403.*no access for \[key\]"):
        made(tuner_for(provider, folder, told), told)
    assert provider.stages.count("tuned") == 1
    provider.plan["refused"] = None
    forget_failed(folder)
    made(tuner_for(provider, folder, told), told)
    assert len(provider.jobs) == 1


def test_a_job_of_an_earlier_run_that_took_more_passes_is_not_taken_over(provider, folder, told, tmp_path):
    provider.plan |= {"epochs": 9, "statuses_of": {"cancel": [403]}}
    made(tuner_for(provider, folder, told), told)
    provider.plan["epochs"] = None
    tuner, other = taken_over(provider, told, tmp_path, "other")
    made(tuner, told)
    assert job_of(other).job == "ftjob-2"


# the seam itself


def test_every_recorded_body_is_read(monkeypatch):
    """The bodies as the reference has them, unchanged, through the official client."""
    place, served = {}, Provider().start()
    monkeypatch.setattr(served, "look", lambda job_id: (200, place["body"]))
    monkeypatch.setattr(
        served, "events", lambda job_id: (200, RECORDED["GET /fine_tuning/jobs/{fine_tuning_job_id}/events"])
    )
    model = EndpointModel(served.url, "m", api_key_env="", retries=0)
    try:
        with FineTuning(model).connection() as api:
            place["body"] = RECORDED["GET /fine_tuning/jobs/{fine_tuning_job_id}"]
            done = api.job("ftjob-abc123")
            assert (done.status, done.tokens, done.epochs, done.ended) == ("succeeded", 5768, 4, True)
            assert done.tuned == "ft:davinci-002:my-org:custom_suffix:7q8mpxmy"
            assert done.settings == (("batch size", "1"), ("learning rate multiplier", "1"))
            place["body"] = RECORDED["POST /fine_tuning/jobs"]
            begun = api.job("ftjob-abc123")
            assert (begun.status, begun.cause, begun.tuned, begun.tokens) == ("queued", "", "", None)
            place["body"] = RECORDED["POST /fine_tuning/jobs/{fine_tuning_job_id}/cancel"]
            assert api.job("ftjob-abc123").status == "cancelled"
            assert [one.text for one in api.events("ftjob-abc123")] == [
                "New fine-tuned model created: ft:gpt-4o-mini:openai::7p4lURel",
                "Fine tuning job successfully completed",
            ]
    finally:
        served.stop()


def test_rows_are_utf8_lines_that_any_reader_takes():
    rows = rows_of([TrainingText('[{"role": "user", "content": "Zürich\\u2028?"}]', "日本")])
    assert rows.count(b"\n") == 1
    assert json.loads(rows)["messages"][-1] == {"role": "assistant", "content": "日本"}


def test_two_arms_have_a_job_each(provider, folder, told):
    tuner = tuner_for(provider, folder, told)
    made(tuner, told)
    made(tuner, told, arm="rag_lora", rows=14)
    assert len(provider.jobs) == 2
    assert job_of(folder).job != job_of(folder, "rag_lora").job
    with pytest.raises(ArmFailed, match="learns otherwise"):
        made(tuner, told, arm="lora_documents")
    assert threading.active_count() < 50
