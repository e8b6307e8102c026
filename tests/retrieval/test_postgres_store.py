"""A PostgreSQL table of vectors: filled once, by whoever comes first, and every failure a sentence."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
import postgres
import pytest
from fakes import FakeEmbedder, fake_run, tiny_scenario, write_scenario_files

from harness.errors import RunStopped
from harness.retrieval import index, shards
from harness.retrieval.index import build_index
from harness.retrieval.stores.flat import FlatStore
from harness.retrieval.stores.postgres import PostgresStore
from harness.scenario_file.read import Overrides
from harness.scenario_file.toml_file import read_settings

NAME = "0123456789abcdef" * 2


class Drawn:
    """Draws its vectors around few centres."""

    name, digest = "drawn", "d" * 64

    def __init__(self, numbers=32):
        self.numbers, self.asked = numbers, 0

    def encode(self, texts, *, fresh=False):
        self.asked += len(texts)
        made = np.zeros((len(texts), self.numbers), dtype=np.float32)
        for row, text in zip(made, texts, strict=True):
            row[:] = np.random.default_rng(int(text.split()[-1]) % 50).standard_normal(self.numbers)
            row += np.random.default_rng(list(text.encode())).standard_normal(self.numbers)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def prose(count):
    return [f"passage {n}" for n in range(count)]


def sent(address):
    """How many vectors each table of ours holds."""
    import psycopg

    with psycopg.connect(address) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'bakeoff%'").fetchall()
        return [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in names]


def told(address):
    """What is kept with the only table."""
    import psycopg

    with psycopg.connect(address) as connection:
        (row,) = connection.execute(
            "SELECT obj_description(c.oid) FROM pg_class c WHERE relkind = 'r' AND relname LIKE 'bakeoff%'"
        ).fetchall()
        return row[0]


def made(database, own, embedder=None):
    """An index of these passages there; it is closed with its store."""
    return build_index(embedder or Drawn(), own, vector_store=f"pgvector:{database}")


# with a server


def test_20_000_passages_are_found_as_the_flat_index_finds_them(database, own_cache):
    own, embedder = prose(20_000), Drawn(64)
    there, here = made(database, own, embedder), FlatStore()
    for vectors in shards.embedded(embedder, own):
        here.add(vectors)
    queries = embedder.encode([f"query {n}" for n in range(60)])
    assert there.nearest(queries, k=10) == here.nearest(queries, k=10)
    assert (there.note, there.recall) == ("", None)


def test_a_table_is_filled_once_and_found_again(database, own_cache, monkeypatch):
    own = prose(300)
    first = made(database, own)
    monkeypatch.setattr(PostgresStore, "add", None)  # it would be filled with this
    monkeypatch.setattr(PostgresStore, "finish", None)
    again = made(database, own)
    assert again.nearest(Drawn().encode(own[:5]), k=3) == first.nearest(Drawn().encode(own[:5]), k=3)
    assert sent(database) == [300]


def test_other_passages_or_another_embedder_have_a_table_of_their_own(database, own_cache):
    other = Drawn()
    other.digest = "f" * 64
    for embedder, own in ((Drawn(), prose(10)), (Drawn(), prose(11)), (other, prose(10))):
        made(database, own, embedder)
    assert sorted(sent(database)) == [10, 10, 11]


def test_a_table_that_lost_rows_or_what_was_said_of_it_is_filled_again(database, own_cache, server):
    own = prose(40)
    made(database, own)
    name = urlsplit(database).path[1:]
    (table,) = server.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'bakeoff%'", database=name)[0]
    for harm in (f"DELETE FROM {table} WHERE place = 7", f"COMMENT ON TABLE {table} IS 'mine now'"):
        server.execute(harm, database=name)
        found = made(database, own)
        assert found.nearest(Drawn().encode(own), k=1) == [[n] for n in range(40)]
    assert sent(database) == [40]
    assert msgspec.json.decode(told(database))["size"] == 40


@pytest.fixture
def as_if_many(monkeypatch):
    """As if 50 passages were many."""
    monkeypatch.setattr(index, "MOST_EXACT", 50)


@pytest.mark.parametrize("numbers", [32, 2_100])
def test_many_passages_are_searched_in_a_graph_and_what_it_finds_is_said(database, own_cache, as_if_many, numbers):
    own, embedder = prose(700), Drawn(numbers)
    found = made(database, own, embedder)
    assert found.recall.share >= index.ENOUGH_FOUND
    assert f"700 passages are searched approximately (HNSW, ef_search {found.recall.searched})" in found.note
    queries = embedder.encode(own[:50])
    exactly = index.exact(shards.embedded(embedder, own), queries, k=10)
    same = sum(len(set(a) & set(b)) for a, b in zip(found.nearest(queries, k=10), exactly, strict=True))
    assert same >= 450
    assert [len(row) for row in found.nearest(queries[:2], k=300)] == [300, 300]  # more than the usual width
    again = made(database, own, embedder)
    assert again.recall == found.recall


def test_the_graph_is_used_and_a_small_width_finds_less(database, own_cache, as_if_many):
    own, embedder = prose(3_000), Drawn(200)
    found = made(database, own, embedder)
    queries = embedder.encode([f"query {n}" for n in range(50)])
    shares = []
    for width in (1, 0):
        found.store.search_width(width)
        exactly = index.exact(shards.embedded(embedder, own), queries, k=1)
        shares.append(np.mean([a == b for a, b in zip(found.store.nearest(queries, k=1), exactly, strict=True)]))
    assert shares[0] < shares[1] == 1


def test_vectors_too_long_for_a_graph_are_searched_exactly_and_that_is_said(database, own_cache, as_if_many):
    own, embedder = prose(60), Drawn(4_100)
    found = made(database, own, embedder)
    assert found.note == (
        "The 60 passages are searched exactly, one after the other: vectors of 4,100 numbers are too long for "
        "pgvector's HNSW graphs, which take 4,000 at most."
    )
    assert found.nearest(embedder.encode(own), k=1) == [[n] for n in range(60)]


def test_vectors_too_long_to_store_are_refused(database):
    store = PostgresStore(database, NAME)
    with pytest.raises(RunStopped, match=r"have 16,001 numbers, and pgvector holds 16,000 at most\. Take another emb"):
        store.add(np.ones((1, 16_001), dtype=np.float32))
    store.close()


FILL = """
import sys, time
from harness.retrieval import index, shards, texts
from harness.retrieval.stores.postgres import PostgresStore
from test_postgres_store import Drawn, prose
texts.AT_ONCE = shards.AT_ONCE = 200
index.MOST_EXACT = 2_000
plain = PostgresStore.add

