"""What is read out of a batch's files, and how servers say how long to wait."""

import json

import pytest

from harness.models.batch_results import read_results

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


def test_looks_come_less_often_up_to_a_minute_apart(monkeypatch, tmp_path):
    """A server that says nothing of waiting, asked 12 times."""
    pytest.importorskip("openai")
    from harness.models import batches as module
    from harness.models.batch_server import BatchServer, Seen
    from harness.models.batches import Batches
    from harness.models.endpoint import EndpointModel

    steps, seen = Steps(), [Seen("b", "in_progress", 1, 2)] * 11 + [Seen("b", "completed", 2, 2)]

    class Patient(BatchServer):
        def __init__(self, model, client):
            super().__init__(model, client, steps)

        def look(self, batch):
            return seen.pop(0)

        def lines(self, file):
            return []

        def create(self, file, mark):
            return Seen("b", "validating")

        def upload(self, name, data):
            return "f"

    monkeypatch.setattr(module, "BatchServer", Patient)
    model = EndpointModel("http://127.0.0.1:9/v1", "m", api_key_env="")
    made = Batches(model, wanted=True)
    job = model.start([model.render([])], max_new_tokens=3)
    made.add("prompt", job, (0,))
    made.settle(Told())
    assert steps.waits[0] == 5.0
    assert steps.waits == sorted(steps.waits)
    assert steps.waits[-1] == 60.0
    assert len(steps.waits) == 11


class Told:
    def progress(self, done, total, *, score=None):
        pass

    def note(self, text):
        pass
