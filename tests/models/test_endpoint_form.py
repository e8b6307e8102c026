"""Answers held to a form, timed and paid for at an endpoint, against a small server on this machine."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from loopback import completion, streamed

from harness.models.base import Message, Stop
from harness.models.endpoint import CannotHold, EndpointFailed, EndpointModel
from harness.models.endpoint_ledger import BudgetSpent, Ledger, Prices
from harness.store import RunFolder

pytest.importorskip("openai")

LABELS = Stop("held to two labels", None, labels=("yes", "no"))
SCHEMA = Stop("held to a schema", None, schema='{"type": "object", "properties": {"name": {"type": "string"}}}')


@pytest.fixture
def endpoint(monkeypatch):
    """A server that answers as `answer(request)` says: (status, body, kind)."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(body)
            status, data, kind = server.answer(body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    server.answer = lambda request: said("Paris")
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def said(text):
    return 200, completion(text), "application/json"


def refused(request, field):
    return (400, b'{"error": {"message": "what is that?"}}', "application/json") if field in request else None


def model_at(endpoint, **changes):
    url = f"http://127.0.0.1:{endpoint.server_address[1]}/v1"
    return EndpointModel(url, "m", **({"api_key_env": "", "retries": 0} | changes))


def asked(model, *questions, **options):
    prompts = [model.render([Message("user", question)]) for question in questions]
    return model.start(prompts, **({"max_new_tokens": 4} | options))


@contextmanager
def timed_job(model, *questions):
    with model.timed() as ready:
        yield asked(ready, *questions)


# held to a form


def test_labels_are_asked_for_in_an_object_and_taken_out_of_it(endpoint):
    endpoint.answer = lambda request: said('{"label": "no"}')
    (found,) = asked(model_at(endpoint), "Is it?", stop=LABELS).answer((0,))
    assert found.text == "no"
    asked_for = endpoint.requests[-1]["response_format"]["json_schema"]
    assert asked_for["schema"]["properties"]["label"]["enum"] == ["yes", "no"]
    assert asked_for["strict"]
    assert endpoint.requests[-1]["max_tokens"] > 4, "the object needs room too"


def test_a_schema_is_passed_on_as_it_is(endpoint):
    endpoint.answer = lambda request: said('{"name": "Ada"}')
    (found,) = asked(model_at(endpoint), "Who?", stop=SCHEMA).answer((0,))
    assert found.text == '{"name": "Ada"}'
    assert endpoint.requests[-1]["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA.schema)


def test_whether_a_form_is_heeded_is_asked_once(endpoint):
    endpoint.answer = lambda request: said('{"label": "no"}')
    model = model_at(endpoint)
    for _ in range(3):
        asked(model, "Is it?", stop=LABELS)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda request: said("Hello!"), "does not heed response_format"),
        (lambda request: refused(request, "response_format"), "status 400: .*what is that"),
    ],
)
def test_an_endpoint_that_does_not_hold_answers_is_refused_with_the_reason(endpoint, answer, why):
    endpoint.answer = answer
    model = model_at(endpoint)
    for stop in (LABELS, SCHEMA, LABELS):
        with pytest.raises(CannotHold, match=why):
            asked(model, "Is it?", stop=stop)
    assert len(endpoint.requests) == 2, "once a form"


def test_a_refusal_is_not_remembered_by_the_run_that_goes_on_once_the_server_is_mended(endpoint, tmp_path):
    for answer, held in ((said("Hello!"), False), (said('{"label": "no"}'), True)):
        endpoint.answer = lambda request, answer=answer: answer
        model = model_at(endpoint)
        model.state.ledger.open(RunFolder(tmp_path))
        if held:
            asked(model, "Is it?", stop=LABELS)
        else:
            with pytest.raises(CannotHold):
                asked(model, "Is it?", stop=LABELS)


# timed


def test_a_timed_answer_is_streamed_and_its_first_token_is_noted(endpoint):
    endpoint.answer = lambda request: (200, streamed("Paris"), "text/event-stream")
    with timed_job(model_at(endpoint), "France?") as job:
        (found,) = job.answer((0,))
    assert (found.text, found.tokens_in, found.tokens_out, found.finish) == ("Paris", 20, 2, "stop")
    assert job.first_seconds[0] > 0
    assert endpoint.requests[0]["stream_options"] == {"include_usage": True}


