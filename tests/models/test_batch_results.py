"""What is read out of a batch's files, and how servers say how long to wait."""

import gc
import json
from types import SimpleNamespace

import pytest

from harness.models.batch_results import Line, read_results

GOOD = {"choices": [{"message": {"content": "Paris"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}


def line(name="a", response=None, error=None):
    return json.dumps({"custom_id": name, "response": response, "error": error}).encode()


def answered(body=GOOD, *, status=200, name="a"):
    return line(name, {"status_code": status, "body": body})


@pytest.mark.parametrize(
    ("found", "why", "billed"),
    [
        (answered(status=500, body={"error": {"message": "broken"}}), "status 500: broken", False),
        (answered(status=500, body="broken\n\ntwice"), "status 500: broken twice", False),
        (answered(status=429, body=None), "status 429", False),
        (answered(body=[]), "no chat completion", True),
        (answered(body=None), "no chat completion", True),
        (line(response=[]), "holds no answer", True),
        (line(error={"code": "request_timeout"}), "request_timeout", True),
        (line(error={"code": "batch_cancelled", "message": "gone"}), "gone", False),
        (line(error="odd"), "odd", False),
        (line(error={"code": 7}), "7", False),
        (line(error={"message": "half \ud83d"}), "half ?", False),
    ],
)
def test_a_line_without_an_answer_says_why_and_whether_it_may_cost(found, why, billed):
    read = read_results([found], sent={"a": None}).lines["a"]
    assert read.body is None
    assert why in read.why
    assert read.billed is billed
    read.why.encode()


def test_lines_are_sorted_out_by_name():
    found = read_results(
        [answered(), answered(name="b"), answered(name="stranger"), b"{", b"[1]", b'{"custom_id": 3}', b"[" * 100_000],
        sent={"a": None, "b": None, "c": None},
    )
    assert set(found.lines) == {"a", "b"}
    assert (found.garbled, found.strange) == (4, 1)


def test_the_same_answer_twice_is_one_and_another_one_is_none():
    twice = read_results([answered({**GOOD, "id": "1"}), answered({**GOOD, "id": "2"})], sent={"a": None})
    assert twice.lines["a"].body["choices"] == GOOD["choices"]
    other = read_results([answered(), answered({**GOOD, "choices": []})], sent={"a": None})
    assert other.lines["a"].body is None
    assert other.lines["a"].billed
    mixed = read_results([answered(), answered(status=500)], sent={"a": None})
    assert "more than once" in mixed.lines["a"].why


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "0"}, 0.05),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "Fri, 27 Nov 2026 10:00:00 GMT"}, None),
    ],
)
def test_a_server_says_how_long_to_wait(headers, seconds):
    from harness.models.batch_server import waiting_time

    assert waiting_time(headers) == seconds


class Steps:
    """A clock that is only noted down."""

    def __init__(self):
        self.waits = []

    def __call__(self, seconds):
        self.waits.append(seconds)


def patient(monkeypatch, seen, *, looked=lambda: None):
    """Batches at a server that says this, one after the other; gives them and how long they waited."""
    pytest.importorskip("openai")
    from harness.models import batches as module
    from harness.models.batch_server import BatchServer, Seen
    from harness.models.endpoint import EndpointModel

    steps, seen = Steps(), list(seen)

    class Patient(BatchServer):
        def __init__(self, model, client):
            super().__init__(model, client, steps)

        def look(self, batch):
            looked()
            return seen.pop(0)

        def lines(self, file):
            return []

        def create(self, file, mark):
            return Seen("b", "validating")

        def upload(self, name, data):
            return "f"

        def delete(self, file):
            return True

    monkeypatch.setattr(module, "BatchServer", Patient)
    return module.Batches(EndpointModel("http://127.0.0.1:9/v1", "m", api_key_env=""), wanted=True), steps


def added(batches, text="Hello"):
    from harness.models.base import Message

    model = batches.model
    batches.add("prompt", model.start([model.render([Message("user", text)])], max_new_tokens=3), (0,))


def under_way(looks, wait=None):
    from harness.models.batch_server import Seen

    return [Seen("b", "in_progress", 1, 2, wait=wait)] * looks + [Seen("b", "completed", 2, 2)]


def test_looks_come_less_often_up_to_a_minute_apart(monkeypatch):
    """A server that says nothing of waiting, asked 12 times."""
    batches, steps = patient(monkeypatch, under_way(11))
    added(batches)
    batches.settle(Told())
    assert steps.waits[0] == 5.0
    assert steps.waits == sorted(steps.waits)
    assert steps.waits[-1] == 60.0
    assert len(steps.waits) == 11


