"""A whole bake-off in batches behind an endpoint: whatever becomes of them, nothing is paid for twice."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from batch_loopback import BatchLoopback, line
from fakes import FakeEmbedder, FakeWatcher, tiny_scenario, write_scenario_files

from harness.errors import InputProblems, RunStopped, UserError
from harness.experiment.options import RunOptions
from harness.experiment.run import prepare, run_prepared
from harness.models.batch_notes import BatchNote, read_notes
from harness.models.endpoint_ledger import Paid
from harness.scenario_file.endpoint import EndpointSettings
from harness.scenario_file.read import Overrides
from harness.store import ELSEWHERE, RunFolder

pytest.importorskip("openai")
CASES = 20
IN, OUT = 1000.0, 2000.0
ONE = (20 * IN + 2 * OUT) / 1e6
"""What a request costs: 20 tokens read, 2 written."""


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BAKEOFF_KEY_OF_TEST", "sk-secret-of-this-test")
    monkeypatch.setattr("harness.models.batches.SHORTEST_LOOK", 0.05)
    monkeypatch.setattr("harness.models.batches.UNKNOWN_SECONDS", 0.0)


@pytest.fixture
def served(tmp_path):
    (tmp_path / "stages").mkdir()
    server = BatchLoopback(tmp_path / "stages").start()
    yield server
    for hold in (tmp_path / "stages").glob("hold-*"):
        hold.unlink()
    server.stop()


@pytest.fixture
def scenario(tmp_path):
    return write_scenario_files(tmp_path / "s", tiny_scenario(cases=CASES))


def ran(path, out, server, *, arms=("prompt", "rag"), settings=None, watcher=None, retry=False):
    """Run in batches; gives the folder."""
    about = EndpointSettings(
        url=server.url,
        model="m",
        key_variable="BAKEOFF_KEY_OF_TEST",
        retries=2,
        batch=True,
        price_in=IN,
        price_out=OUT,
    )
    overrides = Overrides(arms=arms, endpoint=replace(about, **(settings or {})))
    options = RunOptions(out=out, use_cache=False, remember=False, quick=True, overrides=overrides, retry_errors=retry)
    ready = prepare(path, options=options, load_embedder=lambda _: FakeEmbedder())
    return run_prepared(ready, options=options, watcher=watcher or FakeWatcher()).folder


def lines_of(folder, name, kind):
    return tuple(RunFolder(folder).lines(name, kind))


def batched(folder):
    """What was paid for in batches."""
    return [one for one in lines_of(folder, "requests.jsonl", Paid) if one.batch]


def errors(folder, arm="prompt"):
    return {name: one.error for name, one in folder.predictions()[arm].items() if one.error}


def answers(folder):
    return {arm: {name: one.text for name, one in found.items()} for arm, found in folder.predictions().items()}


# what is sent


def test_every_arm_is_a_batch_and_the_answers_are_those_of_single_requests(scenario, tmp_path, served):
    watcher = FakeWatcher()
    folder = ran(scenario, tmp_path / "run", served, watcher=watcher)
    alone = ran(scenario, tmp_path / "alone", served, settings={"batch": False})
    assert answers(folder) == answers(alone)
    assert not errors(folder)
    assert served.sent("POST", "/batches") == 2
    assert sorted(len(served.requests(batch)) for batch in served.batches.values()) == [CASES, CASES]
    assert len(set(served.batched)) == 2 * CASES
    assert any("batch-0 (prompt): 20/20, completed" in note for note in watcher.notes)
    assert all(one.seconds > 0 for one in folder.latency()), "timed alone"


def test_a_line_holds_the_very_bytes_of_a_single_request(scenario, tmp_path, served):
    extra = {"extra": {"top_k": 1, "note": "é\u2028"}, "leave_out": ("seed",)}
    ran(scenario, tmp_path / "run", served, arms=("prompt",), settings=extra)
    sent = served.files["file-0"].split(b"\n")[:-1]
    served.bodies.clear()
    ran(scenario, tmp_path / "alone", served, arms=("prompt",), settings={**extra, "batch": False})
    assert len(sent) == CASES
    assert all(any(one.endswith(b'"body": ' + body + b"}") for body in served.bodies) for one in sent)


def test_the_costs_are_those_of_batches_and_the_advice_is_at_the_normal_price(scenario, tmp_path, served):
    from harness.api import report_data
    from harness.report.prices import priced
    from harness.report.sections.cost import cost_section

    folder = ran(scenario, tmp_path / "run", served, settings={"batch_discount": 0.25})
    spent, paid = folder.provenance().spent, lines_of(folder.path, "requests.jsonl", Paid)
    single = len(paid) - 2 * CASES
    assert spent.batched == 2 * CASES
    assert spent.batch_money == pytest.approx(2 * CASES * ONE * 0.75)
    assert spent.money == pytest.approx(spent.batch_money + single * ONE)
    data = report_data(folder.path)
    assert priced(data).arms["prompt"].request == pytest.approx(ONE)
    said = cost_section(data).blocks[-1].text
    assert "40 requests of these went in batches" in said
    assert "they cost $0.72 of that, the price of batches" in said
    assert "reckoned at the normal prices" in said
    assert "latency is that of single requests" in said


def test_a_batch_too_large_is_split(scenario, tmp_path, served, monkeypatch):
    monkeypatch.setattr("harness.models.batches.MOST_REQUESTS", 8)
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert [len(served.requests(batch)) for batch in served.batches.values()] == [8, 8, 4]
    monkeypatch.setattr("harness.models.batches.MOST_BYTES", 1500)
    assert not errors(folder)
    folder = ran(scenario, tmp_path / "bytes", served, arms=("prompt",))
    assert all(len(served.files[batch["input_file_id"]]) <= 1500 for batch in list(served.batches.values())[3:])
    assert not errors(folder)


# no support


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("path", ["GET /batches", "POST /files", "POST /batches"])
def test_a_server_without_batches_is_said_in_a_sentence(scenario, tmp_path, served, path, status):
    served.never = ((path, status),)
    with pytest.raises(UserError, match=f"offers no batches .*status {status}"):
        ran(scenario, tmp_path / "run", served)
    assert not served.batches
    if path == "GET /batches":
        assert not served.chats, "nothing was sent"


@pytest.mark.parametrize("status", [404, 501])
def test_a_server_without_files_is_said_before_anything_is_sent(scenario, tmp_path, served, status):
    served.never = (("GET /files", status),)
    with pytest.raises(UserError, match="offers no batches"):
        ran(scenario, tmp_path / "run", served)
    assert not served.chats


def test_a_server_that_takes_files_and_does_not_list_them_will_do(scenario, tmp_path, served):
    served.faults = [("GET /files", 405)]
    assert not errors(ran(scenario, tmp_path / "run", served, arms=("prompt",)))


def test_a_wrong_key_is_said_before_anything_is_sent(scenario, tmp_path, served):
    served.never = (("GET /batches", 401),)
    with pytest.raises(UserError, match=r"Nothing was sent .* status 401"):
        ran(scenario, tmp_path / "run", served)
    assert not served.chats


# stopped and gone on with

CHILD = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
import test_endpoint_batches as here
import harness.models.batches as batches
batches.SHORTEST_LOOK = 0.05
class Server: url = {url!r}
here.ran(Path({scenario!r}), Path({out!r}), Server, settings={settings!r})
"""


