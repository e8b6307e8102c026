"""Passages in a PostgreSQL table with the pgvector extension (https://github.com/pgvector/pgvector).

A table is named by what it holds and stays: it is filled once, by whoever comes first, and later runs search it. Each
block of vectors is a transaction of its own under an advisory lock, so two runs may fill one table at once, and a run
that is killed goes on after its last whole block.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from harness.errors import RunStopped
from harness.retrieval.stores.base import Vectors

T = TypeVar("T")

MOST_NUMBERS, MOST_IN_GRAPH, MOST_HALVED = 16_000, 2_000, 4_000
"""Numbers of a vector that pgvector can store, put into an HNSW graph, and put there in half precision."""
FIRST_WIDTH, MOST_WIDTH = 40, 1_000
"""pgvector's usual and largest `hnsw.ef_search`: candidates that a search keeps, and so most that it finds."""
LOCK = 0x62616B656F6666
"""Advisory lock while the extension is made."""
USUAL = {"connect_timeout": "10", "keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "3"}
"""libpq's settings where the address names no others: a server that is gone is noticed."""


class PostgresStore:
    """A table of a name; what it holds already is not sent again."""

    def __init__(self, place: str, name: str, *, connect: Callable[..., Any] | None = None) -> None:
        """Connect, and see what the table holds.

        Args:
            place: an address (`postgresql://host:5432/db`), or the environment variable that holds one.
            name: the hex digest of everything that determines the vectors and their order.
            connect: takes libpq's settings and gives a connection that knows vectors; None: `psycopg.connect` does.

        Raises:
            RunStopped: `psycopg` or `pgvector` is not installed, or the server cannot be used; a sentence says why.
        """
        self._link = _Link(place, connect)
        self._table, self._lock = f"bakeoff_{name}", int(name[:15], 16)
        self._numbers = self._width = 0
        self._end = weakref.finalize(self, self._link.close)
        self._size, self._about = self._link.asked(self._held)

    @property
    def size(self) -> int:
        """How many vectors are held."""
        return self._size

    @property
    def about(self) -> str:
        """What was said when the table was whole (`finish`); empty: it is not whole yet."""
        return self._about

    def add(self, vectors: Vectors) -> None:
        """Append these, in one transaction; another process that fills the same table may have done so by then."""
        if vectors.shape[1] > MOST_NUMBERS:
            raise RunStopped(
                f"The embedder's vectors have {vectors.shape[1]:,} numbers, and pgvector holds {MOST_NUMBERS:,} at "
                "most. Take another embedder, or leave vector_store out of scenario.toml."
            )
        self._link.asked(partial(self._copy, np.asarray(vectors, dtype=np.float32)))
        self._size += len(vectors)

    def nearest(self, vectors: Vectors, *, k: int) -> list[list[int]]:
        """Positions of the k nearest of each, nearest first; equals in their order."""
        if not self._size:
            return [[] for _ in vectors]
        return self._link.asked(partial(self._found, np.asarray(vectors, dtype=np.float32), min(k, self._size)))

    def graph(self) -> str:
        """Index the vectors in an HNSW graph; why it cannot be done, else empty."""
        return self._link.asked(self._graph)

    def search_width(self, count: int) -> None:
        """Search the graph with so many candidates; 0: search exactly."""
        self._width = min(count, MOST_WIDTH)

    def finish(self, about: str) -> None:
        """The table is whole: keep with it what is to be said of it."""
        self._link.asked(partial(self._comment, about))
        self._about = about

    def close(self) -> None:
        """Leave the server; the table stays."""
        self._end()

    # What is done with a connection; each may be done again on a new one

    def _held(self, connection: Any) -> tuple[int, str]:
        if connection.execute("SELECT to_regclass(%s)", [self._table]).fetchone()[0] is None:
            return 0, ""
        query = f"SELECT count(*), coalesce(max(place) + 1, 0) FROM {self._table}"
        count, size = connection.execute(query).fetchone()
        if count != size:  # somebody removed rows
            connection.execute(f"TRUNCATE {self._table}")
            return 0, ""
        said = "SELECT obj_description(%s::regclass, 'pg_class')"
        about = connection.execute(said, [self._table]).fetchone()[0] or ""
        return size, about if size else ""

    def _copy(self, vectors: Vectors, connection: Any) -> None:
        with self._alone(connection):
            columns = f"place bigint PRIMARY KEY, vector vector({vectors.shape[1]}) NOT NULL"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns})")
            held = connection.execute(f"SELECT coalesce(max(place) + 1, 0) FROM {self._table}").fetchone()[0]
            if held < self._size:
                raise RunStopped(f"{self._link.name} lost vectors meanwhile. Start again: they are sent anew.")
            copy = f"COPY {self._table} (place, vector) FROM STDIN WITH (FORMAT BINARY)"
            with connection.cursor() as cursor, cursor.copy(copy) as stream:
                stream.set_types(["int8", "vector"])
                for place, row in enumerate(vectors[held - self._size :], start=held):
                    stream.write_row((place, row))

    def _found(self, vectors: Vectors, k: int, connection: Any) -> list[list[int]]:
        by_graph = self._width > 0 and k <= MOST_WIDTH
        query = f"SELECT place, {self._distance(vectors.shape[1], by_graph)} AS distance FROM {self._table} "
        query += f"ORDER BY distance{'' if by_graph else ', place'} LIMIT {k}"
        with connection.transaction():
            _settle(connection, "enable_seqscan" if by_graph else "enable_indexscan", "off")
            if by_graph:
                _settle(connection, "hnsw.ef_search", str(max(k, self._width)))
            rows = [connection.execute(query, [row]).fetchall() for row in vectors]
        return [[place for place, _ in sorted(row, key=lambda one: (one[1], one[0]))] for row in rows]

    def _graph(self, connection: Any) -> str:
        _, numbers, halved = self._shape(connection)
        most = MOST_HALVED if halved else MOST_IN_GRAPH
        if numbers > most:
            return (
                f"vectors of {numbers:,} numbers are too long for pgvector's HNSW graphs, which take {most:,} at most"
            )
        from psycopg.errors import DiskFull

        try:
            self._build(connection, parallel=True)
        except DiskFull as error:
            if "shared memory" not in str(error):
                raise
            self._build(connection, parallel=False)  # a container's /dev/shm is small
        return ""

    def _build(self, connection: Any, *, parallel: bool) -> None:
        with self._alone(connection):
            size, numbers, _ = self._shape(connection)
            wanted = size * (4 * numbers + 512) // 2**20 + 64  # else pgvector builds it on disk, many times as slow
            _settle(connection, "maintenance_work_mem", f"{min(wanted, 1_024)}MB")
            if not parallel:
                _settle(connection, "max_parallel_maintenance_workers", "0")
            kind = "vector" if numbers <= MOST_IN_GRAPH else "halfvec"
            column = "vector" if kind == "vector" else f"(vector::halfvec({numbers}))"
            connection.execute(
                f"CREATE INDEX IF NOT EXISTS {self._table}_hnsw ON {self._table} USING hnsw ({column} {kind}_ip_ops)"
            )

    def _shape(self, connection: Any) -> tuple[int, int, bool]:
        """Vectors, numbers of each, and whether this pgvector knows half precision."""
        query = f"SELECT (SELECT count(*) FROM {self._table}), vector_dims(vector), to_regtype('halfvec') IS NOT NULL "
        found: tuple[int, int, bool] = connection.execute(f"{query} FROM {self._table} LIMIT 1").fetchone()
        return found

    def _distance(self, numbers: int, by_graph: bool) -> str:
        if by_graph and numbers > MOST_IN_GRAPH:
            return f"vector::halfvec({numbers}) <#> %s::halfvec({numbers})"
        return "vector <#> %s"

    def _comment(self, about: str, connection: Any) -> None:
        from psycopg import sql

        with self._alone(connection):
            connection.execute(sql.SQL(f"COMMENT ON TABLE {self._table} IS {{}}").format(sql.Literal(about)))

    @contextlib.contextmanager
    def _alone(self, connection: Any) -> Any:
        """A transaction that no other process has on this table meanwhile."""
        with connection.transaction():
            _settle(connection, "statement_timeout", "0")
            # A server that notices soon that a client was killed leaves its lock soon.
            connection.execute(
                "SELECT set_config(name, '10s', true) FROM pg_settings WHERE name = 'client_connection_check_interval'"
            )
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [self._lock])
            yield