def test_nobody_is_asked_more_than_once_a_second_whatever_they_want(monkeypatch):
    batches, steps = patient(monkeypatch, under_way(4, wait=0.05))
    added(batches)
    batches.settle(Told())
    assert steps.waits == [1.0] * 4


def test_prompts_are_not_held_while_their_batch_is_under_way(monkeypatch):
    held = []

    def looked():
        messages = (one.get("content") for one in gc.get_objects() if type(one) is dict)
        jobs = (one.prompts for one in gc.get_objects() if type(one).__name__ == "EndpointJob")
        held.append(
            [
                *(m for m in messages if isinstance(m, str) and m == "a prompt to be forgotten"),
                *(p for p in jobs if "forgotten" in str(p)),
            ]
        )

    batches, _ = patient(monkeypatch, under_way(1), looked=looked)
    added(batches, "a prompt to be forgotten")
    batches.settle(Told())
    assert held == [[], []]


def test_a_batch_that_nobody_asked_for_waits_for_the_last_cases_and_is_counted_then(monkeypatch, tmp_path):
    """It may be of cases that come later, as with early stopping."""
    pytest.importorskip("openai")
    from harness.models.batch_notes import BatchNote, Worst
    from harness.models.endpoint_ledger import Ledger, Prices
    from harness.store import RunFolder

    looks = []
    batches, _ = patient(monkeypatch, under_way(1), looked=lambda: looks.append(1))
    batches.wanted, folder = False, RunFolder(tmp_path)
    batches.model.state.ledger = Ledger(Prices(1e6, 1e6, "USD"))
    notes = [BatchNote("x", "planned", "prompt", requests={"who": Worst(2, 3)}), BatchNote("x", "begun", batch="b")]
    folder.append("batches.jsonl", notes)
    batches.open(folder)
    batches.settle(Told(), last=False)
    assert (looks, batches.model.state.ledger.spent.batched) == ([], 0)
    assert batches.busy
    batches.settle(Told())
    assert batches.model.state.ledger.spent.money == 5.0, "its worst case: no line tells"
    assert not batches.busy


# whose name


@pytest.mark.parametrize(
    ("asked", "called", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("gemini-pro", "gemini-pro-001", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4o", "gpt-4o-", False),
        ("a.b", "axb", False),
        ("gpt-4o", None, True),
    ],
)
def test_a_date_or_a_version_behind_a_name_is_the_same_model(asked, called, same):
    pytest.importorskip("openai")
    from harness.models.batch_names import is_same

    assert is_same(asked, called) is same


class Unpaid:
    """What `EndpointJob.answer` does where the budget is spent; notes down at which prices it was to be paid."""

    def __init__(self):
        self.asked = []

    def __call__(self, job, batch):
        from harness.models.endpoint_ledger import BudgetSpent

        self.asked.append((job.model.state.served, job.model.state.ledger.asks_tuned))
        raise BudgetSpent("The budget is spent.")


def test_a_greeting_that_the_budget_forbids_is_tried_once_at_the_tuned_price_and_costs_no_answer(monkeypatch):
    pytest.importorskip("openai")
    from harness.models.batch_names import Names
    from harness.models.endpoint import EndpointJob, EndpointModel

    unpaid, notes = Unpaid(), []
    monkeypatch.setattr(EndpointJob, "answer", lambda job, batch: unpaid(job, batch))
    model = EndpointModel("http://127.0.0.1:9/v1", "m", api_key_env="")
    names = Names(model, lambda note: None)
    odd = ("tuned", True, Line({"model": "other"}))
    for _ in range(2):
        names.learn([odd, odd], notes.append)
    assert unpaid.asked == [("tuned", True)]
    assert (model.state.served, model.state.ledger.asks_tuned) == ("", False)
    assert len(notes) == 1
    assert "The budget is spent. They are used." in notes[0]
    assert names.is_called("tuned", "other")
    names.recall({"tuned": {"this"}})
    assert not names.is_called("tuned", "other")
    assert names.is_called("tuned", "this")


def test_a_batch_is_found_by_its_mark_and_its_file():
    pytest.importorskip("openai")
    from harness.models.batch_server import BatchServer

    def batch(name, file, mark):
        return SimpleNamespace(id=name, status="completed", input_file_id=file, metadata=mark and {"bakeoff": mark})

    listed = [batch("other", "file-1", "mine"), batch("theirs", "file-0", "other"), batch("bare", "file-2", None)]
    client = SimpleNamespace(batches=SimpleNamespace(list=lambda limit: listed))
    server = BatchServer(None, client)
    assert server.find("file-1", "mine").id == "other"
    assert server.find("file-0", "mine") is None
    assert server.find("file-2", "mine").id == "bare", "a server that forgets marks"


class Told:
    def progress(self, done, total, *, score=None):
        pass

    def note(self, text):
        pass