def child(scenario, out, served, **settings):
    here = Path(__file__).resolve()
    code = CHILD.format(
        paths=[str(here.parent), str(here.parent.parent), str(here.parents[2])],
        url=served.url,
        scenario=str(scenario),
        out=str(out),
        settings=settings,
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, text=True
    )


def answered_words(folder):
    """(answer, last word of its question) of every arm's cases."""
    last = {case.id: case.input.split()[-1].strip("?") for case in folder.cases()}
    return [(text, last[name]) for arm in ("prompt", "rag") for name, text in answers(folder)[arm].items()]


def reached(served, stage, process):
    mark = served.folder / f"at-{stage}"
    while not mark.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("stage", "forgets"),
    [
        pytest.param("upload", False, marks=SLOW),
        pytest.param("begin", False, marks=SLOW),
        ("create", False),
        pytest.param("create", True, marks=SLOW),
        ("poll", False),
        ("fetch", False),
    ],
)
def test_a_run_killed_at_any_stage_goes_on_with_the_same_batches(scenario, tmp_path, served, stage, forgets):
    """`forgets`: the server drops the mark; the batch is known by its file."""
    served.forgets_marks = forgets
    (served.folder / f"hold-{stage}").touch()
    process = child(scenario, tmp_path / "run", served)
    reached(served, stage, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (served.folder / f"hold-{stage}").unlink()
    folder = ran(scenario, tmp_path / "run", served)
    assert len(answered_words(folder)) == 2 * CASES
    assert all(text == word for text, word in answered_words(folder))
    assert sorted(served.batched) == sorted(set(served.batched)), "nothing was sent twice"
    assert len(served.batched) == 2 * CASES
    paid = [one.request for one in batched(folder.path)]
    assert sorted(paid) == sorted(set(paid)), "nothing was paid for twice"
    assert len(paid) == 2 * CASES
    assert not served.left, "nothing stays at the provider"


def test_results_whose_last_note_was_lost_are_counted_once(scenario, tmp_path, served):
    """As if killed between the ledger's lines and the note that the batch is settled."""
    folder = ran(scenario, tmp_path / "run", served)
    path, notes = folder.path / "batches.jsonl", lines_of(folder.path, "batches.jsonl", BatchNote)
    kept = [raw for raw, note in zip(path.read_bytes().splitlines(True), notes, strict=True) if note.stage != "settled"]
    path.write_bytes(b"".join(kept))
    for name in ("predictions.jsonl", "verdict.json", "whole.json", "latency.jsonl"):
        (folder.path / name).unlink(missing_ok=True)
    again = ran(scenario, tmp_path / "run", served)
    assert len(batched(again.path)) == again.provenance().spent.batched == 2 * CASES
    assert len(served.batches) == 2
    assert not errors(again)


def test_batches_under_way_are_waited_for_also_where_batches_were_turned_off(scenario, tmp_path, served):
    (served.folder / "hold-poll").touch()
    process = child(scenario, tmp_path / "run", served)
    reached(served, "poll", process)
    process.kill()
    process.communicate()
    (served.folder / "hold-poll").unlink()
    folder = ran(scenario, tmp_path / "run", served, settings={"batch": False})
    assert len(served.batches) == 2
    assert len(batched(folder.path)) == 2 * CASES
    assert not errors(folder)


class Impatient(FakeWatcher):
    """Presses Ctrl-C as soon as a batch is waited for."""

    def progress(self, done, total, *, score=None):
        if self.stages[-1] == "batches":
            raise KeyboardInterrupt


def test_an_interrupt_leaves_the_batch_there_and_says_so(scenario, tmp_path, served):
    watcher = Impatient()
    with pytest.raises(KeyboardInterrupt):
        ran(scenario, tmp_path / "run", served, arms=("prompt",), watcher=watcher)
    (said,) = [note for note in watcher.notes if "goes on at the endpoint" in note]
    assert "Batch batch-0 (prompt, 20 requests)" in said
    assert "The same command waits for it" in said
    assert not errors(ran(scenario, tmp_path / "run", served, arms=("prompt",)))
    assert len(served.batches) == 1


@pytest.mark.parametrize("trouble", [503, 429, "after"])
def test_a_batch_whose_beginning_was_not_heard_of_is_looked_for(scenario, tmp_path, served, trouble):
    served.faults = [("POST /batches", trouble)]
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert len(served.batches) == 1
    assert len(batched(folder.path)) == CASES


def test_a_server_that_is_busy_while_it_is_polled_is_asked_again(scenario, tmp_path, served):
    served.faults = [("GET /batches/", status) for status in (429, 500, 503, 502)]
    assert not errors(ran(scenario, tmp_path / "run", served, arms=("prompt",)))


def test_a_batch_that_was_never_begun_is_begun_by_the_same_command(scenario, tmp_path, served):
    served.faults = [("POST /batches", 400)]
    with pytest.raises(RunStopped, match=r"could not be begun.* status 400.* the same command goes on"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",))
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert len(served.batches) == 1
    assert len(batched(folder.path)) == CASES


def test_a_file_that_was_sent_unheard_is_deleted_by_the_same_command(scenario, tmp_path, served):
    served.faults = [("POST /files", "after")]
    with pytest.raises(RunStopped, match=r"The file of a batch could not be sent.* status 500.* the same command"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",), settings={"retries": 0})
    assert served.left == ["file-0"]
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",), settings={"retries": 0})
    assert not errors(folder)
    assert len(batched(folder.path)) == CASES
    assert served.left == [], "nothing stays at the provider"


def test_results_that_the_server_forgot_are_asked_for_again_where_they_are_given_up(scenario, tmp_path, served):
    served.never = (("GET /files/output-batch-0", 404),)
    with pytest.raises(RunStopped, match="does not know file output-batch-0 of batch batch-0, asked again and again"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",))
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",), retry=True)
    assert not errors(folder)
    assert len(served.batches) == 2
    lost, answered = batched(folder.path)[:CASES], batched(folder.path)[CASES:]
    assert {one.finish for one in lost} == {"error"}
    assert {one.finish for one in answered} == {"stop"}
    assert sum(one.money for one in lost) > sum(one.money for one in answered), "counted at its worst case"


def test_answers_of_a_batch_without_counted_tokens_are_estimated_and_said_to_be(scenario, tmp_path, served):
    def uncounted(found):
        return [json.dumps(told(json.loads(one))).encode() for one in found]

    def told(one):
        del one["response"]["body"]["usage"]
        return one

    served.lines = uncounted
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert not errors(folder)
    assert not any(one.counted for one in batched(folder.path))
    assert all(one.tokens_in > 0 for one in folder.predictions()["prompt"].values())
    assert folder.provenance().spent.estimated == CASES


def test_a_server_that_is_not_heard_of_any_more_ends_the_run_and_not_the_batch(scenario, tmp_path, served, monkeypatch):
    monkeypatch.setattr("harness.models.batches.LONGEST_SILENCE", 0.5)
    served.never = (("GET /batches/", 503),)
    with pytest.raises(RunStopped, match="Nothing is heard of batch batch-0 any more; it goes on at the endpoint"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",))
    served.never = (("GET /files/output", 503),)
    with pytest.raises(RunStopped, match="could not be fetched; they wait there"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",))
    served.never = ()
    assert not errors(ran(scenario, tmp_path / "run", served, arms=("prompt",)))
    assert len(served.batches) == 1


def test_early_stopping_sends_shard_by_shard(tmp_path, served):
    many = write_scenario_files(tmp_path / "many", tiny_scenario(cases=120, documents=False))
    toml = many / "scenario.toml"
    toml.write_text(toml.read_text() + "\n[experiments]\nstop_early = true\n")
    folder = ran(many, tmp_path / "run", served, arms=("prompt", "few_shot"))
    assert len(served.batches) > 2
    assert len(served.batched) == len(set(served.batched))
    assert not errors(folder)


# what comes of batches


def test_an_expired_batch_keeps_what_it_answered_and_the_same_command_sends_the_rest(scenario, tmp_path, served):
    def half(found):
        expired = {"code": "batch_expired", "message": "This request could not be executed in time."}
        late = [line(json.loads(one)["custom_id"], None, expired) for one in found[15:]]
        return [*found[:10], *late]  # and five lines are missing

    served.ends, served.lines = lambda batch: {"status": "expired"}, half
    with pytest.raises(
        RunStopped, match=r"within 24 hours: expired is batch batch-0 \(10 requests without an answer\)"
    ):
        ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert len(batched(tmp_path / "run")) == 10
    served.ends, served.lines = lambda batch: {"status": "completed"}, lambda found: found
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert [len(served.requests(batch)) for batch in served.batches.values()] == [20, 10]
    assert not errors(folder)
    assert len({one.request for one in batched(folder.path)}) == len(batched(folder.path)) == CASES


def test_a_failed_batch_is_an_error_of_each_of_its_cases_and_costs_nothing(scenario, tmp_path, served):
    def failed(batch):
        if "prompt" not in arms_of(tmp_path / "run", batch["id"]):
            return {"status": "completed"}
        fault = {"code": "model_not_found", "message": "The model `m` does not take batches.", "line": 1}
        return {"status": "failed", "errors": {"object": "list", "data": [fault]}}

    served.ends = failed
    folder = ran(scenario, tmp_path / "run", served)
    assert len(errors(folder)) == CASES
    assert all("batch-0 failed. The model `m` does not take batches." in one for one in errors(folder).values())
    assert not errors(folder, "rag")
    assert len(batched(folder.path)) == CASES
    served.ends = lambda batch: {"status": "completed"}
    folder = ran(scenario, tmp_path / "run", served, retry=True)
    assert not errors(folder)
    assert len(batched(folder.path)) == 2 * CASES


def arms_of(folder, batch):
    notes = lines_of(folder, "batches.jsonl", BatchNote)
    marks = {note.mark for note in notes if note.batch == batch}
    return {note.arm for note in notes if note.mark in marks and note.arm}


def test_a_cancelled_batch_keeps_what_it_answered(scenario, tmp_path, served):
    served.ends, served.lines = lambda batch: {"status": "cancelled"}, lambda found: found[:17]
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert len(errors(folder)) == 3
    assert all("batch-0 was cancelled before" in one for one in errors(folder).values())
    assert len(batched(folder.path)) == 17, "what was not begun is free"


def test_a_batch_that_was_too_much_beside_others_is_sent_again_after_them(scenario, tmp_path, served):
    many = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}

    def ends(batch):
        return {"status": "failed", "errors": {"data": [many]}} if batch["id"] == "batch-1" else {"status": "completed"}

    served.ends = ends
    folder = ran(scenario, tmp_path / "run", served)
    assert len(served.batches) == 3
    assert not errors(folder)
    assert not errors(folder, "rag")
    assert len(batched(folder.path)) == 2 * CASES


def damaged(found):
    """Of 20 lines: 0 is no JSON, 1 is missing, 2 doubled and different, 3 doubled and the same, 4 another model's,
    5 refused, 6 holds nothing, 7 timed out, 8 no chat completion, 9 names nobody; and there is a stranger."""
    lines = [json.loads(one) for one in found]
    other = json.loads(found[2].replace(b"City", b"Town"))
    other["response"]["body"]["choices"][0]["message"]["content"] = "another"
    lines[4]["response"]["body"]["model"] = "quite-another"
    lines[5]["response"] = {
        "status_code": 400,
        "body": {"error": {"message": "content refused sk-secret-of-this-test"}},
    }
    lines[6]["response"] = None
    lines[7] |= {"response": None, "error": {"code": "request_timeout", "message": "timed out"}}
    lines[8]["response"]["body"] = {"choices": []}
    del lines[9]["custom_id"]
    made = [json.dumps(one).encode() for one in lines]
    stranger = json.dumps({**lines[10], "custom_id": "who"}).encode()
    return [b'{"custom_id": "half', *made[2:], json.dumps(other).encode(), found[3], b"\xff\xfe", b"[]", stranger]


def test_lines_that_cannot_be_used_are_errors_of_their_cases_with_their_cause(scenario, tmp_path, served):
    served.lines = damaged
    watcher = FakeWatcher()
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",), watcher=watcher)
    said = errors(folder)
    order = [one["custom_id"] for one in served.requests(served.batches["batch-0"])]
    texts = [one["body"]["messages"][-1]["content"] for one in served.requests(served.batches["batch-0"])]
    by_place = {texts.index(text): said.get(name) for name, text in inputs(folder, texts).items()}
    causes = {
        0: "ended without an answer to this request in its files (4 lines of them cannot be read)",
        1: "ended without an answer to this request",
        2: "more than once, and differently",
        4: "answered by the model 'quite-another'; 'm' was asked",
        5: "status 400: content refused [key]",
        6: "holds no answer",
        7: "timed out",
        8: "no chat completion",
        9: "ended without an answer",
    }
    for place, cause in causes.items():
        assert cause in by_place[place], place
    assert [place for place, error in by_place.items() if error is None] == [3, *range(10, 20)]
    assert len(order) == CASES
    assert any("1 line of requests not its own" in note for note in watcher.notes)
    paid = {one.request: one for one in batched(folder.path)}
    assert order[5] not in paid, "an error status is free"
    assert len(paid) == CASES - 1
    assert all(paid[order[place]].finish == "error" for place in causes if place != 5)
    assert b"sk-secret" not in (folder.path / "batches.jsonl").read_bytes()


def inputs(folder, texts):
    """Case -> the text in which it was asked."""
    return {case.id: next(text for text in texts if case.input in text) for case in folder.cases()}


def refused(one):
    """The same request, refused, as the file of errors has it."""
    body = {"error": {"code": "invalid_value", "message": "The answer may not be that long."}}
    return line(json.loads(one)["custom_id"], {"status_code": 400, "request_id": "r", "body": body}, None)


@pytest.mark.parametrize("failed", [3, CASES])
def test_errors_in_a_file_of_their_own_are_those_of_their_cases_and_are_free(scenario, tmp_path, served, failed):
    served.lines = lambda found: [*map(refused, found[:failed]), *found[failed:]]
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert ("output_file_id" in served.batches["batch-0"]) == (failed < CASES)
    assert "error_file_id" in served.batches["batch-0"]
    assert len(errors(folder)) == failed
    assert all("status 400: The answer may not be that long." in one for one in errors(folder).values())
    assert len(batched(folder.path)) == CASES - failed
    served.lines = lambda found: found
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",), retry=True)
    assert not errors(folder)
    assert [len(served.requests(batch)) for batch in served.batches.values()] == [CASES, failed]


@pytest.mark.parametrize(("asked", "called"), [("m", "m-2026-11-01"), ("alias", "m"), ("m", None)])
def test_an_alias_is_not_another_model(scenario, tmp_path, served, asked, called):
    """A name with a date, and what single requests are answered by, is what was asked."""
    served.named = called
    assert not errors(ran(scenario, tmp_path / "run", served, arms=("prompt",), settings={"model": asked}))


def test_an_adapter_is_asked_under_its_name(scenario, tmp_path, served):
    """The server calls what answers `m`, alone as in batches."""
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt", "lora"), settings={"adapters": {"lora": "tuned"}})
    names = [{line["body"]["model"] for line in served.requests(batch)} for batch in served.batches.values()]
    assert names == [{"m"}, {"tuned"}]
    assert not errors(folder, "lora")


def killed_while_it_waits(scenario, out, served, **settings):
    """A run of both arms, killed with its batches under way."""
    (served.folder / "hold-poll").touch()
    process = child(scenario, out, served, **settings)
    reached(served, "poll", process)
    process.kill()
    process.communicate()
    (served.folder / "hold-poll").unlink()
    time.sleep(0.1)


@pytest.mark.parametrize("path", ["GET /batches/", "GET /files/output"])
def test_a_server_may_once_not_know_a_batch_or_its_file(scenario, tmp_path, served, path):
    served.faults = [(path, 404), (path, 404)]
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert not errors(folder)
    assert len(served.batches) == 1


@pytest.mark.parametrize("path", ["GET /batches/", "GET /files/output"])
def test_a_batch_that_stays_unknown_ends_the_run_and_stays_noted(scenario, tmp_path, served, path):
    """As with the key of another project."""
    served.never = ((path, 404),)
    with pytest.raises(RunStopped, match=r"does not know .*batch-0.* set the right one.*--retry-errors"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert not batched(tmp_path / "run")
    served.never = ()
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert not errors(folder)
    assert len(served.batches) == 1
    assert len(batched(folder.path)) == CASES


def test_a_batch_that_the_server_forgot_is_sent_again_where_it_is_given_up(scenario, tmp_path, served):
    killed_while_it_waits(scenario, tmp_path / "run", served)
    begun = len(served.batches)
    forgotten = {f"old-{name}": served.batches.pop(name) for name in list(served.batches)}
    served.batches.update(forgotten)
    with pytest.raises(RunStopped, match="does not know batch"):
        ran(scenario, tmp_path / "run", served)
    folder = ran(scenario, tmp_path / "run", served, retry=True)
    assert not errors(folder)
    assert not errors(folder, "rag")
    notes = lines_of(tmp_path / "run", "batches.jsonl", BatchNote)
    assert [note.status for note in notes if note.stage == "settled"].count("lost") == begun
    paid = batched(folder.path)
    assert sum(one.finish == "error" for one in paid) == begun * CASES, "at their worst case"
    assert sum(one.finish != "error" for one in paid) == 2 * CASES


def test_a_batch_that_nobody_asks_for_any_more_is_counted_at_what_it_cost(scenario, tmp_path, served):
    killed_while_it_waits(scenario, tmp_path / "run", served)
    alone = ran(scenario, tmp_path / "alone", served, settings={"batch": False})
    RunFolder(tmp_path / "run").append("predictions.jsonl", list(alone.predictions()["prompt"].values()))
    begun = {arm for name in served.batches for arm in arms_of(tmp_path / "run", name)}
    assert "prompt" in begun
    watcher = FakeWatcher()
    folder = ran(scenario, tmp_path / "run", served, watcher=watcher)
    paid = batched(folder.path)
    assert len(paid) == folder.provenance().spent.batched == 2 * CASES
    assert folder.provenance().spent.batch_money == pytest.approx(2 * CASES * ONE)
    assert any("Nobody asks for the answers of batch batch-0" in note for note in watcher.notes)
    assert not served.left


# whose name


def test_a_model_whose_name_cannot_be_found_out_is_used_with_one_note(scenario, tmp_path, served, monkeypatch):
    """Single requests to the adapter are refused; its batches are answered by `m`."""
    monkeypatch.setattr("harness.models.batches.MOST_REQUESTS", 8)
    served.refuses = lambda asked: 400 if asked["model"] == "tuned" else None
    watcher = FakeWatcher()
    folder = ran(
        scenario, tmp_path / "run", served, arms=("lora",), settings={"adapters": {"lora": "tuned"}}, watcher=watcher
    )
    assert len(served.batches) == 3
    assert not errors(folder, "lora")
    assert len([note for note in watcher.notes if "another name than 'tuned'" in note and "not now" in note]) == 1
    assert all(one.finish != "error" for one in batched(folder.path))


def test_what_models_are_called_is_kept_for_later_sessions(scenario, tmp_path, served):
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",), settings={"model": "alias"})
    assert not errors(folder)
    assert read_notes(folder.lines("batches.jsonl", BatchNote)).called == {"alias": {"m"}}


# what is left there


def test_files_are_deleted_once_their_answers_are_here(scenario, tmp_path, served):
    watcher = FakeWatcher()
    folder = ran(scenario, tmp_path / "run", served, watcher=watcher)
    assert sorted(served.deleted) == ["file-0", "file-1", "output-batch-0", "output-batch-1"]
    assert not errors(folder)
    (said,) = [note for note in watcher.notes if "eval cases go to" in note]
    assert f"Up to 20 eval cases go to {served.url.split('/')[2]} in files" in said


def test_a_file_that_cannot_be_deleted_is_named(scenario, tmp_path, served):
    served.never = (("DELETE /files/file-0", 403),)
    watcher = FakeWatcher()
    ran(scenario, tmp_path / "run", served, arms=("prompt",), watcher=watcher)
    assert served.left == ["file-0"]
    assert [note for note in watcher.notes if "could not be deleted" in note and ": file-0." in note]


def test_what_is_noted_lies_elsewhere_too_before_the_next_request(scenario, tmp_path, served, monkeypatch):
    seen = []

    def published():
        notes = lines_of(tmp_path / "run", "batches.jsonl", BatchNote)
        seen.append((notes[-1].stage, served.sent("POST", "/files"), served.sent("POST", "/batches")))

    monkeypatch.setitem(ELSEWHERE, tmp_path / "run", published)
    ran(scenario, tmp_path / "run", served, arms=("prompt",))
    assert ("planned", 0, 0) in seen
    assert ("uploaded", 1, 0) in seen


def test_a_batch_of_another_folder_is_not_taken_for_ones_own(scenario, tmp_path, served):
    folders = [ran(scenario, tmp_path / name, served, arms=("prompt",)) for name in ("one", "two")]
    marks = [{note.mark for note in lines_of(one.path, "batches.jsonl", BatchNote) if note.mark} for one in folders]
    assert [len(found) for found in marks] == [1, 1]
    assert not marks[0] & marks[1]
    assert len(served.batches) == 2


# money


def test_a_batch_that_could_pass_the_budget_is_not_sent(scenario, tmp_path, served):
    watcher = FakeWatcher()
    little = {"max_cost": 2.0, "batch_discount": 0.0}
    with pytest.raises(RunStopped, match=r"The budget is spent: .* the next batch could cost .*Open are 20 answers"):
        ran(scenario, tmp_path / "run", served, arms=("prompt",), settings=little, watcher=watcher)
    assert not served.batches
    assert RunFolder(tmp_path / "run").provenance().spent.money <= 2.0
    folder = ran(scenario, tmp_path / "run", served, arms=("prompt",), settings={"max_cost": 50.0})
    assert not errors(folder)
    assert len(served.batches) == 1


def test_a_second_batch_waits_until_the_first_leaves_room_for_it(scenario, tmp_path, served):
    """Each fits alone, not both in their worst cases at once."""
    probe = ran(scenario, tmp_path / "probe", served)
    worst = [
        sum(read * IN + written * OUT for read, written, _ in note.requests.values()) / 1e6
        for note in lines_of(probe.path, "batches.jsonl", BatchNote)
        if note.stage == "planned"
    ]
    trials = sum(one.money for one in lines_of(probe.path, "requests.jsonl", Paid)[: -2 * CASES] if not one.batch)
    limit = max(worst) + probe.provenance().spent.money
    assert limit < sum(worst) + trials / 2
    served.paths.clear()
    ran(scenario, tmp_path / "run", served, settings={"max_cost": limit})
    asked = [path for path in served.paths if path.startswith(("POST /batches", "GET /files/output"))]
    created = [place for place, path in enumerate(asked) if path == "POST /batches"]
    fetched = [place for place, path in enumerate(asked) if path.startswith("GET /files/output")]
    assert created[1] > fetched[0]


# what is said before


def planned(path, **settings):
    about = EndpointSettings(url="http://127.0.0.1:9/v1", model="m", key_variable="", price_in=IN, price_out=OUT)
    overrides = Overrides(arms=("prompt",), endpoint=replace(about, **settings))
    return prepare(path, options=RunOptions(overrides=overrides), load_embedder=lambda _: FakeEmbedder()).plan


def test_the_plan_counts_eval_cases_at_the_price_of_batches(scenario):
    from harness.experiment.requests import asking_sentences

    alone, half, free = (planned(scenario, **one).endpoint for one in ({}, HALF, FREE))
    assert alone.requests == half.requests
    assert (alone.batched, half.batched) == (0, CASES)
    assert alone.money > half.money > free.money > 0
    assert alone.money - half.money == pytest.approx((alone.money - free.money) / 2, rel=0.01)
    said = " ".join(asking_sentences(half))
    assert "20 of the requests, the eval cases, are sent in batches" in said
    assert "50% less in batches" in said
    assert "batch" not in " ".join(asking_sentences(alone))


HALF = {"batch": True, "batch_discount": 0.5}
FREE = {"batch": True, "batch_discount": 1.0}


def test_no_discount_is_counted_on_that_nobody_named(scenario):
    """A server that gives less than was assumed would spend more than the limit."""
    from harness.experiment.requests import asking_sentences

    alone, batch = (planned(scenario, **one).endpoint for one in ({}, {"batch": True}))
    assert batch.money == alone.money
    said = " ".join(asking_sentences(batch))
    assert "Batches are reckoned at the full price" in said
    assert "batch_discount = 0.5" in said
    assert "less in batches" not in said


@pytest.mark.parametrize(
    ("said", "message"),
    [("batch = 1", "true or false"), ("batch_discount = 1.5", "share from 0 to 1"), ("batch_discount = true", "share")],
)
def test_what_is_wrong_in_the_settings_is_said(scenario, said, message):
    path = scenario / "scenario.toml"
    path.write_text(f'{path.read_text()}\n[endpoint]\nurl = "http://h/v1"\nmodel = "m"\n{said}\n')
    with pytest.raises(InputProblems, match=message):
        prepare(scenario, options=RunOptions(), load_embedder=lambda _: FakeEmbedder())


def test_the_settings_may_stand_in_the_file(scenario):
    path = scenario / "scenario.toml"
    path.write_text(
        f'{path.read_text()}\n[endpoint]\nurl = "http://h/v1"\nmodel = "m"\nbatch = true\nbatch_discount = 0.4\n'
    )
    ready = prepare(scenario, options=RunOptions(), load_embedder=lambda _: FakeEmbedder())
    assert ready.scenario.endpoint.batch
    assert ready.scenario.endpoint.batch_discount == 0.4
