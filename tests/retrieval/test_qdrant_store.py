"""A Qdrant collection (in the client's local mode: no server is there); see also `test_store_contract`."""

import sys

import numpy as np
import pytest

from harness.errors import MissingModel, UserError
from harness.retrieval.stores.qdrant import QdrantStore
from harness.scenario_file.toml_file import read_settings


def unit(rows, seed):
    made = np.random.default_rng(seed).normal(size=(rows, 16)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


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
