"""A model behind an endpoint, against a small server on this machine."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.errors import MissingModel, UserError
from harness.judging.judge import Question, judge_pairs
from harness.models.base import Message, Stop
from harness.models.endpoint import BATCH, CannotHold, EndpointFailed, EndpointModel, split_address

KEY = "sk-secret-of-this-test"


def completion(text="Paris", *, finish="stop", usage=True):
    """A chat completion as JSON."""
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
    }
    if usage:
        body["usage"] = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return json.dumps(body).encode()


class Endpoint:
    """What the server answers with, request after request, and what it was asked."""

    def __init__(self):
        self.script = []
        """(status, body) of the first requests; afterwards `answer(request)`."""
        self.answer = lambda request: (200, completion())
        self.requests = []
        self.keys = []
        self.most_at_once = 0
        self.lock = threading.Lock()
        self._at_once = 0

    def handle(self, request, key):
        with self.lock:
            self.requests.append(request)
            self.keys.append(key)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            scripted = self.script.pop(0) if self.script else None
        found = scripted or self.answer(request)
        with self.lock:
            self._at_once -= 1
        return found


def handler_of(endpoint):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, data, *cut = endpoint.handle(body, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "5")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[: cut[0]] if cut else data)
            self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler


class QuietServer(ThreadingHTTPServer):
    """Says nothing where a client has gone before it was answered."""

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def endpoint(monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = Endpoint()
    server = QuietServer(("127.0.0.1", 0), handler_of(found))
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def model_at(endpoint, **changes):
    return EndpointModel(endpoint.url, "m", **changes)


def asked(model, n=1, **options):
    prompts = [model.render([Message("system", "Be brief."), Message("user", f"Question {i}")]) for i in range(n)]
    return model.start(prompts, **({"max_new_tokens": 7} | options))


def test_a_prompt_is_answered(endpoint):
    job = asked(model_at(endpoint), temperature=0.5, seed=3)
    (found,) = job.answer((0,))
    assert (found.text, found.tokens_in, found.tokens_out, found.finish) == ("Paris", 11, 3, "stop")
    assert endpoint.requests == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Question 0"}],
            "temperature": 0.5,
            "seed": 3,
            "max_tokens": 7,
        }
    ]
    assert endpoint.keys == [f"Bearer {KEY}"]


def test_answers_come_in_the_batchs_order_and_requests_are_bounded(endpoint):
    three = threading.Event()

    def together(request):
        """Nobody is answered before three have asked; were there a fourth, it would be seen."""
        if endpoint.most_at_once >= 3:
            three.set()
        three.wait(60)
        time.sleep(0.01)
        return 200, completion(request["messages"][-1]["content"])

    endpoint.answer = together
    job = asked(model_at(endpoint, concurrency=3), 12)
    order = (5, 0, 11, 3, 4, 7, 1, 2)
    assert [c.text for c in job.answer(order)] == [f"Question {i}" for i in order]
    assert endpoint.most_at_once == 3


def test_batches_hold_every_prompt_once(endpoint):
    batches = asked(model_at(endpoint), 2 * BATCH + 1).batches
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 1]
    assert [i for batch in batches for i in batch] == list(range(2 * BATCH + 1))


def test_a_busy_endpoint_is_asked_again(endpoint):
    endpoint.script = [(429, b"{}"), (500, b"{}")]
    assert asked(model_at(endpoint)).answer((0,))[0].text == "Paris"
    assert len(endpoint.requests) == 3


def test_an_endpoint_that_stays_broken_fails(endpoint):
    endpoint.answer = lambda request: (500, b'{"error": {"message": "out of order"}}')
    with pytest.raises(EndpointFailed, match=r"status 500: .*out of order"):
        asked(model_at(endpoint, retries=2)).answer((0,))
    assert len(endpoint.requests) == 3


def test_a_cut_response_is_asked_for_again(endpoint):
    endpoint.script = [(200, completion(), 30)]
    assert asked(model_at(endpoint)).answer((0,))[0].text == "Paris"
    endpoint.answer = lambda request: (200, completion(), 30)
    with pytest.raises(EndpointFailed, match="Connection error"):
        asked(model_at(endpoint, retries=1)).answer((0,))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"choices": [', "no JSON"),
        (b"{}", "no chat completion"),
        (b"[]", "no chat completion"),
        (b'{"choices": []}', "no chat completion"),
        (b'{"choices": [{}]}', "no chat completion"),
        (completion("", finish="content_filter"), "content filter"),
        (completion("half \ud83d"), "holds halves of characters"),
    ],
)
def test_an_answer_that_is_none_fails(endpoint, body, says):
    endpoint.answer = lambda request: (200, body)
    with pytest.raises(EndpointFailed, match=says):
        asked(model_at(endpoint, retries=0)).answer((0,))


def test_a_slow_endpoint_fails(endpoint):
    endpoint.answer = lambda request: time.sleep(0.5) or (200, completion())
    with pytest.raises(EndpointFailed, match="timed out"):
        asked(model_at(endpoint, timeout=0.05, retries=0)).answer((0,))


def test_a_failure_costs_only_itself(endpoint):
    def choosy(request):
        text = request["messages"][-1]["content"]
        return (400, b"{}") if text == "Question 1" else (200, completion(text))

    endpoint.answer = choosy
    job = asked(model_at(endpoint), 3)
    with pytest.raises(EndpointFailed, match="400"):
        job.answer((0, 1, 2))
    assert [job.answer((i,))[0].text for i in (0, 2)] == ["Question 0", "Question 2"]
    with pytest.raises(EndpointFailed, match="400"):
        job.answer((1,))
    assert len(endpoint.requests) == 3


def test_tokens_are_estimated_where_they_are_not_counted(endpoint):
    endpoint.answer = lambda request: (200, completion("12345678", finish="length", usage=False))
    model = model_at(endpoint)
    job = asked(model)
    (found,) = job.answer((0,))
    assert (found.tokens_in, found.tokens_out, found.finish) == (model.count_tokens(job.prompts[0]), 2, "length")


def test_an_answer_without_text_is_empty(endpoint):
    endpoint.answer = lambda request: (200, completion(None))
    assert asked(model_at(endpoint)).answer((0,))[0].text == ""


def test_the_longest_answer_may_have_another_name(endpoint):
    asked(model_at(endpoint, length_field="max_completion_tokens")).answer((0,))
    assert endpoint.requests[0]["max_completion_tokens"] == 7
    assert "max_tokens" not in endpoint.requests[0]


def test_the_key_is_nowhere_but_in_the_request(endpoint):
    endpoint.answer = lambda request: (401, json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode())
    model = model_at(endpoint)
    job = asked(model)
    with pytest.raises(EndpointFailed, match=r"401: .*wrong key \[key\]") as caught:
        job.answer((0,))
    assert len(endpoint.requests) == 1
    assert caught.value.__cause__ is None
    assert not any(KEY in text for text in (repr(model), repr(job), str(caught.value), repr(model.description)))


def test_a_key_that_is_not_set_is_asked_for(endpoint, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="environment variable OPENAI_API_KEY"):
        asked(model_at(endpoint))
    assert asked(model_at(endpoint, api_key_env="")).answer((0,))[0].text == "Paris"


def test_answers_cannot_be_held(endpoint):
    with pytest.raises(CannotHold, match="held to labels") as caught:
        asked(model_at(endpoint), stop=Stop("labels", None, ("yes", "no")))
    assert isinstance(caught.value, UserError)
    assert isinstance(caught.value, ValueError)


def test_the_package_may_be_missing(endpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingModel, match="package openai"):
        asked(model_at(endpoint))


@pytest.mark.parametrize(
    "address", ["127.0.0.1/v1", "ftp://host/v1", "http://", "https://me:hidden@host/v1", "https://host/v1?key=hidden"]
)
def test_an_address_that_cannot_be_used_is_refused(address):
    with pytest.raises(UserError, match="address") as caught:
        EndpointModel(address, "m")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"concurrency": 0}, {"retries": -1}, {"timeout": 0}])
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(UserError, match="concurrency"):
        EndpointModel("http://host/v1", "m", **changes)


def test_the_model_is_named():
    with pytest.raises(UserError, match="Name the model"):
        EndpointModel("http://host/v1", "")


def test_the_description_names_address_and_model():
    one, other = (EndpointModel(f"https://{host}/v1", "m").description for host in ("a", "b"))
    assert (one.name, one.device, one.window, len(one.digest)) == ("m", "endpoint", 8192, 64)
    assert one.digest != other.digest


def test_text_in_any_script_survives_rendering():
    model = EndpointModel("https://host/v1", "m")
    assert json.loads(model.render([Message("user", "где «Ω»?\n")])) == [{"role": "user", "content": "где «Ω»?\n"}]


def test_an_endpoint_can_judge(endpoint):
    endpoint.answer = lambda request: (200, completion("**A**"))
    question = Question("c", "France?", ("Paris",), "rag", "Paris", "lora", "Lyon")
    (found,) = judge_pairs(model_at(endpoint), [question], instruction="Name the capital.")
    assert (found.forward, found.backward, found.verdict) == ("first", "second", "tie")


@pytest.mark.parametrize(
    ("address", "host"),
    [("http://h:8000/v1", "h:8000"), ("http://h:0/v1", None), ("http://[::1/v1", None), ("http://h:port/v1", None)],
)
def test_an_address_has_parts_or_is_none(address, host):
    parts = split_address(address)
    assert (parts.netloc if parts else None) == host
