"""An OpenAI-compatible server on this machine that takes files and batches, and does with them as it is told."""

import json
import re
import threading
import time
from collections import Counter
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loopback import USAGE, completion, streamed

LOOKS = 3
"""Looks at a batch until it has ended."""


class BatchLoopback:
    """Answers chats with the last word of their last line, alone or in batches."""

    def __init__(self, folder=None):
        self.folder, self.lock = folder, threading.Lock()
        """Where it says which stage is reached, and holds still while `hold-STAGE` is there."""
        self.files, self.batches, self.looks = {}, {}, Counter()
        self.names, self.deleted = {}, []
        """Names of files that were sent; ids of those that were deleted, which `files` keeps for the test."""
        self.paths = []
        """Method and path of every request, in their order."""
        self.chats, self.bodies = [], []
        """Bodies of single requests, and as they came."""
        self.lines = lambda answers: answers
        """What is made of a batch's answers, by custom id, before they are written: a list of lines."""
        self.ends = lambda batch: {"status": "completed"}
        """What a batch looks like in the end."""
        self.faults = []
        """(method and beginning of a path, status) of requests that are refused, each once."""
        self.never = ()
        """(method and beginning of a path, status) that are always refused."""
        self.refuses = lambda asked: None
        """Status with which a single request is refused."""
        self.named = "m"
        self.forgets_marks = False
        self.server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    # what was asked

    @property
    def left(self):
        """Files that nobody deleted."""
        return [name for name in self.files if name not in self.deleted]

    def sent(self, method, path):
        """How often this was asked."""
        return sum(one == f"{method} {path}" for one in self.paths)

    @property
    def batched(self):
        """Custom ids in all batches, in their order."""
        return [line["custom_id"] for batch in self.batches.values() for line in self.requests(batch)]

    def requests(self, batch):
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    # what is answered

    def respond(self, method, path, body, headers):
        with self.lock:
            self.paths.append(f"{method} {path.partition('?')[0].removeprefix('/v1')}")
            asked = self.paths[-1]
            refused = [status for start, status in self.never if asked.startswith(start)]
            for place, (start, status) in enumerate(self.faults):
                if asked.startswith(start) and not refused:
                    refused = [status]
                    del self.faults[place]
                    break
        if refused == ["after"]:  # done, and nothing of it is heard
            self._done(asked, body, headers)
            return 500, b"{}"
        if refused:
            return refused[0], json.dumps({"error": {"message": f"no {asked}"}}).encode()
        return self._done(asked, body, headers)

    def _done(self, asked, body, headers):
        _, _, path = asked.partition(" ")
        if path == "/chat/completions":
            return self._chat(body)
        with self.lock:
            if asked == "POST /files":
                return self._upload(body, headers)
            if asked == "POST /batches":
                return self._create(json.loads(body))
            if path == "/batches":
                return _json({"object": "list", "data": list(reversed(self.batches.values())), "has_more": False})
            if path == "/files":
                listed = [{"id": one, "filename": name} for one, name in self.names.items() if one not in self.deleted]
                return _json({"object": "list", "data": listed, "has_more": False})
            if path.startswith("/batches/"):
                return self._look(path.split("/")[2])
            if path.startswith("/files/") and path.split("/")[2] in self.left:
                if asked.startswith("DELETE"):
                    self.deleted.append(path.split("/")[2])
                    return _json({"id": self.deleted[-1], "object": "file", "deleted": True})
                self.wait_at("fetch")
                return 200, self.files[path.split("/")[2]]
        return 404, b"{}"

    def _chat(self, body):
        asked = json.loads(body)
        with self.lock:
            self.chats.append(asked)
            self.bodies.append(body)
        refused = self.refuses(asked)
        if refused is not None:
            return refused, b'{"error": {"message": "not now"}}'
        text = word(asked)
        return 200, streamed(text) if asked.get("stream") else completion(text)

    def _upload(self, body, headers):
        message = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in message.get_payload()}
        assert parts["purpose"].get_payload() == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = parts["file"].get_payload(decode=True)
        self.names[name] = parts["file"].get_filename()
        self.wait_at("upload")
        return _json({"id": name, "object": "file", "purpose": "batch"})

    def _create(self, asked):
        assert asked["completion_window"] == "24h"
        assert asked["endpoint"] == "/v1/chat/completions"
        self.wait_at("begin")
        name = f"batch-{len(self.batches)}"
        batch = {"id": name, "object": "batch", "status": "validating", "created_at": 0, "completion_window": "24h"}
        self.batches[name] = {**batch, "endpoint": asked["endpoint"], "input_file_id": asked["input_file_id"]}
        if not self.forgets_marks:
            self.batches[name]["metadata"] = asked["metadata"]
        self.wait_at("create")
        return _json(self.batches[name])

    def _look(self, name):
        if name not in self.batches:
            return 404, b"{}"
        batch, total = self.batches[name], len(self.requests(self.batches[name]))
        self.looks[name] += 1
        if self.looks[name] < LOOKS:
            done = total * self.looks[name] // LOOKS
            batch |= {"status": "in_progress", "request_counts": {"completed": done, "failed": 0, "total": total}}
            self.wait_at("poll")
        elif batch["status"] == "in_progress":
            batch |= {"request_counts": {"completed": total, "failed": 0, "total": total}, **self.ends(batch)}
            if batch["status"] != "failed":
                self._write(batch, self.lines([answer(one, self.named) for one in self.requests(batch)]))
        return _json(batch)

    def _write(self, batch, lines):
        """Lines of errors into a file of their own; a file that would be empty is none."""
        errors = [one for one in lines if b'"error": {' in one]
        for kind, found in (("output", [one for one in lines if one not in errors]), ("error", errors)):
            if found:
                batch[f"{kind}_file_id"] = f"{kind}-{batch['id']}"
                self.files[f"{kind}-{batch['id']}"] = b"".join(one.rstrip(b"\n") + b"\n" for one in found)

    def wait_at(self, stage):
        """Say that a stage is reached, and hold still while the test wants that."""
        if self.folder is None:
            return
        (self.folder / f"at-{stage}").touch()
        while (self.folder / f"hold-{stage}").exists():
            time.sleep(0.01)


def word(asked):
    return asked["messages"][-1]["content"].split()[-1].strip("?")


def answer(asked, named="m"):
    """A line of a file of results."""
    body = json.loads(completion(word(asked["body"]))) | {"model": named, "usage": USAGE}
    return line(asked["custom_id"], {"status_code": 200, "request_id": "r", "body": body}, None)


def line(custom_id, response, error):
    return json.dumps({"id": "x", "custom_id": custom_id, "response": response, "error": error}).encode()


def _json(found):
    return 200, json.dumps(found).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, request, client_address):
        pass


def _handler(home):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.served("POST", self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self):
            self.served("GET", b"")

        def do_DELETE(self):
            self.served("DELETE", b"")

        def served(self, method, body):
            status, data = home.respond(method, self.path, body, self.headers)
            streamed_ = data.startswith(b"data: ")
            content = re.search(r"/files/[^/]+/content", self.path)
            kind = "text/event-stream" if streamed_ else "application/octet-stream" if content else "application/json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler
