"""An OpenAI-compatible server on this machine that fails as it is told to; and runs against it."""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """Answers every chat with the last word of its last line; `trouble(count, number)` may spoil a request.

    `count` is how often this very question was asked before, `number` the requests so far. Trouble is a status, or
    `"cut"`, `"garbage"`, `"empty"`, `"slow"`; None: a good answer.
    """

    def __init__(self, trouble=lambda count, number: None):
        self.trouble, self.lock = trouble, threading.Lock()
        self.asked, self.answered = Counter(), Counter()
        self.number = self.at_once = self.most_at_once = 0
        self.server = self.thread = None
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        """Listen, on the same port as before."""
        self.server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Stop listening; what is under way breaks."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, body, text):
        """The bytes of a good answer; None: the line breaks."""
        return streamed(text) if body.get("stream") else completion(text)

    def handle(self, body):
        question = body["messages"][-1]["content"]
        with self.lock:
            self.number += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            found = self.trouble(self.asked[question], self.number)
            self.asked[question] += 1
        if found == "slow":
            time.sleep(0.3)
        with self.lock:
            self.at_once -= 1
            if found in (None, "slow"):
                self.answered[question] += 1
        return found, question.split()[-1].strip("?")


class _Server(ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, request, client_address):
        pass


def _handler(home):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            trouble, text = home.handle(body)
            if isinstance(trouble, int):
                self.reply(trouble, b'{"error": {"message": "no"}}')
            elif trouble == "garbage":
                self.reply(200, b"<html>not JSON")
            elif trouble == "empty":
                self.reply(200, b'{"choices": []}')
            elif trouble == "cut":
                self.reply(200, completion(text), cut=30)
            else:
                data = home.answer(body, text)
                if data is not None:
                    self.reply(200, data, kind="text/event-stream" if body.get("stream") else "application/json")
                self.close_connection = True

        def reply(self, status, data, *, cut=None, kind="application/json"):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[:cut])
            self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler


USAGE = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}


def completion(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    about = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    return json.dumps({**about, "choices": [choice], "usage": USAGE}).encode()


def streamed(text):
    about = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    parts = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text[:2]}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": text[2:]}, "finish_reason": "stop"}]},
        {"choices": [], "usage": USAGE},
    ]
    lines = [f"data: {json.dumps({**about, **part})}\n\n" for part in parts]
    return ("".join(lines) + "data: [DONE]\n\n").encode()