def add(store, vectors):
    print(store.size, len(vectors), flush=True)
    plain(store, vectors)
    time.sleep(float(sys.argv[2]))

PostgresStore.add = add
found = index.build_index(Drawn(), prose(3_000), vector_store="pgvector:" + sys.argv[1])
print(found.nearest(Drawn().encode(prose(20)), k=1) == [[n] for n in range(20)], found.recall.share >= 0.95)
found.store.close()
"""


def filling(database, pause):
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, [here, here.parent, *sys.path]))
    return subprocess.Popen(
        [sys.executable, "-c", FILL, database, str(pause)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip


def test_two_processes_fill_one_table_at_once(database, own_cache):
    first, second = (filling(database, 0.02) for _ in range(2))
    for one in (first, second):
        said, wrong = one.communicate(timeout=300)
        assert said.splitlines()[-1] == "True True", wrong
    assert sent(database) == [3_000]


def test_a_run_killed_while_filling_goes_on_where_it_was(server, database, own_cache):
    killed = filling(database, 0.5)
    while int(killed.stdout.readline().split()[0]) < 400:
        pass
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    others = "SELECT 1 FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"
    while server.execute(others.format(urlsplit(database).path[1:])):  # the server rolls back what was under way
        time.sleep(0.05)
    (held,) = sent(database)
    assert held in (400, 600)
    said, wrong = filling(database, 0).communicate(timeout=300)
    assert said.splitlines()[0] == f"{held} 200", wrong
    assert said.splitlines()[-1] == "True True"
    assert sent(database) == [3_000]


def test_a_connection_lost_meanwhile_is_made_again_and_a_server_that_is_gone_is_named():
    pytest.importorskip("psycopg")
    folder = postgres.programs() or pytest.skip(postgres.WITHOUT)
    server = postgres.Server(folder)
    try:
        store = PostgresStore(server.address(), NAME)
        store.add(np.eye(4, dtype=np.float32))
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert store.nearest(np.eye(4, dtype=np.float32)[2:3], k=1) == [[2]]
        server.stop()
        with pytest.raises(RunStopped, match=r"The vector store at postgresql://.* cannot be reached: .*Start it, or"):
            store.nearest(np.eye(4, dtype=np.float32), k=1)
        server.start()
        assert store.nearest(np.eye(4, dtype=np.float32)[1:2], k=1) == [[1]]
        store.close()
    finally:
        server.remove()


def test_a_wrong_password_and_rights_that_are_missing_are_sentences(server, database, monkeypatch):
    name = urlsplit(database).path[1:]
    server.execute("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'")
    place = server.address(name, "locked")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(RunStopped, match=r"let nobody in: .*no password supplied.*PGPASSWORD or ~/\.pgpass"):
        PostgresStore(place, NAME)
    monkeypatch.setenv("PGPASSWORD", "wrong-word")
    with pytest.raises(RunStopped, match=r"let nobody in: .*password authentication failed") as caught:
        PostgresStore(place, NAME)
    assert "wrong-word" not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", "right")
    with pytest.raises(RunStopped, match=r"permission denied to create extension.*CREATE EXTENSION vector"):
        PostgresStore(place, NAME)
    server.execute("CREATE EXTENSION vector", database=name)
    store = PostgresStore(place, NAME)
    with pytest.raises(RunStopped, match=r"permission denied for schema public.*GRANT CREATE ON SCHEMA"):
        store.add(np.eye(2, dtype=np.float32))
    store.close()


def test_an_extension_in_a_schema_of_its_own_is_found(server, database):
    name = urlsplit(database).path[1:]
    server.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions", database=name)
    store = PostgresStore(database, NAME)
    store.add(np.eye(3, dtype=np.float32))
    assert store.graph() == ""
    assert store.nearest(np.eye(3, dtype=np.float32), k=1) == [[0], [1], [2]]
    store.close()


# without one


class FakeConnection:
    """Holds no table, says that one has 500 vectors of 32 numbers; statements with this word raise an error."""

    closed = broken = False

    def __init__(self, word, error):
        self._word, self._error = word, error

    def execute(self, statement, given=()):
        if self._word in statement:
            raise self._error
        self._said = statement
        return self

    def fetchone(self):
        return (None,) if "to_regclass" in self._said else (500, 32, True)

    @contextmanager
    def transaction(self):
        yield

    cursor = transaction

    def close(self):
        self.closed = True


def failing(word, error):
    def connect(**given):
        if word == "connect":
            raise error
        return FakeConnection(word, error)

    return connect


def errors():
    return pytest.importorskip("psycopg").errors


@pytest.mark.parametrize(
    ("word", "kind", "said", "sentence"),
    [
        (
            "connect",
            "OperationalError",
            "connection refused\nmore",
            r"cannot be reached: connection refused\. Start it",
        ),
        ("connect", "OperationalError", "password authentication failed", r"let nobody in: .*PGPASSWORD or ~/\.pgpass"),
        (
            "connect",
            "FeatureNotSupported",
            'extension "vector" is not available',
            "has no pgvector: .*Install pgvector",
        ),
        ("connect", "UndefinedFile", 'could not open extension control file "vector"', "has no pgvector"),
        ("connect", "InsufficientPrivilege", "permission denied to create extension", "administrator run CREATE EXT"),
        (
            "CREATE TABLE",
            "DiskFull",
            "could not extend file",
            r"its disk is full \(could not extend file\)\. Make room",
        ),
        (
            "CREATE TABLE",
            "ReadOnlySqlTransaction",
            "read-only",
            r"The vector store at postgresql://h/d failed: read-only",
        ),
    ],
)
def test_every_failure_is_a_sentence(word, kind, said, sentence):
    error = getattr(errors(), kind)(said)
    with pytest.raises(RunStopped, match=sentence) as caught:
        PostgresStore("postgresql://h/d", NAME, connect=failing(word, error)).add(np.eye(2, dtype=np.float32))
    assert "\n" not in str(caught.value)


class SmallMemory(FakeConnection):
    """A server in a container whose shared memory is small: it indexes with one process only."""

    def __init__(self, error):
        super().__init__("CREATE INDEX", error)
        self.settled, self.done = {}, False

    def execute(self, statement, given=()):
        if "set_config(%s" in statement:
            self.settled[given[0]] = given[1]
        if self.settled.get("max_parallel_maintenance_workers") == "0":
            self.done = self.done or "CREATE INDEX" in statement
            return self
        return super().execute(statement, given)


def test_a_graph_is_built_by_one_process_where_shared_memory_is_small():
    small = SmallMemory(errors().DiskFull('could not resize shared memory segment "/PostgreSQL.1": No space left'))
    assert PostgresStore("postgresql://h/d", NAME, connect=lambda **given: small).graph() == ""
    assert small.done
    full = failing("CREATE INDEX", errors().DiskFull("could not extend file"))
    store = PostgresStore("postgresql://h/d", NAME, connect=full)
    with pytest.raises(RunStopped, match="its disk is full"):
        store.graph()


def test_a_password_in_the_variable_is_never_told(monkeypatch):
    broken = errors().OperationalError('no such thing: "hush-hush"')
    for address in ("postgresql://me:hush-hush@host/db", "postgresql://me:hush-hush%zz@host/db"):
        monkeypatch.setenv("MY_DATABASE", address)
        with pytest.raises(RunStopped, match="The vector store at the address in MY_DATABASE cannot be re") as caught:
            PostgresStore("MY_DATABASE", NAME, connect=failing("connect", broken))
        assert "hush" not in str(caught.value)


def test_an_address_with_a_password_is_not_even_tried():
    errors()
    with pytest.raises(RunStopped, match="holds a password") as caught:
        PostgresStore("postgresql://me:hush-hush@host/db", NAME)
    assert "hush" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    errors()
    monkeypatch.delenv("MY_DATABASE", raising=False)
    with pytest.raises(RunStopped, match=r"The environment variable MY_DATABASE, which shall hold .* is not set"):
        PostgresStore("MY_DATABASE", NAME)


def test_without_the_packages_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RunStopped, match=r"bakeoff-advisor\[pgvector\]"):
        PostgresStore("postgresql://h/d", NAME)


def test_a_server_that_is_not_there_stops_the_run_before_anything_is_embedded(own_cache):
    errors()
    embedder = FakeEmbedder()
    with pytest.raises(RunStopped, match="cannot be reached"):
        build_index(embedder, prose(3), vector_store="pgvector:postgresql://127.0.0.1:9/db")
    assert embedder.fresh_texts == []


def test_a_run_ends_there_and_is_not_made_without_retrieval(tmp_path):
    errors()
    line = 'vector_store = "pgvector:postgresql://127.0.0.1:9/db"\n'
    folder = write_scenario_files(tmp_path / "one", tiny_scenario(cases=10), toml=line)
    with pytest.raises(RunStopped, match="cannot be reached"):
        fake_run(folder, tmp_path / "run", overrides=Overrides(arms=("prompt", "rag")), remember=False)
    assert not (tmp_path / "run" / "verdict.json").exists()


# the setting


def fault(tmp_path, said):
    (tmp_path / "scenario.toml").write_text(f'vector_store = "{said}"\n')
    return [problem.message for problem in read_settings(tmp_path / "scenario.toml")[1]]


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://host:5432/db", "postgres://me@host/db", "postgresql://a:1,b:2/db?target_session_attrs=any",
        "postgresql:///db?host=/var/run/postgresql&user=me", "postgresql://[::1]:5432/db", "MY_DATABASE",
    ],
)  # fmt: skip
def test_addresses_and_names_of_variables_are_taken(tmp_path, said):
    assert fault(tmp_path, f"pgvector:{said}") == []


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://me:hush@host/db", "postgresql://:hush@host/db", "postgresql://host/db?password=hush",
        "postgresql://host/db?sslmode=require&p%61ssword=hush", "postgresql://me:hu/sh@host/db",
        "postgresql://host/db?sslpassword=hush", "host=h password=hush", "postgresql://me:hu%40sh@host/db",
    ],
)  # fmt: skip
def test_an_address_with_a_password_is_refused_and_not_repeated(tmp_path, said):
    (message,) = fault(tmp_path, f"pgvector:{said}")
    assert "must not hold a password: PostgreSQL takes it from the environment variable PGPASSWORD" in message
    assert "hush" not in message


@pytest.mark.parametrize("said", ["", "http://host", "postgresql:/host", "two words", "9LIVES", "postgresql://h/d#x"])
def test_anything_else_is_refused_with_what_is_expected(tmp_path, said):
    (message,) = fault(tmp_path, f"pgvector:{said}")
    assert '"pgvector:postgresql://localhost:5432/passages"' in message
