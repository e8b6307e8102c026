"""A provider that fine-tunes, on this machine: files, jobs and chats as OpenAI's API has them.

Bodies are the recorded ones of `data/openai_fine_tuning.json` with their own ids and figures. A tuned model knows
what its training file teaches and nothing else. Run as a program it is a server of its own, which tests steer over HTTP
(`POST /plan`, `GET /seen`), so that it outlives the commands that it kills.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from loopback import USAGE, streamed

RECORDED = json.loads((Path(__file__).parent / "data" / "openai_fine_tuning.json").read_text())
RUNNING = ("validating_files", "queued", "running", "running")
TOKENS_A_ROW = 21


class Provider:
    """What it holds, and how it shall behave (`plan`)."""

    def __init__(self, **plan):
        self.plan = {
            "offered": True,  # False: 404 to everything but chats
            "statuses": [*RUNNING, "succeeded"],
            "error": None,  # of a job whose last status is `failed`
            "message": "Created fine-tuning job",  # what a job tells first
            "loading": 0,  # times that a tuned model is not found yet
            "refused": None,  # status that a tuned model answers with
            "gone": [],  # jobs whose tuned models were deleted
            "ended_ago": 0,  # seconds since a job that has succeeded ended
            "epochs": None,  # what a job plans, whatever was asked for
            "auto": 0,  # looks at a job before it says how many it plans
            "poll": "1",  # milliseconds after which it wants to be asked again
            "statuses_of": {},  # stage -> statuses that its first requests are answered with, undone
            "cut": {},  # stage -> number of requests that are done and never answered
            "kill": None,  # (stage, "before" or "after" it is done): the process `pid` is killed
            "pid": None,
            "deletes": True,
            **plan,
        }
        self.files, self.content, self.jobs, self.looks = {}, {}, [], Counter()
        self.stages, self.chats, self.keys = [], Counter(), set()
        self.deleted, self.cancelled, self.passes = [], [], {}
        self.lock, self.server, self.port = threading.RLock(), None, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        self.server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def seen(self):
        """What tests ask for."""
        return {
            "jobs": self.jobs,
            "files": self.files,
            "content": self.content,
            "deleted": self.deleted,
            "cancelled": self.cancelled,
            "stages": self.stages,
            "chats": dict(self.chats),
        }

    # how a request is answered

    def answer(self, method, path, headers, data):
        """(status, body); None: the connection breaks."""
        place = urlsplit(path)
        query = {name: values[-1] for name, values in parse_qs(place.query).items()}
        path = place.path.removeprefix("/v1")
        if path in ("/plan", "/seen"):
            self.plan |= json.loads(data or b"{}")
            return 200, self.seen()
        self.keys.add(headers["Authorization"])
        stage, do = self.routed(method, path, query, kind=headers["Content-Type"], data=data)
        self.stages.append(stage)
        if not self.plan["offered"] and stage != "chat":
            return 404, {"detail": "Not Found"}
        if self.plan["kill"] == [stage, "before"]:
            return self.killing()
        early = self.plan["statuses_of"].get(stage)
        if early:
            return early.pop(0), {"error": {"message": self.plan.get("said", "no")}}
        reply = do()
        if self.plan["kill"] == [stage, "after"]:
            return self.killing()
        if self.plan["cut"].get(stage, 0) > 0:
            self.plan["cut"][stage] -= 1
            return None
        return reply

    def killing(self):
        self.plan["kill"] = None
        os.kill(self.plan["pid"], self.plan.get("signal", signal.SIGKILL))

    def routed(self, method, path, query, *, kind, data):
        """(stage, what does it)."""
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            return self.routed_file(method, parts, kind, data)
        if path == "/chat/completions":
            body = json.loads(data)
            return ("tuned" if body["model"].startswith("ft:") else "chat"), lambda: self.chat(body)
        if path == "/fine_tuning/jobs" and method == "POST":
            return "create", lambda: self.create(json.loads(data))
        if path == "/fine_tuning/jobs":
            return "list", lambda: self.jobs_after(query.get("after"), int(query.get("limit", 20)))
        does = {"events": self.events, "cancel": self.cancel}.get(parts[-1])
        return (parts[-1], lambda: does(parts[-2])) if does else ("look", lambda: self.look(parts[-1]))

    def routed_file(self, method, parts, kind, data):
        if method == "POST":
            name, content = _uploaded(kind, data)
            return ("validation" if "validation" in name else "training"), lambda: self.upload(name, content)
        if len(parts) == 1:
            return "files", self.listed
        return "delete", lambda: self.delete(parts[1])

    # what is done

    def upload(self, name, data):
        file_id = f"file-{len(self.content) + 1}"
        made = {**RECORDED["POST /files"], "id": file_id, "filename": name, "bytes": len(data)}
        self.files[file_id], self.content[file_id] = made, data.decode()
        return 200, made

    def listed(self):
        return 200, {"object": "list", "data": list(self.files.values())[::-1], "has_more": False}

    def delete(self, file_id):
        if file_id not in self.files:
            return 404, {"error": {"message": "No such File object"}}
        if not self.plan["deletes"]:
            return 403, {"error": {"message": "files stay"}}
        del self.files[file_id]
        self.deleted.append(file_id)
        return 200, {**RECORDED["DELETE /files/{file_id}"], "id": file_id}

    def create(self, body):
        if body["training_file"] not in self.files:
            return 400, {"error": {"message": f"invalid training_file: {body['training_file']}"}}
        passes = (body.get("method") or {}).get("supervised", body)["hyperparameters"]["n_epochs"]
        how = {"batch_size": 1, "learning_rate_multiplier": 1.8, "n_epochs": self.plan["epochs"] or passes}
        self.passes[f"ftjob-{len(self.jobs) + 1}"] = how["n_epochs"]
        how["n_epochs"] = "auto" if self.plan["auto"] else how["n_epochs"]
        made = {
            **RECORDED["POST /fine_tuning/jobs"],
            "id": f"ftjob-{len(self.jobs) + 1}",
            "model": body["model"],
            "training_file": body["training_file"],
            "validation_file": body.get("validation_file"),
            "metadata": body.get("metadata"),
            "seed": body.get("seed"),
            "user_provided_suffix": body.get("suffix"),
            "hyperparameters": how,
            "method": {"type": "supervised", "supervised": {"hyperparameters": how}},
            "status": self.plan["statuses"][0],
        }
        self.jobs.append(made)
        return 200, made

    def jobs_after(self, after, limit):
        whole = self.jobs[::-1]
        start = [job["id"] for job in whole].index(after) + 1 if after else 0
        part = whole[start : start + limit]
        return 200, {"object": "list", "data": part, "has_more": start + limit < len(whole)}

    def look(self, job_id):
        job = next((job for job in self.jobs if job["id"] == job_id), None)
        if job is None:
            return 404, {"error": {"message": "Could not find fine tune"}}
        statuses = self.plan["statuses"]
        if job["status"] != "cancelled":
            job["status"] = statuses[min(self.looks[job_id], len(statuses) - 1)]
            self.looks[job_id] += 1
        if self.looks[job_id] > self.plan["auto"] and job_id in self.passes:
            job["hyperparameters"]["n_epochs"] = self.passes[job_id]
        if job["status"] == "succeeded":
            ended = RECORDED["GET /fine_tuning/jobs/{fine_tuning_job_id}"]
            suffix = job["user_provided_suffix"] or ""
            rows = self.content[job["training_file"]].splitlines()
            now = int(time.time()) - self.plan["ended_ago"]
            job |= {
                "created_at": now - ended["finished_at"] + ended["created_at"],
                "finished_at": now,
                "fine_tuned_model": f"ft:{job['model']}:my-org:{suffix}:{job_id}",
                "trained_tokens": TOKENS_A_ROW * len(rows) * job["hyperparameters"]["n_epochs"],
            }
        if job["status"] == "failed":
            job["error"] = self.plan["error"]
        return 200, job

    def cancel(self, job_id):
        self.cancelled.append(job_id)
        job = next(job for job in self.jobs if job["id"] == job_id)
        job["status"] = "cancelled"
        return 200, {**RECORDED["POST /fine_tuning/jobs/{fine_tuning_job_id}/cancel"], "id": job_id}

    def events(self, job_id):
        recorded = RECORDED["GET /fine_tuning/jobs/{fine_tuning_job_id}/events"]
        first = {**recorded["data"][1], "id": f"ft-event-{job_id}", "message": self.plan["message"]}
        step = {
            **first,
            "id": f"ft-event-{self.looks[job_id]}",
            "type": "metrics",
            "data": {"step": 1, "total_steps": 4},
        }
        return 200, {**recorded, "data": [step, first]}

    def chat(self, body):
        model, question = body["model"], body["messages"][-1]["content"]
        word = question.split()[-1].strip("?")
        if model.startswith("ft:"):
            if self.plan["refused"]:
                return self.plan["refused"], {"error": {"message": self.plan.get("said", "no")}}
            if model.split(":")[-1] in self.plan["gone"]:
                return 404, {"error": {"message": f"The model `{model}` does not exist"}}
            if self.plan["loading"] > 0:
                self.plan["loading"] -= 1
                return 404, {"error": {"message": f"The model `{model}` does not exist"}}
            word = self.learnt(model, word)
        self.chats[model] += 1
        if body.get("stream"):
            return 200, streamed(word)
        message = {"role": "assistant", "content": word}
        about = {"id": "x", "object": "chat.completion", "created": 0, "model": model, "usage": USAGE}
        return 200, {**about, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    def learnt(self, model, word):
        """What the tuned model answers: the rule that its training rows show, such as Landia3 -> City3."""
        job = next(job for job in self.jobs if job["fine_tuned_model"] == model)
        rules = {}
        for line in self.content[job["training_file"]].splitlines():
            *_, asked, answer = json.loads(line)["messages"]
            last = asked["content"].split()[-1].strip("?")
            rules[re.sub(r"\d+", "", last)] = re.sub(r"\d+", "", answer["content"])
        stem = re.sub(r"\d+", "", word)
        return word.replace(stem, rules[stem]) if stem in rules else word


class _Server(ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, request, client_address):
        pass


def _handler(home):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(b"")

        def do_DELETE(self):
            self.reply(b"")

        def do_POST(self):
            self.reply(self.rfile.read(int(self.headers["Content-Length"])))

        def reply(self, data):
            self.close_connection = True
            with home.lock:
                made = home.answer(self.command, self.path, self.headers, data)
            if made is None:
                return
            status, body = made
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if data is body else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.send_header("openai-poll-after-ms", home.plan["poll"])
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


def _uploaded(kind, data):
    """Name and content of the file in a multipart body."""
    mark = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    for part in data.split(mark):
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'filename="([^"]+)"', head)
        if name:
            return name[1].decode(), content.removesuffix(b"\r\n")
    raise AssertionError("no file in the upload")


if __name__ == "__main__":
    served = Provider(statuses=["running", "succeeded"]).start()
    print(served.port, flush=True)
    while os.getppid() == int(sys.argv[1]):
        time.sleep(0.2)
