"""What every store of vectors promises: it finds what an exact search finds, in that order."""

import os

import numpy as np
import pytest
from fakes import fake_run, tiny_scenario, write_scenario_files

from harness.retrieval.stores.flat import FlatStore
from harness.retrieval.stores.postgres import PostgresStore
from harness.retrieval.stores.qdrant import QdrantStore
from harness.scenario_file.read import Overrides
from harness.store import RunFolder

KINDS = ("flat", "qdrant", "pgvector")


def unit(rows, seed, numbers=16):
    made = np.random.default_rng(seed).normal(size=(rows, numbers)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def store(kind, request):
    if kind == "pgvector":
        made = PostgresStore(request.getfixturevalue("database"), os.urandom(16).hex())
    elif kind == "qdrant":
        pytest.importorskip("qdrant_client")
        made = QdrantStore()
    else:
        made = FlatStore()
    yield made
    if kind != "flat":
        made.close()


def nearest(held, queries, k):
    return [list(row) for row in np.argsort(-(queries @ held.T), axis=1, kind="stable")[:, :k]]


def test_the_nearest_in_their_order(store):
    parts = unit(70, 1), unit(30, 2)
    for part in parts:
        store.add(part)
    queries = unit(20, 3)
    assert store.nearest(queries, k=7) == nearest(np.concatenate(parts), queries, 7)


def test_more_than_there_are_gives_all(store):
    store.add(unit(3, 1))
    assert [sorted(row) for row in store.nearest(unit(2, 2), k=9)] == [[0, 1, 2]] * 2


def test_nothing_added_finds_nothing(store):
    assert store.nearest(unit(2, 1), k=3) == [[], []]


def test_added_after_a_search_is_found(store):
    first, later = unit(10, 1), unit(10, 2)
    store.add(first)
    store.nearest(first, k=1)
    store.add(later)
    assert store.nearest(later, k=1) == [[place] for place in range(10, 20)]


def test_no_query_finds_nothing(store):
    store.add(unit(3, 1))
    assert store.nearest(unit(3, 1)[:0], k=2) == []


def test_a_run_may_keep_its_passages_there(kind, tmp_path, request):
    if kind == "flat":
        pytest.skip("it is what the others are compared with")
    place = request.getfixturevalue("database") if kind == "pgvector" else ":memory:"
    runs = {}
    for name, line in (("here", ""), ("there", f'vector_store = "{kind}:{place}"\n')):
        folder = write_scenario_files(tmp_path / name, tiny_scenario(cases=10), toml=line)
        fake_run(folder, tmp_path / f"run-{name}", overrides=Overrides(arms=("rag",)), remember=False)
        runs[name] = RunFolder(tmp_path / f"run-{name}").predictions()["rag"]
    assert {case: one.passages for case, one in runs["here"].items()} == {
        case: one.passages for case, one in runs["there"].items()
    }