def test_a_server_without_stream_options_is_timed_without_them_and_remembered(endpoint):
    def answer(request):
        return refused(request, "stream_options") or (200, streamed("Paris"), "text/event-stream")

    endpoint.answer = answer
    with timed_job(model_at(endpoint), "France?", "Italy?") as job:
        assert [one.text for one in job.answer((0, 1))] == ["Paris", "Paris"]
    assert ["stream_options" in request for request in endpoint.requests] == [True, False, False]


@pytest.mark.parametrize(
    "answer", [lambda request: refused(request, "stream") or said("Paris"), lambda _: said("Paris")]
)
def test_a_server_that_does_not_stream_is_timed_in_all_only(endpoint, answer):
    endpoint.answer = answer
    with timed_job(model_at(endpoint), "France?") as job:
        assert job.answer((0,))[0].text == "Paris"
    assert job.first_seconds == {}


def test_a_stream_that_ends_before_its_answer_is_an_error(endpoint):
    endpoint.answer = lambda request: (200, streamed("Paris").split(b"\n\n")[0] + b"\n\n", "text/event-stream")
    with timed_job(model_at(endpoint), "France?") as job, pytest.raises(EndpointFailed, match="stream was cut"):
        job.answer((0,))


# paid for


def test_the_same_question_twice_in_a_batch_is_paid_for_once(endpoint):
    job = asked(model_at(endpoint), "France?", "Italy?", "France?")
    assert [one.text for one in job.answer((0, 1, 2))] == ["Paris"] * 3
    assert len(endpoint.requests) == 2


def test_draws_with_different_seeds_are_asked_apart_where_the_seed_is_not_passed_on(endpoint, tmp_path):
    model = model_at(endpoint, leave_out=("seed",))
    model.state.ledger.open(RunFolder(tmp_path))
    for seed in (1, 2, 2):
        asked(model, "France?", temperature=0.7, seed=seed).answer((0,))
    assert len(endpoint.requests) == 2
    assert "seed" not in endpoint.requests[0]


def test_what_was_answered_before_is_not_asked_again_but_timed_anew(endpoint, tmp_path):
    for _ in range(2):  # a run, and the same run continued
        model = model_at(endpoint)
        model.state.ledger.open(RunFolder(tmp_path))
        asked(model, "France?").answer((0,))
    assert len(endpoint.requests) == 1
    with timed_job(model, "France?") as job:
        job.answer((0,))
    assert len(endpoint.requests) > 1
    assert model.state.ledger.spent.requests == len(endpoint.requests), (
        "what a server that does not stream was asked twice, too"
    )


def test_a_request_whose_worst_case_does_not_fit_is_not_sent(endpoint):
    model = model_at(endpoint)
    model.state.ledger = Ledger(Prices(1e6, 1e6), limit=20.0)  # a token costs 1
    with pytest.raises(BudgetSpent, match="budget is spent"):
        asked(model, "France?").answer((0,))
    assert endpoint.requests == []


def test_the_form_counts_in_the_worst_case(endpoint):
    endpoint.answer = lambda request: said('{"label": "no"}')
    model = model_at(endpoint)
    job = asked(model, "Is it?", stop=LABELS)
    model.state.ledger = Ledger(Prices(1e6, 1e6), limit=100.0)
    with pytest.raises(BudgetSpent):
        job.answer((0,))
    asked(model, "Is it?").answer((0,))


def test_a_refusal_costs_nothing_and_an_answer_that_cannot_be_read_its_worst_case(endpoint):
    model = model_at(endpoint)
    model.state.ledger = Ledger(Prices(1e6, 1e6))
    for body, status in ((b"{}", 400), (b"{", 200)):
        endpoint.answer = lambda request, body=body, status=status: (status, body, "application/json")
        with pytest.raises(EndpointFailed):
            asked(model, "France?").answer((0,))
    spent = model.state.ledger.spent
    assert (spent.requests, spent.money, spent.estimated) == (1, 7 + 16 + 4, 1)