class _Link:
    """The connection, made when it is wanted and once more where it was lost, and its errors in sentences."""

    def __init__(self, place: str, connect: Callable[..., Any] | None) -> None:
        self._place, self._connection = place, None
        self._connect = connect or _connector()
        self._given, self._secret = self._read()

    @property
    def name(self) -> str:
        """The store in words, without a password."""
        shown = self._place if "://" in self._place else f"the address in {self._place}"
        return f"The vector store at {shown}"

    def asked(self, work: Callable[[Any], T]) -> T:
        """What this does with a connection; on a new one where the old one was lost."""
        from psycopg import Error, OperationalError

        try:
            kept = self._connection is not None
            try:
                return work(self._open())
            except OperationalError:
                if not (kept and self._connection is not None and self._connection.broken):
                    raise
                return work(self._open())
        except Error as error:
            raise RunStopped(self._sentence(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _read(self) -> tuple[dict[str, str], str]:
        """libpq's settings and the password among them, if any."""
        from psycopg import Error
        from psycopg.conninfo import conninfo_to_dict

        address = self._place if "://" in self._place else os.environ.get(self._place, "")
        if not address:
            raise RunStopped(
                f"The environment variable {self._place}, which shall hold the address of the vector store, is not "
                "set. Set it to an address such as postgresql://host:5432/database."
            )
        try:
            given = conninfo_to_dict(address)
        except Error:  # its message may hold the password
            raise RunStopped(
                f"{self.name} cannot be reached: the address cannot be read. Expected postgresql://host:5432/database."
            ) from None
        secret = str(given.get("password") or "")
        if secret and "://" in self._place:
            raise RunStopped(
                "The address of the vector store holds a password. Take it out: PGPASSWORD or ~/.pgpass give it, or "
                "name the environment variable that holds the whole address."
            )
        return {**USUAL, **given}, secret

    def _open(self) -> Any:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect(**self._given)
        return self._connection

    def _sentence(self, error: Any) -> str:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)[:300].rstrip(".")
        line = line.replace(self._secret, "***") if self._secret else line
        if error.sqlstate is None and (self._connection is None or self._connection.closed):
            if "password" in line:
                return f"{self.name} let nobody in: {line}. libpq takes the password from PGPASSWORD or ~/.pgpass."
            return f"{self.name} cannot be reached: {line}. Start it, or correct vector_store in scenario.toml."
        if error.sqlstate == "53100":
            return (
                f"{self.name} failed: its disk is full ({line}). Make room there; what is stored is kept, and the same "
                "command goes on."
            )
        if error.sqlstate == "42501":
            return (
                f"{self.name} refused: {line}. Its user must be allowed to create tables (GRANT CREATE ON SCHEMA), and "
                "the extension must be there: have an administrator run CREATE EXTENSION vector."
            )
        if "extension" in line and "vector" in line:
            return f"{self.name} has no pgvector: {line}. Install pgvector on that server, or take another one."
        return f"{self.name} failed: {line}."


def _connector() -> Callable[..., Any]:
    try:
        import pgvector.psycopg  # noqa: F401 - wanted later
        import psycopg  # noqa: F401 - likewise
    except ImportError as error:
        raise RunStopped(
            "A pgvector store needs the packages psycopg and pgvector: pip install 'bakeoff-advisor[pgvector]'."
        ) from error
    return _connected


def _connected(**given: str) -> Any:
    from psycopg import IsolationLevel, connect

    with contextlib.ExitStack() as unless_ready:
        made = connect(**given, autocommit=True, prepare_threshold=None)
        unless_ready.callback(made.close)
        made.isolation_level = IsolationLevel.READ_COMMITTED  # what was waited for is seen
        _extended(made)
        unless_ready.pop_all()
    return made


def _extended(connection: Any) -> None:
    """Have the extension, made where it is missing, and its types known to the client."""
    from pgvector.psycopg import register_vector

    if connection.execute("SELECT to_regtype('vector')").fetchone()[0] is None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            "SELECT set_config('search_path', current_setting('search_path') || ', ' || quote_ident(nspname), false) "
            "FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
            "WHERE extname = 'vector' AND to_regtype('vector') IS NULL"
        )
    register_vector(connection)


def _settle(connection: Any, name: str, value: str) -> None:
    """A setting of the server until the end of the transaction."""
    connection.execute("SELECT set_config(%s, %s, true)", [name, value])
