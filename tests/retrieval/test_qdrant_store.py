"""A Qdrant collection (in the client's local mode: no server is there); see also `test_store_contract`."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from harness.errors import MissingModel, UserError
from harness.retrieval.stores import qdrant
from harness.retrieval.stores.qdrant import QdrantStore
from harness.scenario_file.toml_file import read_settings


def unit(rows, seed):
    made = np.random.default_rng(seed).normal(size=(rows, 16)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
def server():
    """A server that takes everything and finds nothing; it notes the bodies of its requests."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            bodies.append(data)
            asked = json.loads(data or b"{}").get("searches", [])
            whole = {"operation_id": 0, "status": "completed"} if b"batch" in data else True
            result = [{"points": []} for _ in asked] or whole
            said = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_PUT(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def do_DELETE(self):
            self.answer()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as home:
        thread = threading.Thread(target=home.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{home.server_address[1]}", bodies
        home.shutdown()
        thread.join()


def test_no_request_is_larger_than_a_server_takes(server, monkeypatch):
    monkeypatch.setattr(qdrant, "MOST_BYTES", 20_000)
    url, bodies = server
    store = QdrantStore(url)
    store.add(unit(300, 1))
    store.add(unit(50, 2))
    assert len(store.nearest(unit(200, 3), k=3)) == 200
    store.close()
    assert len(bodies) > 10
    assert max(map(len, bodies)) <= 20_000
    uploads = [json.loads(body)["batch"] for body in bodies if b"batch" in body]
    assert [place for one in uploads for place in one["ids"]] == list(range(350))
    sent = np.array([row for one in uploads for row in one["vectors"]], dtype=np.float32)
    assert np.array_equal(sent, np.concatenate([unit(300, 1), unit(50, 2)]))


def test_of_wide_vectors_fewer_are_sent_at_once():
    longest = np.full((1_000, 8_192), -1.2345678e-30, dtype=np.float32)
    parts = list(qdrant._requests(longest))
    assert sum(map(len, parts)) == 1_000
    row = len(json.dumps(longest[0].tolist()))
    assert len(parts[0]) * row < 32 * 2**20
    assert len(list(qdrant._requests(longest[:, :384]))) == 1


def test_a_server_that_does_not_answer_is_named():
    store = QdrantStore("http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"The vector store at http://127\.0\.0\.1:9 failed"):
        store.add(unit(2, 1))


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(MissingModel, match=r"bakeoff-advisor\[qdrant\]"):
        QdrantStore()


def test_a_collection_goes_with_its_store():
    store = QdrantStore()
    store.add(unit(3, 1))
    client = store._client
    assert len(client.get_collections().collections) == 1
    gone = []
    client.close = lambda: gone.append(len(client.get_collections().collections))
    del store
    assert gone == [0]


@pytest.mark.parametrize("said", ["qdrant", "qdrant:ftp://x", "qdrant:http://user:key@host", "milvus:http://x", "7"])
def test_other_stores_and_addresses_with_secrets_are_refused(tmp_path, said):
    (tmp_path / "scenario.toml").write_text(f'vector_store = "{said}"\n')
    (problem,) = read_settings(tmp_path / "scenario.toml")[1]
    assert 'must be "qdrant:" and the address of a server' in problem.message
