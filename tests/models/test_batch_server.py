"""Files and batches over the wire: whatever the server says or leaves unsaid becomes a value or a sentence."""

import json
from contextlib import contextmanager

import pytest

from harness.errors import RunStopped, UserError
from harness.models.endpoint import EndpointModel, http_library, open_client

pytest.importorskip("openai")

from harness.models.batch_server import BatchServer, NotOffered  # needs the library

GOES_ON = "What was answered is kept; the same command goes on from there."


class Wire:
    """Answers requests one after another; an exception is a connection that breaks. The last answer is repeated."""

    def __init__(self, *answers):
        self.answers, self.asked, self.slept = list(answers), [], []

    def __call__(self, request):
        self.asked.append(f"{request.method} {request.url.path.removeprefix('/v1')}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise http_library().ConnectError("connection refused")
        status, body = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return http_library().Response(status, content=content, headers={"content-type": "application/json"})


@contextmanager
def server(wire, *, retries=0):
    model = EndpointModel("http://host/v1", "m", api_key_env="", retries=retries)
    with open_client(model, transport=http_library().MockTransport(wire)) as client:
        yield BatchServer(model, client, sleep=wire.slept.append)


def listed(*found):
    return 200, {"object": "list", "data": list(found), "has_more": False}


BATCH = {"id": "b1", "object": "batch", "status": "validating", "input_file_id": "f1", "metadata": {"bakeoff": "mark"}}
BROKEN = pytest.param(None, "The endpoint: Connection error.", id="broken connection")
REFUSED = pytest.param((400, {"error": {"message": "no"}}), "The endpoint answered with status 400: ", id="refused")


def stopped(call):
    with pytest.raises(RunStopped) as told:
        call()
    said = str(told.value)
    assert said.endswith(GOES_ON)
    return said


@pytest.mark.parametrize(("answer", "why"), [BROKEN, REFUSED])
def test_a_file_that_cannot_be_sent_ends_the_run_with_why(answer, why):
    with server(Wire(answer)) as one:
        assert f"The file of a batch could not be sent. {why}" in stopped(lambda: one.upload("n.jsonl", b"{}"))


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 3}])
def test_a_file_that_got_no_id_ends_the_run(body):
    with server(Wire((200, body))) as one:
        assert stopped(lambda: one.upload("n.jsonl", b"{}")) == f"The file of a batch got no id. {GOES_ON}"


def test_a_server_that_cannot_be_reached_is_said_before_anything_is_sent():
    with server(Wire(None)) as one, pytest.raises(UserError, match=r"^Nothing was sent to http://host/v1 yet\. T"):
        one.require()


@pytest.mark.parametrize(
    ("first", "slept"),
    [(None, [5.0]), ((200, {"object": "batch"}), [5.0]), ((429, {}), [5.0]), ((503, {}), [5.0])],
    ids=["broken connection", "no id", "busy", "down"],
)
def test_a_batch_of_which_nothing_was_heard_is_looked_for_before_it_is_begun_again(first, slept):
    wire = Wire(first, listed({**BATCH, "metadata": {"bakeoff": "another"}, "id": "b0"}), (200, BATCH))
    with server(wire, retries=1) as one:
        assert one.create("f1", "mark").id == "b1"
    assert wire.asked == ["POST /batches", "GET /batches", "POST /batches"]
    assert wire.slept == slept


def test_a_batch_that_was_begun_unheard_is_not_begun_twice():
    wire = Wire(None, listed(BATCH))
    with server(wire, retries=1) as one:
        assert one.create("f1", "mark").id == "b1"
    assert wire.asked == ["POST /batches", "GET /batches"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [BROKEN, REFUSED, pytest.param((200, {}), "The endpoint: it gave the batch no id", id="no id")],
)
def test_a_batch_that_cannot_be_begun_says_why(answer, why):
    with server(Wire(answer)) as one:
        assert f"A batch could not be begun. {why}" in stopped(lambda: one.create("f1", "mark"))


@pytest.mark.parametrize(("answer", "why"), [BROKEN, REFUSED])
def test_where_nobody_can_say_whether_a_batch_is_under_way_none_is_begun(answer, why):
    with server(Wire(answer)) as one:
        said = stopped(lambda: one.find("f1", "mark"))
    assert f"Whether a batch is under way already could not be found out. {why}" in said


@pytest.mark.parametrize(
    ("batch", "is_ours"),
    [
        ({}, True),
        ({"metadata": None}, True),
        ({"input_file_id": None}, True),
        ({"metadata": {"bakeoff": "another"}}, False),
        ({"input_file_id": "f2"}, False),
        ({"metadata": None, "input_file_id": "f2"}, False),
    ],
)
def test_a_batch_is_known_by_its_mark_and_its_file_and_by_one_where_the_other_is_not_told(batch, is_ours):
    with server(Wire(listed({**BATCH, **batch}))) as one:
        assert (one.find("f1", "mark") is not None) == is_ours


@pytest.mark.parametrize("answer", [None, (404, {}), (429, {}), (500, {}), (200, {}), (200, [])])
def test_a_look_that_tells_nothing_now_is_an_error_to_look_again_after(answer):
    with server(Wire(answer)) as one:
        assert isinstance(one.look("b1"), Exception)


def test_a_look_that_is_refused_ends_the_run():
    with server(Wire((401, {}))) as one:
        said = stopped(lambda: one.look("b1"))
    assert "Batch b1 could not be looked at. The endpoint answered with status 401" in said


@pytest.mark.parametrize(("answer", "why"), [BROKEN, REFUSED])
def test_results_that_cannot_be_fetched_wait_there(answer, why):
    with server(Wire(answer)) as one:
        said = stopped(lambda: one.lines("f2"))
    assert f"The results of a batch could not be fetched; they wait there. {why}" in said


def test_results_come_in_lines_and_a_file_that_is_unknown_is_an_error_to_look_again_after():
    with server(Wire((200, b'{"a": 1}\n\n{"b": 2}\n'))) as one:
        assert one.lines("f2") == [b'{"a": 1}', b'{"b": 2}']
    with server(Wire((404, {}))) as one:
        assert isinstance(one.lines("f2"), Exception)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (listed({"id": "f1", "filename": "other.jsonl"}, {"id": "f2", "filename": "ours.jsonl"}), "f2"),
        (listed({"id": "f1", "filename": "other.jsonl"}, {"id": "f2"}), ""),
        (listed({"id": 3, "filename": "ours.jsonl"}), ""),
        ((405, {}), ""),
        (None, ""),
    ],
)
def test_a_file_is_found_by_its_name_and_where_nobody_can_say_there_is_none(answer, found):
    with server(Wire(answer)) as one:
        assert one.file_named("ours.jsonl") == found


@pytest.mark.parametrize(
    ("answer", "deleted"),
    [
        ((200, {"id": "f1", "deleted": True}), True),
        ((200, {"id": "f1", "deleted": False}), False),
        ((200, {}), False),
        ((404, {}), True),
        ((403, {}), False),
        ((503, {}), False),
        (None, False),
    ],
)
def test_a_file_counts_as_deleted_where_the_server_says_so_or_does_not_know_it(answer, deleted):
    with server(Wire(answer)) as one:
        assert one.delete("f1") is deleted


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_batches_is_named_with_its_status(status):
    with server(Wire((status, {}))) as one:
        for call in (one.require, lambda: one.upload("n", b""), lambda: one.create("f1", "mark")):
            with pytest.raises(NotOffered, match=f"v1 offers no batches .it answered with status {status}.;"):
                call()
